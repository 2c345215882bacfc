"""Three spammers have written more than the bot may remove, on a homeserver that limits it as Synapse does by default.

The bot comes. While it removes the messages, a manager bans the first spammer; the third breaks a rule that costs so
much that a ban follows automatically; the second writes more as soon as something is removed, and is muted for it.
Until all three orders are recorded, time stands still at the homeserver, which accepts ten events at once: what it
accepts after that is seen one by one. Each message is one strike and is removed once.
"""

from collections import Counter
from collections.abc import Sequence

from moderation.model.facts import CaseGrew, CaseOpened
from moderation.values.ids import EventId
from tests.fakes.homeserver_limits import BURST, PER_SECOND, Limit
from tests.fakes.homeserver_rooms import Event
from tests.long.faults.group import Said
from tests.long.faults.play import Play
from tests.long.faults.scene import Story
from tests.long.faults.seen import facts_of
from tests.theatre.rules import grave, no_elephants

RULES = no_elephants() + grave()
RULES += """
[credit]
costs = {{ minor = 5, moderate = 10, serious = 25, severe = 85 }}
incident_limit = 85
"""
WORDS = {"ann": "purple elephant", "ben": "purple elephant", "cat": "volcano"}  # of each spammer
USER = "@{}:simulated.example.org"
UNDER_WAY = 4  # requests that the bot has begun before it knows of more urgent ones
STANDING_STILL, RUNNING = 25, 250  # how many times faster than the reported wait


def _heap() -> tuple[tuple[str, str], ...]:
    said = [(name, f"{word} {n}") for n in range(5) for name, word in WORDS.items()]
    said.insert(8, ("manager", f"!ban {USER.format('ann')} 1d"))
    return tuple(said)


class Spammers(Play):
    """The story; the homeserver's time continues once the bot was refused something."""

    def before(self, meanwhile: Sequence[Said]) -> None:
        self.now_s = 0.0
        self.released = 0  # the place at which time continued
        self._refused = 0
        self.limit = self.running.server.limit = Limit(clock=lambda: self.now_s, hurry=STANDING_STILL)
        super().before(meanwhile)

    async def act(self) -> None:
        if self._removed() and self.once("more"):
            for n in range(2):
                await self.say("ben", f"purple elephant {n} again", self.room)
            await self.say("manager", f"!mute {USER.format('ben')} 1h", self.room)
        self._pass()

    def _pass(self) -> None:
        refused = self.running.server.refused
        if refused == self._refused or not self._is_all_ordered():
            return
        if not self.released:
            self.released = len(self.world.order)
            self.limit.hurry = RUNNING
        self.now_s += (BURST if self.is_at_its_end() else 1) / PER_SECOND
        self._refused = refused

    def _is_all_ordered(self) -> bool:
        ordered = self.running.rows("SELECT kind, subject FROM sanctions WHERE kind IN ('ban', 'mute')")
        wanted = {("ban", USER.format("ann")), ("mute", USER.format("ben")), ("ban", USER.format("cat"))}
        return wanted <= set(ordered)

    def is_at_its_end(self) -> bool:
        return self._stopped() and all(event.gone for event in self._spam())

    # Observations.

    def _stopped(self) -> bool:
        ann, ben, cat = (self.users[name] for name in WORDS)
        return (self.room.membership(ann), self.room.membership(cat), self.room.level(ben) < 0) == ("ban", "ban", True)

    def _spam(self) -> list[Event]:
        names = {self.users[name] for name in WORDS}
        here = self.room.events[self.room.index(self.place) :]
        kinds = ("m.room.message", "m.room.encrypted")
        return [e for e in here if e.raw["type"] in kinds and e.raw["sender"] in names]

    def _removed(self, after: int = 0) -> list[Event]:
        events = self.room.after(max(after, self.place))
        return [e for e in events if e.raw["sender"] == self.bot and e.raw["type"] == "m.room.redaction"]

    def wrong(self) -> dict[str, object]:
        """Check that writers are stopped before their messages are removed; each is one strike and removed once."""
        found: dict[str, object] = {}
        spam = {EventId(event.id) for event in self._spam()}
        facts = facts_of(self)
        strikes = Counter(f.event for f in facts if isinstance(f, CaseOpened | CaseGrew) and f.event in spam)
        removed = Counter(event.raw["redacts"] for event in self._removed())
        for name, counted in (("strikes", strikes), ("removed", removed)):
            if counted != dict.fromkeys(spam, 1):
                found[name] = [counted[event] for event in spam]
        stopped = max(self._stops(), default=self.released)
        before = [e for e in self._removed(self.released) if e.place < stopped]
        after = self._removed(stopped)
        if len(before) > UNDER_WAY * (1 + self.running.deaths) or not after:
            found["stopped late"] = (len(before), len(after))
        return found

    def _stops(self) -> list[int]:
        """Return the places of the measures that took effect after time continued."""
        mine = [e for e in self.room.after(self.released) if e.raw["sender"] == self.bot]
        return [e.place for e in mine if e.raw["type"] in ("m.room.member", "m.room.power_levels")]


SPAMMERS = Story("spammers", RULES, tuple(WORDS), _heap(), Spammers)
