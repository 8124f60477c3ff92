"""What may exist: task definitions, uploads, answers, pay rules and audit bundles as JSON documents."""

from schemas.problems import Problem
from schemas.ready import examples

__all__ = ["Problem", "examples"]
