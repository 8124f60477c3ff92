"""The peers that our arithmetic is measured against, in an environment of their own that is made once and kept.

They never become packages of the product: one of them is under the GPL, and together they weigh more than it does. What
cannot be installed is said, and its rows are left empty.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

PACKAGES = ["crowd-kit==1.4.2", "krippendorff==0.9.0"]
ENVIRONMENT = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fairlabel" / "bench-peers"
MEASURED = Path(__file__).with_name("measured.py")
LIMIT_SECONDS = 900


@cache
def peer_python() -> Path | None:
    """Give the interpreter that has the peers, made now if it is not there; None if that cannot be done."""
    python = ENVIRONMENT / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    ready = ENVIRONMENT / "ready"
    if ready.exists() and ready.read_text("utf-8") == " ".join(PACKAGES):
        return python
    commands = [
        [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(ENVIRONMENT)],
        [str(uv), "pip", "install", "--quiet", "--python", str(python), *PACKAGES],
    ]
    for command in commands:
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_SECONDS)
        except (OSError, subprocess.SubprocessError):
            return None
    ready.write_text(" ".join(PACKAGES), "utf-8")
    return python


def measured(who: str, what: str, *arguments: str | int) -> dict[str, Any] | None:
    """Run one measurement in a process of its own; None if the peers are not installed or it cannot be done here."""
    python = Path(sys.executable) if who == "ours" else peer_python()
    if python is None:
        return None
    command = [str(python), str(MEASURED), who, what, *map(str, arguments)]
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS, env=_environment()
        )
    except subprocess.SubprocessError:
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _environment() -> dict[str, str]:
    threads = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")
    return dict(os.environ) | threads
