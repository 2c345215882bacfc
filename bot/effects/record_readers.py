"""The list of those who read records about a person, made for that person.

Rules kept here:
- The list can be made from any records: one that does not say clearly whom it is about counts as about anybody.
- What was asked for about somebody else alone is left out.

Left to others: writing these records (`bot/scheduler/scheduler.py`, `bot/admin/`), giving the list
(`personal_data.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from moderation.values.ids import UserId
from storage.journal.reader import Log
from storage.journal.record import Record

_MEASURES = "rooms "  # how `what` begins in records of orders about rooms, by which nothing is read


@dataclass(frozen=True, slots=True)
class Own:
    """A person's accounts, and the cases and files about them. They are not told of `hidden` files."""

    accounts: frozenset[UserId]
    cases: frozenset[int] = frozenset()
    files: frozenset[int] = frozenset()
    hidden: frozenset[int] = frozenset()


def readers_of(records: Path, own: Own) -> bytes:
    """Return, as JSON, each time something was read or exported that was, or may have been, about a person."""
    found = [_entry(record, own) for record in Log(records).read() if record.kind in ("access", "export")]
    return orjson.dumps([each for each in found if each], option=orjson.OPT_INDENT_2)


def _entry(record: Record, own: Own) -> dict[str, Any] | None:
    what = str(record.fields.get("what", record.kind))
    said = {name: value for part in record.parts for name, value in part.items() if name not in ("p", "s")}
    asked = _filters(said.get("filters"))
    about = _about(record, asked, own)
    if (about is not None and not about) or what.startswith(_MEASURES):
        return None
    n = record.fields.get("n", 0) or asked.get("case") or asked.get("n")
    by = next((part["mxid"] for part in record.parts if part.get("as") == "by"), said.get("reader"))
    return {
        "record": record.index,
        "at_ms": record.fields.get("read", record.at_ms),
        "what": what,
        **({"case": n} if _numbers(n) else {}),
        "by": by,
        "reason": said.get("reason"),
        **({"persons": sorted(about)} if about is not None else {}),
    }


def _filters(text: object) -> Mapping[str, Any]:
    """Return the filters of a request; empty unless the text is a JSON object."""
    try:
        asked = orjson.loads(text) if isinstance(text, str) else {}
    except orjson.JSONDecodeError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _about(record: Record, asked: Mapping[str, Any], own: Own) -> frozenset[str] | None:
    """Return those of a person's accounts that a record is about; None if it may be about anybody."""
    named = frozenset(str(part["mxid"]) for part in record.parts if part.get("as") == "subject")
    named |= _strings(asked.get("person"))
    files, cases = _numbers(asked.get("dossier")), _cases(record, asked)
    if files:
        return own.accounts if files & own.files and not files & own.hidden else frozenset()
    if named:
        return named & own.accounts
    if cases:
        return own.accounts if cases & own.cases else frozenset()
    elsewhere = bool(_numbers(asked.get("persons")))  # separate records say whom it was about
    gone = any("erased" in part for part in record.parts)  # it was about somebody whose parts were erased
    return frozenset() if elsewhere or gone else None


def _cases(record: Record, asked: Mapping[str, Any]) -> frozenset[int]:
    return _numbers(record.fields.get("n")) | _numbers(asked.get("case")) | _numbers(asked.get("n"))


def _numbers(said: object) -> frozenset[int]:
    several = said if isinstance(said, list) else [said]
    return frozenset(each for each in several if type(each) is int and each > 0)


def _strings(said: object) -> frozenset[str]:
    several = said if isinstance(said, list) else [said]
    return frozenset(each for each in several if isinstance(each, str))
