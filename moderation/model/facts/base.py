"""What all facts share, and how their fields are declared.

The database is a projection of these facts: the same function applies them while the bot runs and
when the journal is read again, so replaying the journal gives the same cases, credit and sanctions.

Rules this module keeps: a field is either *public*, an int or a short ASCII word that goes into the
skeleton and can never be erased; or it belongs to a *person* (`person()`, `private(of=...)`), and
goes into the erasable part of that person. `room` is written as the group's code. Left to others: how a
fact becomes a record and back (`storage/record_mapping.py`), what follows from it (`moderation/consequences.py`).
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from moderation.values.ids import RoomId, UserId


def person() -> Any:
    """A field that holds the Matrix id of a person the fact concerns ("" for none)."""
    return field(default=UserId(""), metadata={"of": None})


def private(of: str) -> Any:
    """A field that belongs into the erasable part of the person named by the field `of` ("" for none)."""
    return field(default="", metadata={"of": of})


def unowned() -> Any:
    """A text that concerns no person, yet may not stand in the skeleton."""
    return field(default="", metadata={"of": "nobody"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What all facts share. `on` is the index of the record that gave rise to it (-1: none)."""

    KIND: ClassVar[str] = ""

    room: RoomId | None = None
    on: int = -1


def owner_of(cls: type[Fact]) -> dict[str, str | None]:
    """Field name -> "public", "person" or the name of the person field it belongs to ("nobody")."""
    kinds: dict[str, str | None] = {}
    for item in fields(cls):
        if "of" not in item.metadata:
            kinds[item.name] = "public"
        else:
            kinds[item.name] = item.metadata["of"] or "person"
    return kinds
