"""Signatures and the transparency log: who signed the bundle, and that every journal stands in the signed log.

The notes are C2SP signed notes with Ed25519 keys; the tree is that of RFC 6962. Without the package `cryptography`
signatures cannot be checked: the report says so and the exit code is not 0.
"""

import base64
import binascii
import re
from hashlib import sha256
from typing import NamedTuple

from .facts import canonical
from .reading import Bundle
from .report import SIGNATURE, Check, Unreadable

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:  # pragma: no cover  shown by the test that hides the package
    NO_CRYPTOGRAPHY = True
else:
    NO_CRYPTOGRAPHY = False

BUNDLE_SUFFIX = "/audit-bundle"
SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Wrong(Exception):
    """A key or a note is not right; the words say how."""


class Key(NamedTuple):
    """A public key with the name that it signs under."""

    name: str
    raw: bytes

    def mark(self, name: str) -> bytes:
        """Give the four bytes that name the key in a signature line."""
        return sha256(name.encode() + b"\n\x01" + self.raw).digest()[:4]


class Head(NamedTuple):
    """What a note signs."""

    origin: str
    size: int
    root: bytes


def read_key(line: str) -> Key:
    """Read a public key as instances publish it: name+mark+base64. Raises Wrong."""
    parts = line.strip().split("+", 2)
    raw = _decoded(parts[2]) if len(parts) == 3 else b""
    if len(raw) != 33 or raw[:1] != b"\x01":
        raise Wrong("this is not a public key; it looks like name+1a2b3c4d+base64")
    key = Key(parts[0], raw[1:])
    if key.mark(key.name).hex() != parts[1]:
        raise Wrong("the key does not belong to its name")
    return key


def read_note(text: str, key: Key, name: str) -> Head:
    """Read a note that this key has signed under a name. Raises Wrong."""
    body, _, signatures = text.rpartition("\n\n")
    lines = body.split("\n")
    if len(lines) != 3 or not all(lines) or not signatures.endswith("\n") or not SIZE.fullmatch(lines[1]):
        raise Wrong("not a signed note")
    head = Head(lines[0], int(lines[1]), _decoded(lines[2]))
    if head.origin != name or len(head.root) != 32:
        raise Wrong(f"a note of {head.origin[:80]}, not of {name}")
    for line in signatures[:-1].split("\n"):
        if not line.startswith("— ") or line.count(" ") != 2:
            raise Wrong("a signature line has another form")
        _, signer, encoded = line.split(" ")
        signature = _decoded(encoded)
        if signer == name and signature[:4] == key.mark(name):
            _verify(key, signature[4:], f"{body}\n".encode())
            return head
    raise Wrong("not signed by this key")


def check_signatures(bundle: Bundle, pinned: str | None) -> Head | None:
    """Check who signed the manifest and the log's head; give the head."""
    check = bundle.report.check("the manifest and the log's head are signed by the instance's key", SIGNATURE)
    manifest = bundle.manifest
    place = "manifest.json"
    try:
        key = read_key(manifest["key"])
        if pinned is None:
            note = (
                f"the key is the one that the bundle names; compare it with the instance's: {manifest['key']}"
            )
            bundle.report.notes.append(note)
        elif key != read_key(pinned):
            check.fail(place, f"the bundle names another key: {manifest['key'][:200]}")
            key = read_key(pinned)
        check.expect(place, "the name of the key", key.name, manifest["origin"])
        place = "manifest.sig"
        signed = read_note(_text(bundle, place), key, manifest["origin"] + BUNDLE_SUFFIX)
        check.expect(place, "the manifest's size", len(bundle.manifest_bytes), signed.size)
        check.expect(place, "its sha256", sha256(bundle.manifest_bytes).hexdigest(), signed.root.hex())
        place = "checkpoint"
        head = read_note(_text(bundle, place), key, manifest["origin"])
        check.counted += 1
    except Wrong as error:
        check.fail(place, str(error))
        return None
    return head


