"""The values that are handed to the journal, and those that are read back from it.

A `Draft` has no number, pseudonym or salt yet: the journal adds them. Everything in `fields` becomes
part of the skeleton, which can never be erased: so no name, Matrix id, event id or text may be in it.
Everything that concerns a person goes into a `Part`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from moderation.values.events import Json
from moderation.values.ids import PersonId, RecordIndex

NOBODY = PersonId("")  # the owner of a part that concerns no person, such as the text of a rule


@dataclass(frozen=True, slots=True)
class Part:
    """One erasable part of a record, and the person it concerns (`NOBODY` if none)."""

    person: PersonId
    data: Mapping[str, Json] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Draft:
    """A record before it has a place in the journal."""

    kind: str
    at_ms: int  # time of receipt, milliseconds since 1970 UTC
    group: str | None = None  # group code, never a room id
    fields: Mapping[str, int | str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is in the journal. `parts` are as written: with `p` and `s`, or with an erasure mark."""

    index: RecordIndex
    kind: str
    at_ms: int
    group: str | None
    fields: Mapping[str, int | str]
    parts: tuple[Mapping[str, Json], ...] = field(repr=False)
