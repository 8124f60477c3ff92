"""The tree of RFC 6962: one hash over a list that only grows, with short proofs of what is in it.

A proof of inclusion shows that an entry stands under a root; a proof of consistency shows that an older root
covers the beginning of the same list. Builders take `subtree(start, end)`, so that a database may answer from
stored nodes; verifiers need nothing but the hashes they are given.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import reduce
from hashlib import sha256
from typing import Final

EMPTY: Final = sha256(b"").digest()

Subtree = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """Hash one leaf; the prefix keeps a leaf from posing as a node."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours into their parent."""
    return sha256(b"\x01" + left + right).digest()


def split(width: int) -> int:
    """Give the largest power of two below the width, where a tree of that width divides."""
    return 1 << ((width - 1).bit_length() - 1)


def root(leaves: Sequence[bytes]) -> bytes:
    """Give the root over leaf hashes."""
    return subtree_of(leaves)(0, len(leaves))


def roots(leaves: Iterable[bytes], sizes: Collection[int]) -> dict[int, bytes]:
    """Give the root over the first leaves for each of these sizes, as far as there are so many, in one pass."""
    made = {0: EMPTY} if 0 in sizes else {}
    peaks: list[bytes] = []
    for count, leaf in enumerate(leaves, 1):
        peaks.append(leaf)
        for _ in range((count & -count).bit_length() - 1):
            peaks[-2:] = [node_hash(*peaks[-2:])]
        if count in sizes:
            made[count] = reduce(lambda right, left: node_hash(left, right), reversed(peaks))
    return made


def subtree_of(leaves: Sequence[bytes]) -> Subtree:
    """Answer for subtrees from a list of leaf hashes."""

    def subtree(start: int, end: int) -> bytes:
        if start == end:
            return EMPTY
        level = list(leaves[start:end])
        while len(level) > 1:
            paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
            level = paired + level[len(paired) * 2 :]
        return level[0]

    return subtree


def inclusion_path(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Give the neighbours of a leaf from the bottom up."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} among {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    return path[::-1]


def consistency_path(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Give the nodes that turn the old root into the new one."""
    if not 0 <= old <= new:
        raise ValueError(f"a list of {new} was never {old} long")
    if old in {0, new}:
        return []
    path: list[bytes] = []
    start, end = 0, new
    whole = True
    while end != old:
        middle = start + split(end - start)
        if old <= middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start = middle
            whole = False
    # The old tree itself need not be told to someone who holds its root.
    return path[::-1] if whole else [subtree(start, end), *path[::-1]]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> bool:
    """Check that a leaf hash stands at an index under a root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, made = index, size - 1, leaf
    for neighbour in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            made = node_hash(neighbour, made)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            made = node_hash(made, neighbour)
        place, last = place >> 1, last >> 1
    return last == 0 and made == expected


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Check that a root covers the beginning of what another covers (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == 0:
        return not path and old_root == EMPTY and (new > 0 or new_root == EMPTY)
    if old == new:
        return not path and old_root == new_root
    nodes = list(path) if old & (old - 1) else [old_root, *path]
    if not nodes:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    made_old = made_new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            made_old, made_new = node_hash(node, made_old), node_hash(node, made_new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            made_new = node_hash(made_new, node)
        place, last = place >> 1, last >> 1
    return last == 0 and made_old == old_root and made_new == new_root
