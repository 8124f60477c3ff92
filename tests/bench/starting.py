"""Starting: how long `fairlabel up` takes until it serves a page."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from annotate.stack.throw_away import directory, free_port

LIMIT = 120.0


def later_start() -> float:
    """Give the seconds until the home page is served where an earlier start has made everything."""
    with fresh_home() as home:
        served_after(home)
        return served_after(home)


@contextlib.contextmanager
def fresh_home() -> Iterator[Path]:
    """Make a directory for an instance's state."""
    root = directory()
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def served_after(home: Path) -> float:
    """Start everything, wait for the page, stop everything."""
    port = free_port()
    env = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "BROKER_URL"}}
    command = [sys.executable, "-m", "annotate.cli", "up", "--port", str(port)]
    began = time.monotonic()
    process = subprocess.Popen(command, env=env | {"FAIRLABEL_HOME": str(home)}, stdout=subprocess.DEVNULL)
    try:
        while time.monotonic() - began < LIMIT:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/").status_code == 200:
                    return time.monotonic() - began
            time.sleep(0.05)
        raise TimeoutError(f"no page after {LIMIT:.0f} s")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
