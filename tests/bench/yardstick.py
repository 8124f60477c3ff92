"""What no verifier of a bundle can do without: unpack, hash and parse each line, and check both signatures.

It runs as a program of its own, so that its time and memory are counted as those of `fairlabel verify` are.
"""

import base64
import json
import sys
from hashlib import sha256
from zipfile import ZipFile

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from payments.signed_note import verify_note


def main(path: str, key: str) -> None:
    """Read a bundle whose key is given as instances publish it."""
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.split("+", 2)[2])[1:])
    with ZipFile(path) as bundle:
        for name in ("manifest.sig", "checkpoint"):
            verify_note(bundle.read(name).decode(), public)
        for name in bundle.namelist():
            if name.endswith(".jsonl"):
                summed = sha256()
                with bundle.open(name) as lines:
                    for line in lines:
                        summed.update(line)
                        json.loads(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
