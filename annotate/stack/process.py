"""One child process: how it is started, how one knows that it is ready, how it is stopped.

A child never outlives us: on Linux the kernel signals it when we die, however we die. A child sits in a
session of its own, so that a Ctrl-C in the terminal reaches only us and the order of stopping stays ours.
Children have to be started from the main thread, because the kernel's signal is tied to the thread that
forked.
"""

import contextlib
import ctypes
import grp
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.errors import FairlabelError

PR_SET_PDEATHSIG = 1
LOG_LIMIT = 8_000_000

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class StackError(FairlabelError):
    """A part of the stack could not be started."""


@dataclass(frozen=True)
class User:
    """Whom a server runs as when we are root, which PostgreSQL refuses to be."""

    name: str
    uid: int
    gid: int


def service_user() -> User | None:
    """Give the unprivileged user for the servers if we are root, else None: they run as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return User(name, entry.pw_uid, entry.pw_gid)
    raise StackError("PostgreSQL cannot run as root, and neither a user postgres nor nobody exists here.")


def may_enter(directory: Path, user: User) -> bool:
    """Tell whether a user may pass through a directory and all its parents, by their permission bits."""
    groups = {user.gid} | {entry.gr_gid for entry in grp.getgrall() if user.name in entry.gr_mem}
    return all(_passable(place, user, groups) for place in (directory, *directory.parents))


def _passable(place: Path, user: User, groups: set[int]) -> bool:
    facts = place.stat()
    if facts.st_uid == user.uid:
        return bool(facts.st_mode & 0o100)
    if facts.st_gid in groups:
        return bool(facts.st_mode & 0o010)
    return bool(facts.st_mode & 0o001)


def owned_directory(path: Path, user: User | None) -> Path:
    """Make a directory that only its user (and root) may enter."""
    path.mkdir(parents=True, exist_ok=True)
    if user is not None:
        os.chown(path, user.uid, user.gid)
    path.chmod(0o700)
    return path


def die_with_parent(parent: int, number: int) -> None:
    """Ask the kernel to signal this process when its parent's thread ends."""
    if _libc is None:
        return
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it died before we could ask
        os._exit(1)


@dataclass(frozen=True)
class Service:
    """What to run; `ready` is asked with the process id until it says yes."""

    name: str
    argv: Sequence[str]
    log: Path | None = None
    ready: Callable[[int], bool] | None = None
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    user: User | None = None
    cwd: str = "/"
    stop_signal: signal.Signals = signal.SIGTERM
    hard_signal: signal.Signals = signal.SIGKILL
    orphan_signal: signal.Signals = signal.SIGKILL
    grace: float = 3.0
    start_limit: float = 60.0


class Process:
    """A service that was started."""

    def __init__(self, service: Service) -> None:
        """Start it."""
        self.service = service
        self.began = time.monotonic()
        parent = os.getpid()
        orphan_signal = int(service.orphan_signal)
        user = service.user
        with contextlib.ExitStack() as files:
            output = None if service.log is None else files.enter_context(open_log(service.log))
            try:
                self.popen = subprocess.Popen(  # noqa: S603
                    list(service.argv),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=None if output is None else subprocess.STDOUT,
                    env=dict(service.env),
                    cwd=service.cwd,
                    start_new_session=True,
                    preexec_fn=lambda: die_with_parent(parent, orphan_signal),  # noqa: PLW1509
                    user=None if user is None else user.uid,
                    group=None if user is None else user.gid,
                    extra_groups=None if user is None else [],
                )
            except OSError as problem:
                raise StackError(f"{service.name} could not be started: {problem}.") from problem

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    def ended(self) -> bool:
        """Tell whether it has ended."""
        return self.popen.poll() is not None

    def how_it_ended(self) -> str:
        """Say how, for people."""
        code = self.popen.returncode
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def ready(self) -> bool:
        """Tell whether it does its work."""
        return self.service.ready is None or self.service.ready(self.pid)

    def wait_ready(self) -> float:
        """Wait until it is ready; give the seconds that it took. Raises StackError with its last words."""
        while not self.ready():
            self.check_start()
            time.sleep(0.005)
        return time.monotonic() - self.began

    def check_start(self) -> None:
        """Raise StackError, with its last words, if it ended or takes too long to become ready."""
        taken = time.monotonic() - self.began
        name = self.service.name
        if self.ended():
            raise StackError(self.last_words(f"{name} ended at its start ({self.how_it_ended()})."))
        if taken > self.service.start_limit:
            raise StackError(self.last_words(f"{name} was not ready after {taken:.0f} s."))

    def stop(self, limit: float | None = None) -> None:
        """Stop it: gently, then, after the grace period, hard. Its whole session is gone afterwards."""
        deadline = time.monotonic() + (self.service.grace if limit is None else limit)
        for number in (self.service.stop_signal, self.service.hard_signal, signal.SIGKILL):
            if self.ended():
                break
            self.popen.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout=max(0.5, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def last_words(self, sentence: str, lines: int = 15) -> str:
        """Add the last lines of its log to a sentence."""
        log = self.service.log
        return sentence if log is None else f"{sentence} Its log, {log}, ends with:\n{tail(log, lines)}"


@contextlib.contextmanager
def open_log(path: Path) -> Iterator[int]:
    """Open a log for appending; a large one is set aside first, so that logs stay bounded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def tail(path: Path, lines: int) -> str:
    """Read the last lines of a text file, indented."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 20_000))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        text = ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (nothing)"
