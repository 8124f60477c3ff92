"""A few made things, kept by their digest: the oldest goes when there are too many. Safe between threads."""

from threading import Lock
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """Made things by name, at most `most`; what is made twice at once is kept once."""

    def __init__(self, most: int) -> None:
        """Begin empty."""
        self._most = most
        self._made: dict[str, Made] = {}
        self._lock = Lock()

    def get(self, name: str) -> Made | None:
        """Give what is kept under a name."""
        return self._made.get(name)

    def keep(self, name: str, made: Made) -> Made:
        """Keep a thing, and give the one that is kept from now on."""
        with self._lock:
            if name not in self._made and len(self._made) >= self._most:
                del self._made[next(iter(self._made))]
            return self._made.setdefault(name, made)
