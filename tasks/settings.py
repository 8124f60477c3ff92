"""Settings come from the environment, one small class per package, read once at the edge.

A field's name in upper case, with the class's prefix, is its variable. A wrong value stops the start with the
variable's name and what would be right; nothing is guessed.
"""

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self

import msgspec

QUEUES: Final = ("work", "money", "intake")
"""The queues of jobs: answers and items; whatever books or pays; uploads."""
SECRET_CHARACTERS_MIN = 32
WELL_KNOWN = ("change", "secret", "default", "example", "password", "insecure")


class UnsafeSetting(Exception):
    """A setting is missing or not safe to run with."""


def guessable(secret: str) -> bool:
    """Tell whether others could know a secret: it is short, repeats itself, or holds a word that examples hold."""
    repeats = secret in (secret + secret)[1:-1] or len(set(secret.lower())) < 10
    return (
        len(secret) < SECRET_CHARACTERS_MIN or repeats or any(word in secret.lower() for word in WELL_KNOWN)
    )


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the settings classes: `from_env` reads `PREFIX` + field name, lists are comma-separated."""

    prefix: ClassVar[str] = ""

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Field name to environment variable."""
        return {field.name: f"{cls.prefix}{field.name.upper()}" for field in msgspec.structs.fields(cls)}

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read the settings. Raises UnsafeSetting, naming the variable."""
        given: dict[str, Any] = {}
        for name, variable in cls.variables().items():
            if env.get(variable, "") != "":
                given[name] = env[variable]
        try:
            return msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as problem:
            place = str(problem)
            for name, variable in cls.variables().items():
                place = place.replace(f"$.{name}", variable).replace(f"`{name}`", variable)
            raise UnsafeSetting(f"{place}. See deploy/env.example.") from None


class TaskSettings(Settings, frozen=True, kw_only=True):
    """Where the work is kept and how jobs travel."""

    database_url: str
    """PostgreSQL, as `postgresql://user:password@host/name`."""
    broker_url: str = "memory://"
    """Redis (`redis://`, `redis+socket://`) or RabbitMQ (`amqp://`)."""
    database_pool: int = 8
    """Connections that one process keeps; the sum over processes must stay below the server's limit."""
    fairlabel_instance: Literal["production", "demo", "test"] = "production"
    """What this instance is for; only demo and test instances may simulate."""
    fairlabel_clock: Literal["system", "simulated"] = "system"
    """`simulated` lets recorded work pass with its own times; a production instance refuses it."""

    fairlabel_media_origins: str = ""
    """Other origins from which items' images, audio and video may come, separated by spaces."""

    def __post_init__(self) -> None:
        """Refuse a simulated clock where real people are paid."""
        if self.fairlabel_clock == "simulated" and self.fairlabel_instance == "production":
            raise UnsafeSetting("FAIRLABEL_CLOCK=simulated is refused: FAIRLABEL_INSTANCE is production.")

    @property
    def simulated(self) -> bool:
        """Whether recorded work may bring its own times."""
        return self.fairlabel_clock == "simulated"
