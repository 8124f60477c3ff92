"""A signed head of the log as one small text, in the public formats of C2SP (tlog-checkpoint in signed-note).

    origin
    size
    root in base64
    (empty line)
    — origin base64(four bytes naming the key, then the signature)

Further signature lines, of witnesses, may follow; a reader passes over those whose key it does not know.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tasks.errors import Invalid

ED25519: Final = b"\x01"
SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
NAME: Final = re.compile(r"[^\s+\x00-\x1f]{1,255}")


class WrongNote(Invalid):
    """This is not a head that the given key has signed."""


@dataclass(frozen=True)
class Head:
    """What is signed: whose log, how many entries, their root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Write the signed lines."""
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n"


def key_id(name: str, key: Ed25519PublicKey) -> bytes:
    """Give the four bytes that name a key in a signature line."""
    return sha256(name.encode() + b"\n" + ED25519 + key.public_bytes_raw()).digest()[:4]


def verifier_key(name: str, key: Ed25519PublicKey) -> str:
    """Write a public key as the one line that readers keep."""
    return f"{name}+{key_id(name, key).hex()}+{_encode(ED25519 + key.public_bytes_raw())}"


def read_verifier_key(line: str) -> tuple[str, Ed25519PublicKey]:
    """Read that line. Raises WrongNote."""
    name, _, rest = line.strip().partition("+")
    named, _, encoded = rest.partition("+")
    raw = _decode(encoded)
    if not NAME.fullmatch(name) or len(raw) != 33 or raw[:1] != ED25519:
        raise WrongNote("This is not a public key of a log.")
    key = Ed25519PublicKey.from_public_bytes(raw[1:])
    if key_id(name, key).hex() != named:
        raise WrongNote("The key does not belong to its name.")
    return name, key


def sign(head: Head, key: Ed25519PrivateKey) -> tuple[str, bytes]:
    """Give the signed note and the bare signature."""
    if not NAME.fullmatch(head.origin):
        raise ValueError("an origin has neither spaces nor a plus sign")
    signature = key.sign(head.text().encode())
    named = key_id(head.origin, key.public_key())
    return f"{head.text()}\n— {head.origin} {_encode(named + signature)}\n", signature


def verify_note(text: str, public_key: Ed25519PublicKey) -> Head:
    """Read a head that this key has signed under its origin's name. Raises WrongNote."""
    body, empty, signatures = text.rpartition("\n\n")
    lines = body.split("\n")
    wrong_lines = len(lines) < 3 or not all(lines) or not signatures.endswith("\n")
    if not empty or wrong_lines or any(c < " " and c != "\n" for c in text) or not SIZE.fullmatch(lines[1]):
        raise WrongNote
    head = Head(lines[0], int(lines[1]), _decode(lines[2]))
    if len(head.root) != 32:
        raise WrongNote
    ours = False
    for line in signatures.removesuffix("\n").split("\n"):
        mark, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        signature = _decode(encoded)
        if mark != "—" or not NAME.fullmatch(name) or len(signature) < 5:
            raise WrongNote
        if name == head.origin and signature[:4] == key_id(name, public_key):
            _verify(public_key, signature[4:], f"{body}\n")
            ours = True
    if not ours:
        raise WrongNote
    return head


def _verify(key: Ed25519PublicKey, signature: bytes, signed: str) -> None:
    try:
        key.verify(signature, signed.encode())
    except InvalidSignature as error:
        raise WrongNote from error


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WrongNote from error
    # Unused bits at the end would let one signature be written in several ways.
    if _encode(data) != text:
        raise WrongNote
    return data
