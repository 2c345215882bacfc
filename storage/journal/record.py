"""What is handed to the journal, and what is read back from it.

A `Draft` has no number, no pseudonym and no salt yet: the journal gives it those. Everything in
`fields` becomes part of the skeleton, which can never be erased: so no name, no Matrix id, no event
id and no text may stand there. All that concerns a person goes into a `Part`.
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
    """A record as it stands in the journal. `parts` are as written: with `p`, `s`, or an erasure mark."""

    index: RecordIndex
    kind: str
    at_ms: int
    group: str | None
    fields: Mapping[str, int | str]
    parts: tuple[Mapping[str, Json], ...] = field(repr=False)
