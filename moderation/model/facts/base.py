"""Base of all facts, and how their fields are declared.

The database is a projection of these facts: the same function applies them while the bot runs and when the journal is
read again, so replaying the journal gives the same cases, credit and sanctions.

Rules kept here:
- A *public* field is an int or a short ASCII word; it goes into the skeleton and can never be erased.
- A field of a *person* (`person()`, `private(of=...)`) goes into the erasable part of that person.
- `room` is written as the group's code.

Left to others: how a fact becomes a record and back (`storage/record_mapping.py`), what follows from it
(`moderation/consequences.py`).
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from moderation.values.ids import RoomId, UserId


def person() -> Any:
    """Declare a field with the Matrix id of a person whom the fact concerns ("" if nobody)."""
    return field(default=UserId(""), metadata={"of": None})


def private(of: str) -> Any:
    """Declare a field for the erasable part of the person named by the field `of` ("" if empty)."""
    return field(default="", metadata={"of": of})


def unowned() -> Any:
    """Declare a text that concerns no person, yet may not stand in the skeleton."""
    return field(default="", metadata={"of": "nobody"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Base of all facts. `on` is the index of the record that caused it (-1: no record)."""

    KIND: ClassVar[str] = ""

    room: RoomId | None = None
    on: int = -1


def owner_of(cls: type[Fact]) -> dict[str, str | None]:
    """Map each field name to "public", "person" or the person field that owns it ("nobody")."""
    kinds: dict[str, str | None] = {}
    for item in fields(cls):
        if "of" not in item.metadata:
            kinds[item.name] = "public"
        else:
            kinds[item.name] = item.metadata["of"] or "person"
    return kinds
