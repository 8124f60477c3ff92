"""Task definitions to begin with; each ships in the package, is complete and has no problems."""

from importlib.resources import files
from typing import Any

from schemas.strict_json import load


def examples() -> dict[str, dict[str, Any]]:
    """Give the shipped definitions by name; each call gives fresh documents."""
    folder = files("schemas").joinpath("examples")
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    return {
        name.removesuffix(".json"): load(folder.joinpath(name).read_text(encoding="utf-8")) for name in found
    }
