"""Base of all facts, and how their fields are declared.

The database is a projection of these facts: the same function applies them while the bot runs and when the journal is
read again, so replaying the journal gives the same cases, credit and sanctions.

Rules kept here:
- A *public* field is an int or a short ASCII word; it goes into the skeleton and can never be erased.
- A field of a *person* (`person()`, `private(of=...)`) goes into the erasable part of that person.
- `room` is written as the group's code.

Left to others: how a fact becomes a record and back (`storage/record_mapping.py`), what follows from it
(`moderation/consequences/`).
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, dataclass_transform

from moderation.values.ids import RoomId, UserId


def person() -> Any:
    """Declare a field with the Matrix id of a person whom the fact concerns ("" if nobody)."""
    return field(default=UserId(""), metadata={"of": None})


def private(of: str, *, words: bool = False) -> Any:
    """Declare a field for the erasable part of the person named by the field `of` ("" if empty).

    `words`: it is what somebody wrote, which `content = "metadata"` forbids keeping.
    """
    return field(default="", metadata={"of": of, "words": words})


def unowned() -> Any:
    """Declare a text that concerns no person, yet may not stand in the skeleton."""
    return field(default="", metadata={"of": "nobody"})


# The views of rooms that must be read again after a fact, besides those of the people in it. "nothing": not even these.
# "all rooms": they may ask for more than before or be in another community, or somebody may have lost a role, since
# another account of theirs is barred.
Changes = Literal["nothing", "people alone", "its room", "all rooms"]


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Fact:
    """Base of all facts. `on` is the index of the record that caused it (-1: no record).

    A subclass becomes a frozen dataclass, and states its kind and its flags where it begins.
    """

    KIND: ClassVar[str] = ""
    CHANGES: ClassVar[Changes] = "its room"
    OF_ACTING: ClassVar[bool] = False  # recorded when an action is carried out, not with what caused the action
    RENAMES: ClassVar[bool] = False  # changes the names under which later facts are written, so it is applied first
    LEAN: ClassVar[bool] = False  # a field that has its default is left out of the record

    room: RoomId | None = None
    on: int = -1

    @property
    def home(self) -> RoomId:
        """The room of a fact that cannot be without one."""
        assert self.room is not None
        return self.room

    def __init_subclass__(
        cls,
        kind: str,
        *,
        changes: Changes = "its room",
        of_acting: bool = False,
        renames: bool = False,
        lean: bool = False,
    ) -> None:
        dataclass(frozen=True, kw_only=True)(cls)
        cls.KIND, cls.CHANGES, cls.OF_ACTING, cls.RENAMES, cls.LEAN = kind, changes, of_acting, renames, lean


def owner_of(cls: type[Fact]) -> dict[str, str | None]:
    """Map each field name to "public", "person" or the person field that owns it ("nobody")."""
    kinds: dict[str, str | None] = {}
    for item in fields(cls):
        if "of" not in item.metadata:
            kinds[item.name] = "public"
        else:
            kinds[item.name] = item.metadata["of"] or "person"
    return kinds


def words_in(cls: type[Fact]) -> tuple[str, ...]:
    """Return the fields with what somebody wrote."""
    return tuple(item.name for item in fields(cls) if item.metadata.get("words"))
