"""A room of a homeserver that is aligned with what is in force, and the database's view of it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

from moderation.model.context import InForce
from moderation.model.facts import KeptStep
from moderation.rooms.align_people import Alignment, Change, KeptLevel, intended
from moderation.values.ids import UserId
from moderation.values.power_levels import Power
from tests.unit.moderation.builders import BOT

CREATOR = UserId("@creator:example.org")
Crash = Literal["no", "before", "after"]


@dataclass
class AlignedRoom(ABC):
    """It carries alignments out as `bot/effects/align_room.py` does."""

    levels: dict[str, Any]
    version: str = "11"
    holds: dict[tuple[UserId, str], KeptLevel] = field(default_factory=dict)
    in_force: dict[int, InForce] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)  # corrections and overrulings
    started: int = 0

    @property
    def power(self) -> Power:
        return Power.of({"sender": CREATOR, "content": {"room_version": self.version}}, self.levels, bot=BOT)

    def align(self, crash: Crash = "no") -> Alignment:
        """Run the reconciler once; it may die before or after it has written."""
        found = self.look()
        for change in found.changes:
            if change.write:
                self._fold(intended(change))
        if crash == "before":
            return found
        self.write(found)
        if crash == "no":
            for change in found.changes:
                self._fold(change)
        return found

    @abstractmethod
    def look(self) -> Alignment:
        """Return what is to be done."""

    @abstractmethod
    def write(self, found: Alignment) -> None:
        """Do it on the homeserver, if the bot may."""

    @abstractmethod
    def subject_of(self, change: Change) -> str:
        """Return of whom or of what people are told."""

    def _fold(self, change: Change) -> None:
        """Apply a `Held` as `storage/projections/` does."""
        key = (change.user, change.what)
        if change.step == "released":
            self.holds.pop(key, None)
            return
        corrections = self.holds[key].corrections if key in self.holds else 0
        if change.step in ("corrected", "overruled"):
            self.told.append((self.subject_of(change), change.step))
        step: KeptStep = "held" if change.step == "corrected" else change.step
        more = change.step == "corrected"
        self.holds[key] = KeptLevel(change.user, change.what, step, change.prior, change.held, corrections + more)
