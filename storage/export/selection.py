"""The records an export is asked for, and the parts of each that it shows.

Rules kept here:
- A part is shown only if it concerns one of the persons asked for, or nobody; without persons, all parts are shown.
- Of records that only support the others (`choose.py`) no part is shown except the key in the first one and the lists
  in those that erased something, without which no mark can be believed.
- A part that is left out is replaced by ``null``, so that the others keep their places; its commitment stays.
- An erased part stays as it is.

Left to others: which records fit (`choose.py`), what may be exported at all (`bot/cli/logs/export.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from moderation.values.events import Json
from storage.journal.line_format import DecodedLine, erased_by

WITHHELD = None  # as in `storage/journal/transparency/tlog_proof.py`


@dataclass(frozen=True, slots=True)
class Selection:
    """The records asked for; an empty field sets no limit. `everything`: also the parts of other persons."""

    groups: frozenset[str] = frozenset()
    persons: frozenset[str] = frozenset()  # Matrix ids
    cases: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    everything: bool = False
    without: frozenset[int] = frozenset()  # records that are left out even if they fit
    bare: frozenset[int] = frozenset()  # records of which no part is shown even if they fit
    also: frozenset[int] = frozenset()  # records that are included whatever else is asked for
    whole: frozenset[int] = frozenset()  # of these, records of which all parts are shown

    def described(self) -> dict[str, Json]:
        """Return the request as JSON, without its empty fields."""
        found: dict[str, Json] = {
            "groups": [*sorted(self.groups)],
            "persons": [*sorted(self.persons)],
            "cases": [*sorted(self.cases)],
            "kinds": [*sorted(self.kinds)],
            "since": self.since_ms,
            "until": self.until_ms,
            "everything": self.everything,
        }
        return {name: value for name, value in found.items() if value not in ([], None, False)}


def with_parts_shown(
    raw: bytes, opened: DecodedLine, selection: Selection, *, supports: bool
) -> tuple[bytes, list[Json]]:
    """Return the line as it is exported, and its parts. `supports`: it only supports other records."""
    parts = _shown(opened, selection, supports)
    if parts == opened.parts:
        return raw, parts  # byte for byte as in the log
    return orjson.dumps({**opened.skeleton, "x": parts}), parts


def _shown(opened: DecodedLine, selection: Selection, supports: bool) -> list[Json]:
    if selection.everything or opened.skeleton["i"] in selection.whole:
        return opened.parts
    if opened.skeleton["i"] in selection.bare:
        return [part if erased_by(part) is not None or _is_list(opened, part) else WITHHELD for part in opened.parts]
    if supports:
        shown = opened.skeleton["i"] == 0
        return [part if shown or _is_list(opened, part) else WITHHELD for part in opened.parts]
    if not selection.persons:
        return opened.parts
    theirs = {text_of(part, "p") for part in opened.parts if text_of(part, "mxid") in selection.persons}
    theirs.add("")  # concerns nobody
    return [part if erased_by(part) is not None or text_of(part, "p") in theirs else WITHHELD for part in opened.parts]


def _is_list(opened: DecodedLine, part: Json) -> bool:
    """Return whether this part lists what was erased: numbers of records, nothing that anybody wrote."""
    return opened.skeleton["k"] == "erase" and isinstance(part, Mapping) and "records" in part


def text_of(data: Json, name: str) -> str:
    """Return a text in a part or its content; "" if there is none."""
    value = data.get(name) if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else ""
