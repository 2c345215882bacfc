"""The base of all actions: how urgent each may be, and how it is written as JSON."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, dataclass_transform

from moderation.values.events import Json
from moderation.values.ids import RoomId
from moderation.values.notices import Line, lines_to_json

# STOP ends what somebody does, URGENT removes what they did. OUTSIDE and PROOF go not to the homeserver, but to others,
# who may take their time; so may the homeserver with FILES, which it fetches from others, with ENTRIES and DECLINES,
# rooms that it enters, or declines to enter, through others, and a plug-in with LABELS.
PRIORITIES = range(-1, 12)
STOP, URGENT, STATE, ANSWER, CARD, NOTICE, NICETY, OUTSIDE, PROOF, FILES, LABELS, ENTRIES, DECLINES = PRIORITIES
NO_ROOM = RoomId("")  # of actions that concern no room


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Action:
    """Base of all actions. A subclass becomes a frozen dataclass, and states its properties where it begins."""

    NAME: ClassVar[str] = ""
    PRIORITY: ClassVar[int] = NOTICE
    EARLY: ClassVar[bool] = False  # needs nothing from the tables, so it can begin before they are written
    SPEAKS: ClassVar[bool] = False  # makes a message, in which the bot says something to or about people
    ADORNS: ClassVar[bool] = False  # improves what is there already, so it can wait longer
    QUEUE: ClassVar[str | None] = None  # forms of `queue` and `merge`, with the names of fields
    MERGE: ClassVar[str | None] = None
    LINES: ClassVar[frozenset[str]] = frozenset()  # names of the fields that hold lines

    room: RoomId

    def __init_subclass__(
        cls,
        name: str,
        priority: int = NOTICE,
        *,
        queue: str | None = "{room}",
        merge: str | None = None,
        early: bool = False,
        speaks: bool = False,
        adorns: bool = False,
    ) -> None:
        dataclass(frozen=True, kw_only=True)(cls)
        cls.NAME, cls.PRIORITY, cls.QUEUE, cls.MERGE = name, priority, queue, merge
        cls.EARLY, cls.SPEAKS, cls.ADORNS = early, speaks, adorns
        cls.LINES = frozenset(item.name for item in fields(cls) if item.type == tuple[Line, ...])

    @classmethod
    def text_keys(cls) -> tuple[str, ...]:
        """Return the keys of the texts that it must have: what the managers are told could not be done."""
        return (f"action.{cls.NAME}",) if cls.PRIORITY <= STATE else ()

    @property
    def priority(self) -> int:
        """Return how urgent this action is; a smaller number goes first."""
        return self.PRIORITY

    @property
    def early(self) -> bool:
        """Return whether it begins before the tables are written."""
        return self.EARLY

    @property
    def queue(self) -> str | None:
        """Return the key of the actions that are sent one at a time, in order; None: at any time, in any order."""
        return self.QUEUE and self.QUEUE.format_map(vars(self))

    @property
    def merge(self) -> str | None:
        """Return a key of actions that need to be done only once while they wait; None: each one counts."""
        return self.MERGE and self.MERGE.format_map(vars(self))


def to_json(action: Action) -> dict[str, Json]:
    """Return the action as JSON."""
    raw: dict[str, Json] = {"do": action.NAME}
    for item in fields(action):
        value = getattr(action, item.name)
        raw[item.name] = lines_to_json(value) if item.name in action.LINES else _plain(value)
    return raw


def _plain(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    return [to_json(each) if isinstance(each, Action) else each for each in value]
