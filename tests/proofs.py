"""Checks of proofs, for tests: of a record, and over the tree (as in RFC 9162, 2.1.3.2 and 2.1.4.2); and cosignatures.

Nothing in the input is trusted. What does not hold raises `NotProved`, which says what.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from moderation.values.errors import Invalid
from moderation.values.events import Json
from moderation.values.ids import RecordIndex
from storage.journal.line_format import BadLine, DecodedLine, erased_by, is_committed, open_line
from storage.journal.merkle import HASH_BYTES, node_hash
from storage.journal.transparency.checkpoint import Checkpoint, open_checkpoint
from storage.journal.transparency.cosignature import Cosigner
from storage.journal.transparency.signed_note import NoteVerifier, signature_line
from storage.journal.transparency.tlog_proof import TlogProof


class NotProved(Invalid):
    """Raised if a proof does not hold. `code` says what: proof, key, signature, line, index, inclusion or part."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Proved:
    """A proved record: its index in the log of `checkpoint`, its skeleton, and its parts, None for each not shown."""

    index: RecordIndex
    checkpoint: Checkpoint
    skeleton: dict[str, Json]
    parts: tuple[Json, ...]


def cosign(name: str, seed: bytes, text: str, at_s: int) -> str:
    """Return the line with which a witness cosigns the text of a checkpoint (C2SP tlog-cosignature, v1)."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    signature = key.sign(f"cosignature/v1\ntime {at_s}\n{text}".encode())
    ident = Cosigner(name, key.public_key().public_bytes_raw()).key_id
    return signature_line(name, ident + at_s.to_bytes(8) + signature)


def check_proof(leaf: bytes, text: str, vkeys: Sequence[str]) -> tuple[int, Checkpoint]:
    """Check a proof file for a leaf hash, with one of these keys only. Raises `NotProved`."""
    try:
        proof = TlogProof.parse(text)
    except Invalid as error:
        raise NotProved("proof", str(error)) from error
    checkpoint = _checkpoint(proof.note, vkeys)
    if not verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root):
        raise NotProved(
            "inclusion",
            f"the record does not stand at place {proof.index} of the log that was signed; it or the proof was altered",
        )
    return proof.index, checkpoint


def check_record(line: bytes, text: str, vkey: str) -> Proved:
    """Check a record's line, whole or disclosed in part, against its proof file. Raises `NotProved`."""
    opened = _open(line)
    index, checkpoint = check_proof(opened.leaf, text, [vkey])
    if opened.skeleton["i"] != index:
        raise NotProved("index", f"the proof is for record {index}, the line is record {opened.skeleton['i']}")
    for number, part in enumerate(opened.parts):
        _check_part(opened, number, part)
    shown = tuple(None if erased_by(part) is not None else part for part in opened.parts)
    return Proved(RecordIndex(index), checkpoint, opened.skeleton, shown)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether the proof shows `leaf` (a leaf hash) at `index` in the tree of `size` with this root."""
    if not 0 <= index < size or not _are_hashes(leaf, *proof):
        return False
    node, last, total = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            total = node_hash(sibling, total)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            total = node_hash(total, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and total == root


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Tell whether the proof shows that the tree of `new` leaves continues the one of `old`."""
    if not 0 <= old <= new or not _are_hashes(*proof):
        return False
    if old in (0, new):  # nothing to continue, or the same
        return not proof and (old == 0 or old_root == new_root)
    if not proof:
        return False
    return _fold_consistency(old, new, proof, old_root, new_root)


def _fold_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    rest = list(proof)
    first = total = rest.pop(0) if node else old_root  # a whole subtree: its root is the old root itself
    for sibling in rest:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, total = node_hash(sibling, first), node_hash(sibling, total)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            total = node_hash(total, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and total == new_root


def _open(line: bytes) -> DecodedLine:
    try:
        return open_line(line.removesuffix(b"\n"))
    except BadLine as error:
        raise NotProved("line", f"this is not a line of the log ({error.code})") from error


def _check_part(opened: DecodedLine, number: int, part: Json) -> None:
    """Check that a shown part matches its commitment; one that is not shown proves nothing. Raises `NotProved`."""
    if part is None or erased_by(part) is not None:
        return
    holds = is_committed(part, cast("list[str]", opened.skeleton["c"])[number])
    if not holds:
        raise NotProved("part", f"part {number + 1} is not what was recorded; it was altered")


def _checkpoint(note: str, vkeys: Sequence[str]) -> Checkpoint:
    try:
        verifiers = [NoteVerifier.parse(vkey.strip()) for vkey in vkeys]
    except Invalid as error:
        raise NotProved("key", str(error)) from error
    try:
        return open_checkpoint(note, verifiers)
    except Invalid as error:
        raise NotProved("signature", str(error)) from error


def _are_hashes(*hashes: bytes) -> bool:
    return all(len(each) == HASH_BYTES for each in hashes)
