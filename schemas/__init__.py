"""What may exist: task definitions, uploads, answers, pay rules and audit bundles as JSON documents."""
