"""What an export is asked for, and which parts of a record it shows.

Rules kept here: a part is shown only if it concerns one of the persons asked for, or nobody; without persons, all parts
of what was asked for are shown. Of records that are there only to support the others (`choose.py`) no part is
shown but the key in the first one and the lists in those that erased something, without which no mark can be believed.
In the place of a part that is left out stands ``null``, so that the others keep
theirs; its commitment stays. An erased part stays as it is.
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
    """Which records; what is left empty does not matter. `everything`: also the parts of other persons."""

    groups: frozenset[str] = frozenset()
    persons: frozenset[str] = frozenset()  # Matrix ids
    cases: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    everything: bool = False
    without: frozenset[int] = frozenset()  # records that are left out all the same
    bare: frozenset[int] = frozenset()  # records of which no part is shown all the same
    also: frozenset[int] = frozenset()  # records that are there whatever else is asked for
    whole: frozenset[int] = frozenset()  # of these, records of which all parts are shown

    def described(self) -> dict[str, Json]:
        """What was asked for, as JSON; what does not matter is left out."""
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
    """The line as it is exported, and its parts. `supports`: it is there only for the sake of other records."""
    parts = _shown(opened, selection, supports)
    if parts == opened.parts:
        return raw, parts  # byte for byte as it stands in the log
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
    """Whether this part says what an erasure took: numbers of records, nothing that anybody wrote."""
    return opened.skeleton["k"] == "erase" and isinstance(part, Mapping) and "records" in part


def text_of(data: Json, name: str) -> str:
    """A text in a part or its content; "" if there is none."""
    value = data.get(name) if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else ""
