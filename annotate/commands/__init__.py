"""The commands of `fairlabel`, a module each; `annotate.cli` loads only the one that is called."""
