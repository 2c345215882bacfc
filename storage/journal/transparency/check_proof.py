"""Checks of proofs over the tree of another log (RFC 9162, 2.1.3.2 and 2.1.4.2; the tree is that of RFC 6962).

Rules kept here:
- Nothing in the input is trusted; what does not hold is False, whatever it is.

Left to others: making proofs (`proof.py`), whose key signed the root (`checkpoint.py`).
"""

from collections.abc import Sequence

from storage.journal.merkle import HASH_BYTES, node_hash


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether the proof shows `leaf`, a leaf hash, at `index` in the tree of `size` with this root."""
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    node, last, total = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node % 2 or node == last:
            total = node_hash(sibling, total)
            node, last = _risen(node, last)
        else:
            total = node_hash(total, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and total == root


def is_continued(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Tell whether the proof shows that the tree of `new` leaves begins with that of `old`."""
    if not 0 < old <= new or not _are_hashes(old_root, new_root, *proof):
        return False
    if old == new:
        return not proof and old_root == new_root
    if not proof:
        return False
    node, last = old - 1, new - 1
    while node % 2:
        node, last = node >> 1, last >> 1
    rest = list(proof)
    first = total = rest.pop(0) if node else old_root  # a whole subtree: its root is the old root itself
    for sibling in rest:
        if last == 0:
            return False
        if node % 2 or node == last:
            first, total = node_hash(sibling, first), node_hash(sibling, total)
            node, last = _risen(node, last)
        else:
            total = node_hash(total, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and total == new_root


def _risen(node: int, last: int) -> tuple[int, int]:
    """Return the place of a node without a right sibling at the height where it is a right child."""
    while node % 2 == 0 and node:
        node, last = node >> 1, last >> 1
    return node, last


def _are_hashes(*hashes: bytes) -> bool:
    return all(len(each) == HASH_BYTES for each in hashes)
