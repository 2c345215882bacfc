"""Checks messages that other shards published.

Rules kept here, in this order:
1. The message is from a log that the settings name, and the key that is known for this log signed it.
2. The log continues the checkpoint that was known of it. So a log with two histories is noticed, and a missing message.
3. The record, and the record that it needs, are in the log, and each part that is shown matches its commitment.
4. The record says something that a record of its kind can say, and it is for other shards.
A message that fails is refused with a code, and nothing in it is used, with one exception: if it proves 1 and 2, the
log is known up to its checkpoint. So the messages after it can be taken.

Left to others: which key is known, and who is told (`receiver.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from moderation.model.facts import Fact, Learnt, RecordsRestored
from moderation.model.facts.base import owner_of
from moderation.shards.crossing import CROSSING, LogPlace, Purged, learnt, needed
from moderation.shards.eras import NO_ERA
from moderation.values.errors import Invalid
from moderation.values.ids import SAFE_INT, RoomId, is_user_id
from storage.journal.line_format import BadLine, decode, erased_by, is_committed, open_line
from storage.journal.record import Record
from storage.journal.record_kinds.check import is_word
from storage.journal.transparency.check_proof import is_continued, is_included
from storage.journal.transparency.checkpoint import Checkpoint, open_checkpoint
from storage.journal.transparency.signed_note import NoteVerifier
from storage.journal.transparency.tlog_proof import TlogProof
from storage.record_mapping import fact_of_record

from .envelope import MessageProof, leaf_of
from .port import MOST_BYTES, Message

Code = Literal["form", "signature", "inclusion", "part", "content", "gap", "fork"]
MAX_TEXT = 65_536  # characters of a text that a person wrote; an event of Matrix has at most as many bytes
ENDS: frozenset[Code] = frozenset({"gap", "fork"})  # after one of these, no later message of that log can be taken


@dataclass(frozen=True, slots=True)
class KnownLog:
    """The state of another log: the index of the last record that was read, and the last signed size and root."""

    position: int = -1
    size: int = 0
    root: bytes = b""
    era: str = NO_ERA


class NotProved(Invalid):
    """Raised for a message that does not hold. `code` says why. `known` is set if it proves that its log continues."""

    def __init__(self, code: Code, known: KnownLog | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.known = known


def check(message: Message, verifier: NoteVerifier, known: KnownLog) -> tuple[Learnt | None, KnownLog]:
    """Return the fact that a message proves, and the new state of its log.

    The fact is None if the person was erased since, or if that log has purged the record. Raises `NotProved`.
    """
    if len(message.body) + len(message.proof) > MOST_BYTES or not _is_era(message.era):
        raise NotProved("form")
    envelope = _envelope(message)
    checkpoint = _signed(message, envelope, verifier)
    restored = message.era != known.era and known.size > 0
    goes_on = None
    if known.size and not restored:
        _continued(envelope, checkpoint, known)
        goes_on = replace(known, size=checkpoint.size, root=checkpoint.root)
    try:
        got = _content(message, envelope, checkpoint, restored=restored)
    except NotProved as refused:
        raise NotProved(refused.code, goes_on) from None
    return got, KnownLog(message.index, checkpoint.size, checkpoint.root, message.era)


def own_key(message: Message) -> NoteVerifier:
    """Return the key that a message of a log in the settings names. Raises `NotProved`."""
    try:
        return NoteVerifier.parse(MessageProof.parse(message.proof).vkey)
    except Invalid:
        raise NotProved("form") from None


def _envelope(message: Message) -> MessageProof:
    try:
        return MessageProof.parse(message.proof)
    except (Invalid, UnicodeEncodeError):
        raise NotProved("form") from None


def _content(message: Message, envelope: MessageProof, checkpoint: Checkpoint, *, restored: bool) -> Learnt | None:
    try:
        lines = message.body.encode().split(b"\n")
    except UnicodeEncodeError:
        raise NotProved("form") from None
    if len(lines) != len(envelope.proofs):
        raise NotProved("form")
    records, purged = [], False
    for place, (line, text) in enumerate(zip(lines, envelope.proofs, strict=True)):
        proof, leaf = _proof(text), leaf_of(line)
        if place == 0 and proof.index != message.index:
            raise NotProved("inclusion")
        if leaf is None:
            records.append(_proved(line, proof, checkpoint))
        else:
            _included(leaf, proof, checkpoint)
            purged = True
    if purged and restored:
        raise NotProved("fork")
    return None if purged else _learnt(message, checkpoint, records, restored=restored)


def _signed(message: Message, envelope: MessageProof, verifier: NoteVerifier) -> Checkpoint:
    """Return the checkpoint, which must be the same in each proof. Raises `NotProved`."""
    notes = {proof.partition("\n\n")[2] for proof in envelope.proofs}
    if len(notes) != 1 or verifier.name != message.origin:
        raise NotProved("signature")
    try:
        return open_checkpoint(notes.pop(), [verifier])
    except Invalid:
        raise NotProved("signature") from None


def _continued(envelope: MessageProof, checkpoint: Checkpoint, known: KnownLog) -> None:
    if checkpoint.size < known.size:
        raise NotProved("fork")
    if envelope.before != known.size:
        raise NotProved("gap")
    if not is_continued(known.size, checkpoint.size, envelope.consistency, known.root, checkpoint.root):
        raise NotProved("fork")


def _proof(text: str) -> TlogProof:
    try:
        return TlogProof.parse(text)
    except Invalid:
        raise NotProved("form") from None


def _included(leaf: bytes, proof: TlogProof, checkpoint: Checkpoint) -> None:
    if not is_included(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root):
        raise NotProved("inclusion")


def _proved(line: bytes, proof: TlogProof, checkpoint: Checkpoint) -> Record:
    """Return a record with the parts that are shown. Raises `NotProved`."""
    try:
        opened, record = open_line(line), decode(line)
    except (BadLine, Invalid):
        raise NotProved("form") from None
    _included(opened.leaf, proof, checkpoint)
    if record.index != proof.index:
        raise NotProved("inclusion")
    commitments, shown = cast("list[str]", opened.skeleton["c"]), []
    for part, commitment in zip(opened.parts, commitments, strict=True):
        if part is None or erased_by(part) is not None:
            continue
        if not isinstance(part, dict) or not is_committed(part, commitment):
            raise NotProved("part")
        shown.append(part)
    return replace(record, parts=tuple(shown))


def _learnt(message: Message, checkpoint: Checkpoint, records: Sequence[Record], *, restored: bool) -> Learnt | None:
    place = LogPlace(
        message.origin, message.index, records[0].at_ms, checkpoint.size, checkpoint.root.hex(), message.era
    )
    try:
        fact = _fact(records[0])
        about = _fact(records[1]) if len(records) > 1 else Purged() if needed(fact) >= 0 else None
        if len(records) > 1 and needed(fact) != records[1].index:
            raise NotProved("content")
        got = learnt(fact, place, about, records[-1].at_ms)
    except Invalid as error:
        raise error if isinstance(error, NotProved) else NotProved("content") from None
    if restored and not (isinstance(fact, RecordsRestored) and fact.era == message.era):
        raise NotProved("fork")  # another history, and no record says that the log was restored
    if got.what != "restored" and not (got.subject or got.server):
        return None
    return got


def _fact(record: Record) -> Fact:
    """Return the fact of a record, with its group code in place of its room. Raises `Invalid`."""
    try:
        fact = fact_of_record(record, lambda code: RoomId(code))
    except TypeError:
        fact = None
    if fact is None or not _is_well_formed(fact):
        raise Invalid("this version does not know such a record")
    return fact


def _is_well_formed(fact: Fact) -> bool:
    """Tell whether each field of a fact has a value of its type. The other shard may run another version."""
    if type(fact) not in _SHAPES:
        return False
    return all(_fits(getattr(fact, name), hint, owner) for name, hint, owner in _SHAPES[type(fact)])


def _shape(cls: type[Fact]) -> tuple[tuple[str, Any, str | None], ...]:
    hints, owners = get_type_hints(cls), owner_of(cls)
    return tuple((item.name, hints[item.name], owners[item.name]) for item in fields(cls) if item.name != "room")


_SHAPES: dict[type[Fact], tuple[tuple[str, Any, str | None], ...]] = {cls: _shape(cls) for cls in (*CROSSING, Learnt)}


def _fits(value: object, hint: Any, owner: str | None) -> bool:
    if owner == "person":
        return isinstance(value, str) and (not value or is_user_id(value))
    if owner != "public":
        return isinstance(value, str) and len(value) <= MAX_TEXT and "\0" not in value  # which PostgreSQL cannot keep
    allowed = _words(hint)
    if allowed:
        return value in allowed
    if hint is int:
        return type(value) is int and -SAFE_INT <= value <= SAFE_INT
    return isinstance(value, str) and is_word(value)


def _is_era(value: str) -> bool:
    """Tell whether a log can be in this era. Anybody who can write to the exchange can name another one."""
    return bool(value) and " " not in value and is_word(value)


def _words(hint: Any) -> tuple[object, ...]:
    """Return the words that a hint, or a union of hints, allows; nothing for other types."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    parts = get_args(hint)
    return tuple(word for part in parts for word in _words(part)) if parts else ()
