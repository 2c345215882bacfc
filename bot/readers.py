"""Lists who read records about a person, for that person.

Rules kept here: whatever stands in a record, the list comes: what a record does not say clearly counts as having been
about anybody. What was asked for about somebody else alone is left out.
Left to others: writing these records (`schedule.py`, `operations*.py`), giving the list (`own_data.py`).
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import orjson

from moderation.ids import UserId
from storage.records.draft import Record
from storage.records.reader import Log

PROVED = "identity"  # `what` of the records of who read what a person proved about themselves


def readers_of(
    records: Path, user: UserId, hidden: frozenset[int] = frozenset(), accounts: Collection[UserId] = ()
) -> bytes:
    """Return, as JSON, each time when content was read or exported that was, or may have been, about a person.

    Files about the person that are `hidden` are left out.
    """
    own = {user, *accounts}
    found = [_entry(record, own, hidden) for record in Log(records).read() if record.kind in ("access", "export")]
    return orjson.dumps([each for each in found if each], option=orjson.OPT_INDENT_2)


def _entry(record: Record, own: Collection[str], hidden: Collection[int]) -> dict[str, Any] | None:
    said = {name: value for part in record.parts for name, value in part.items() if name not in ("p", "s")}
    asked = _filters(said.get("filters"))
    if _is_one_of(asked.get("dossier"), hidden):
        return None
    persons = _persons_of(record, asked)
    theirs = sorted(set(own) & set(persons or ()))
    if persons is not None and not theirs:
        return None
    what = record.fields.get("what", record.kind)
    case = {"case": record.fields["n"]} if what == PROVED and "n" in record.fields else {}
    only = {"persons": theirs} if persons is not None else {}
    when = {"record": record.index, "at_ms": record.at_ms, "what": what}
    return {**when, **case, "by": said.get("reader"), "reason": said.get("reason"), **only}


def _filters(text: object) -> Mapping[str, Any]:
    """Return what was asked for; nothing, unless it is an object in JSON."""
    try:
        asked = orjson.loads(text) if isinstance(text, str) else {}
    except orjson.JSONDecodeError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _is_one_of(number: object, numbers: Collection[int]) -> bool:
    return isinstance(number, int) and number in numbers


def _persons_of(record: Record, asked: Mapping[str, Any]) -> Collection[str] | None:
    """Return whom reading or an export was about; None: about anybody. What somebody proved is read of them alone."""
    if record.fields.get("what") == PROVED:
        return [str(part["mxid"]) for part in record.parts if "mxid" in part]
    persons = asked.get("person") or None
    if isinstance(persons, str):
        return [persons]
    named = isinstance(persons, list) and all(isinstance(each, str) for each in persons)
    return persons if named else None