class Tree:
    """The tree of RFC 6962, grown leaf by leaf in little memory."""

    def __init__(self) -> None:
        """Start empty."""
        self.size = 0
        self.peaks: list[bytes] = []

    def add(self, commitment: bytes) -> None:
        """Add a leaf."""
        node = sha256(b"\x00" + commitment).digest()
        at = self.size
        while at & 1:
            node = sha256(b"\x01" + self.peaks.pop() + node).digest()
            at >>= 1
        self.peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Give the root so far."""
        if not self.peaks:
            return sha256(b"").digest()
        node = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            node = sha256(b"\x01" + left + node).digest()
        return node


def check_log(
    bundle: Bundle,
    head: Head | None,
    commitments: dict[int, tuple[int, bytes]],
    files: dict[str, str],
    old: list[tuple[str, str]],
) -> None:
    """Check that the log is whole, holds every journal and file, and goes on from older heads."""
    whole = bundle.report.check("the log is whole, and every journal and payout file stands in it", SIGNATURE)
    heads = bundle.report.check(
        "the log has the root that was signed, and goes on from older heads", SIGNATURE
    )
    olds = _old_heads(bundle, heads, old)
    tree, left = Tree(), dict(commitments)
    roots = {0: tree.root()}
    for place, row in bundle.rows("log.jsonl"):
        whole.expect(place, "seq", row["seq"], tree.size)
        commitment = bytes.fromhex(row["commitment"])
        tree.add(commitment)
        roots |= {tree.size: tree.root()} if any(one.size == tree.size for _, one in olds) else {}
        if row["kind"] == "journal":
            journal, digest = left.pop(row["seq"], (0, b""))
            whole.expect(place, "the journal", row["ref"], str(journal))
            whole.expect(place, "the commitment", commitment.hex(), digest.hex())
        elif "entry" in row and "salt" in row:
            _opened(whole, place, row, files)
    for journal, _ in left.values():
        whole.fail("log.jsonl", f"journal {journal} is not in the log")
    for run in files:
        whole.fail("log.jsonl", f"the payout file of run {run} is not in the log")
    if head is not None:
        heads.expect("checkpoint", "the number of entries", head.size, tree.size)
        heads.expect("checkpoint", "the root", head.root.hex(), tree.root().hex())
    for place, one in olds:
        root = roots.get(one.size, b"")
        heads.expect(place, f"the root of the first {one.size} entries", one.root.hex(), root.hex())


def _opened(whole: Check, place: str, row: dict[str, object], files: dict[str, str]) -> None:
    """Open a commitment of a public fact, such as the hash of a payout file."""
    committed = {"entry": row["entry"], "kind": row["kind"], "ref": row["ref"]}
    digest = sha256(bytes.fromhex(str(row["salt"])) + canonical(committed)).hexdigest()
    whole.expect(place, "the commitment", row["commitment"], digest)
    entry = row["entry"]
    if row["kind"] == "payout_file" and isinstance(entry, dict) and row["ref"] in files:
        whole.expect(place, "the payout file's sha256", files.pop(str(row["ref"])), entry.get("sha256"))


def _old_heads(bundle: Bundle, heads: Check, old: list[tuple[str, str]]) -> list[tuple[str, Head]]:
    found = []
    for place, text in old:
        try:
            head = read_note(text, read_key(bundle.manifest["key"]), bundle.manifest["origin"])
        except Wrong as error:
            heads.fail(place, str(error))
            continue
        found.append((place, head))
    return found


def _text(bundle: Bundle, name: str) -> str:
    try:
        return bundle.small(name).decode()
    except UnicodeDecodeError:
        raise Unreadable(name, "is not text") from None


def _verify(key: Key, signature: bytes, signed: bytes) -> None:
    if NO_CRYPTOGRAPHY:
        raise Wrong("not checked: install the Python package `cryptography`")
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise Wrong("the signature is not right") from None


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise Wrong("not base64 in its one form")
    return data
