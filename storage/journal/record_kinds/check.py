"""Holds a draft of a record against the table of kinds, before it is written."""

from moderation.values.errors import Broken
from moderation.values.ids import SAFE_INT, is_event_id, is_group_code, is_room_id, is_user_id
from storage.journal.record import Draft

from .table import KINDS

RESERVED_DATA = frozenset({"p", "s", "erased"})  # names that the journal adds to a part
MAX_WORD = 64
_LAST_MS = 253_402_300_799_999  # the end of the year 9999

_TYPES = {
    name: {word: int if entry.type == "int" else str for word, entry in kind.fields.items()}
    for name, kind in KINDS.items()
}


def check_draft(draft: Draft) -> None:
    """Check that `draft` may become a record. Raises `Broken`, naming what is wrong; changes nothing."""
    types = _TYPES.get(draft.kind)
    if types is None:
        raise Broken(f"there is no kind of record {draft.kind!r}; see storage/journal/record_kinds/")
    for name, value in draft.fields.items():
        if types.get(name) is not type(value):
            raise Broken(f"record of kind {draft.kind}: field {name!r} {_fault(draft.kind, name)}")
        if isinstance(value, str):
            _check_word(draft.kind, name, value)
        elif not -SAFE_INT <= value <= SAFE_INT:
            raise Broken(f"record of kind {draft.kind}: field {name!r} is beyond 2^53 - 1")
    if draft.group is not None and not is_group_code(draft.group):
        raise Broken(f"record of kind {draft.kind}: {draft.group!r} is not a group code")
    if type(draft.at_ms) is not int or not 0 <= draft.at_ms <= _LAST_MS:
        raise Broken(f"record of kind {draft.kind}: {draft.at_ms!r} is not a time")
    for part in draft.parts:
        if not RESERVED_DATA.isdisjoint(part.data):
            raise Broken(f"record of kind {draft.kind}: a part uses a name kept for the journal")


def is_word(value: str) -> bool:
    """Tell whether a field of a record can hold a word: short printable ASCII, and no Matrix id."""
    return _is_short(value) and not _is_matrix_id(value)


def _fault(kind: str, name: str) -> str:
    known = KINDS[kind].fields.get(name)
    return f"must be {known.type}" if known else "is not in the table; see storage/journal/record_kinds/"


def _check_word(kind: str, name: str, value: str) -> None:
    if not _is_short(value):
        raise Broken(f"record of kind {kind}: field {name!r} must be at most {MAX_WORD} printable ASCII letters")
    if _is_matrix_id(value):
        raise Broken(f"record of kind {kind}: field {name!r} holds a Matrix id, which belongs into a part")


def _is_short(value: str) -> bool:
    return len(value) <= MAX_WORD and value.isascii() and value.isprintable()


def _is_matrix_id(value: str) -> bool:
    return value[:1] in ("@", "!", "$") and (is_user_id(value) or is_room_id(value) or is_event_id(value))
