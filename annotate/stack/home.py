"""The state directory: data, logs, secret keys and sockets of one instance, and its programs' environment.

It is FAIRLABEL_HOME, else /var/lib/fairlabel for root, else `fairlabel` in the XDG state directory. One
command at a time holds its lock. The secret keys are made at the first start and stay readable by their owner
alone; there is no default one.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from annotate.stack.process import StackError
from tasks.settings import Settings

SOCKET_LIMIT = 107
LONGEST_SOCKET = "postgres/.s.PGSQL.5432.lock"
USER = DATABASE = "fairlabel"


class StackSettings(Settings, frozen=True, kw_only=True):
    """Where the state directory and the programs of the embedded servers are."""

    prefix: ClassVar[str] = "FAIRLABEL_"

    home: str = ""
    """The state directory."""
    pg_bin: str = ""
    """The directory of PostgreSQL's programs; empty: the installed wheel, then PATH."""
    valkey_bin: str = ""
    """The Valkey or Redis server program; empty: the installed wheel, then PATH."""


class AlreadyRunning(StackError):
    """Another `fairlabel up` is running on this state directory."""


@dataclass(frozen=True)
class Home:
    """A state directory."""

    root: Path
    run: Path

    @property
    def logs(self) -> Path:
        """Where each service writes its log."""
        return self.root / "logs"

    @property
    def database_url(self) -> str:
        """The embedded PostgreSQL's address, whether or not it runs."""
        return socket_url(self.run / "postgres", DATABASE)

    @property
    def broker_url(self) -> str:
        """The embedded Valkey's address, whether or not it runs."""
        return f"redis+socket://{quote(str(self.run / 'valkey' / 'valkey.sock'))}?virtual_host=1"

    def secret_key(self) -> str:
        """Read the instance's secret key; the first call makes it."""
        return self._kept("secret.key")

    def log_key(self) -> str:
        """Read the key that signs the transparency log and the audit bundles; the first call makes it."""
        return self._kept("log.key")

    def _kept(self, name: str) -> str:
        path = self.root / name
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32) + "\n")
        key = path.read_text().strip()
        if len(key) < 32:
            raise StackError(f"The key in {path} is too short. Remove the file, and a new one is made.")
        return key

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the state directory for this command. Raises AlreadyRunning."""
        with (self.root / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(
                    f"Another `fairlabel up` is running on {self.root}{self._where_it_serves()}. "
                    "Stop it first, or set FAIRLABEL_HOME to another directory."
                ) from None
            yield

    def remember(self, facts: Mapping[str, str]) -> None:
        """Keep how the instance was started, for commands in other terminals."""
        draft = self.root / "instance.json.new"
        draft.write_text(json.dumps(dict(facts), indent=2) + "\n")
        draft.replace(self.root / "instance.json")

    def remembered(self) -> dict[str, str]:
        """Give how the instance was last started."""
        try:
            facts: Any = json.loads((self.root / "instance.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(name): str(value) for name, value in facts.items()} if isinstance(facts, dict) else {}

    def _where_it_serves(self) -> str:
        url = self.remembered().get("FAIRLABEL_BASE_URL")
        return f" ({url})" if url else ""


def socket_url(directory: Path, database: str) -> str:
    """Give the address of a database behind a socket directory."""
    return f"postgresql://{USER}@/{database}?host={quote(str(directory), safe='')}&port=5432"


def home_path(env: Mapping[str, str] = os.environ) -> Path:
    """Say where the state directory is."""
    chosen = StackSettings.from_env(env).home
    if chosen:
        return Path(chosen).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/fairlabel")
    state = env.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser().absolute() / "fairlabel"


def find_home(env: Mapping[str, str] = os.environ) -> Home:
    """Name the state directory and its sockets' place; makes nothing."""
    root = home_path(env)
    run = root / "run"
    if len(os.fsencode(run / LONGEST_SOCKET)) > SOCKET_LIMIT:
        mark = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
        run = Path("/tmp") / f"fairlabel-{os.geteuid()}-{mark}"  # noqa: S108  ownership is checked in open_home
    return Home(root, run)


def open_home(env: Mapping[str, str] = os.environ) -> Home:
    """Make the state directory. Root's lets the servers' user pass through, but not look."""
    home = find_home(env)
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        for place in (home.root, home.run):
            place.mkdir(parents=True, exist_ok=True)
            if place.is_symlink() or place.stat(follow_symlinks=False).st_uid != os.geteuid():
                raise StackError(
                    f"{place} belongs to someone else. Set FAIRLABEL_HOME to a directory of your own."
                )
            if stat.S_IMODE(place.stat().st_mode) != mode:
                place.chmod(mode)
        home.logs.mkdir(mode=0o700, exist_ok=True)
    except OSError as problem:
        raise StackError(
            f"The state directory {home.root} cannot be used ({problem.strerror}). "
            "Set FAIRLABEL_HOME to a directory of your own."
        ) from problem
    return home


def instance_environment(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give this instance's environment: what is set wins, the embedded servers fill the rest."""
    home = find_home(env)
    known = {"DATABASE_URL": home.database_url, "BROKER_URL": home.broker_url, **home.remembered()}
    if (home.root / "secret.key").exists():
        known["FAIRLABEL_SECRET_KEY"] = home.secret_key()
    if (home.root / "log.key").exists():
        known["PAYMENTS_LOG_KEY"] = home.log_key()
    return {**known, **{name: value for name, value in env.items() if value}}
