"""Which keys a file has had, and where first: 8 bytes of hash and 4 of line per key, whatever the keys' length.

Two different keys are taken for one with a probability below one in a million, even in the largest file.
"""

import hashlib
from array import array

_SMALLEST = 1024


class SeenKeys:
    """An open table of hashes; it doubles when it is half full."""

    def __init__(self) -> None:
        """Begin empty."""
        self._hashes = array("Q", bytes(8 * _SMALLEST))
        self._lines = array("I", bytes(4 * _SMALLEST))
        self._count = 0

    def first_line(self, key: str, line: int) -> int | None:
        """Give the line where the key stood before; None, and the line is kept, if it is new."""
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        hashed = int.from_bytes(digest, "big") or 1
        place = self._place(hashed)
        if self._hashes[place]:
            return self._lines[place]
        self._hashes[place], self._lines[place] = hashed, line
        self._count += 1
        if self._count * 2 > len(self._hashes):
            self._grow()
        return None

    def _place(self, hashed: int) -> int:
        size = len(self._hashes)
        place = hashed % size
        while self._hashes[place] not in (0, hashed):
            place = (place + 1) % size
        return place

    def _grow(self) -> None:
        hashes, lines = self._hashes, self._lines
        self._hashes = array("Q", bytes(16 * len(hashes)))
        self._lines = array("I", bytes(8 * len(lines)))
        for hashed, line in zip(hashes, lines, strict=True):
            if hashed:
                place = self._place(hashed)
                self._hashes[place], self._lines[place] = hashed, line
