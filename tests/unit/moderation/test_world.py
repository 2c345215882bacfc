"""The invariants of `world.py` hold whatever people do in a room and however time passes."""

from collections.abc import Callable
from contextlib import suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from moderation.model.builtin_rules import OVERDUE
from moderation.model.facts import Outcome
from moderation.values.errors import IllegalStep, Refused
from moderation.values.ids import UserId
from tests.examples import tried
from tests.unit.moderation.builders import ANNA, DAY, HOUR, MARK, MINA, OLGA, OPERA, policy, terms
from tests.unit.moderation.known_room import BEN
from tests.unit.moderation.world import World

# One more neglect after the first is too much, so that people are demoted before long.
STANDING = {
    "overdue": 30,
    "overdue_daily": 8,
    "overdue_at_most": 45,
    "nobody_on_duty": 35,
    "clear_error": 25,
    "bad_faith": 61,
}
RULES = (
    terms("spam", **{"class": "serious", "decide": "manager", "interim": "mute", "measure": "mute", "mute_for": "2d"}),
    terms("noise", **{"class": "severe", "measure": "mute", "mute_for": "1h"}),
)
POLICIES = (
    policy(*RULES, standing=STANDING),
    policy(*RULES, standing=STANDING, groups={"close_after_suspension": True}),
    policy(*RULES, standing={**STANDING, "overdue": 61, "overdue_at_most": 61}, operators=()),
)
PEOPLE = (OLGA, MARK, MINA, ANNA, BEN)
WHO = st.sampled_from(PEOPLE)
DECIDERS = st.sampled_from((OLGA, MARK, MINA, OPERA))
PICK = st.integers(0, 20)
AWAY = {"away": 2 * DAY, "away long": 30 * DAY, "back": 0}


class People(RuleBasedStateMachine):
    """People say things, decide, appeal, leave and return; time passes."""

    world: World

    @initialize(which=st.sampled_from(POLICIES), hours=st.sampled_from(({}, {MARK: "mon-fri 08:00-20:00 UTC"})))
    def begin(self, which: object, hours: dict[UserId, str]) -> None:
        self.world = World(which)  # type: ignore[arg-type]
        self.world.roster = dict(hours)

    def _case(self, pick: int, wanted: Callable[[int], bool] = lambda _n: True) -> int:
        found = [n for n in self.world.cases if wanted(n)]
        return found[pick % len(found)] if found else 0

    @rule(who=WHO, word=st.sampled_from(("spam", "spam", "noise")))
    def say(self, who: UserId, word: str) -> None:
        if who in self.world.joined:
            self.world.say(who, word)

    @rule(ms=st.sampled_from((HOUR, 11 * HOUR, DAY, 3 * DAY, 8 * DAY, 40 * DAY)))
    def wait(self, ms: int) -> None:
        self.world.wait(ms)

    @precondition(lambda self: self.world.cases)
    @rule(
        pick=PICK,
        what=st.sampled_from(("upheld", "dismissed")),
        by=DECIDERS,
        fault=st.sampled_from(("", "", "error", "bad-faith")),
    )
    def decide(self, pick: int, what: Outcome, by: UserId, fault: str) -> None:
        with suppress(Refused, IllegalStep):
            self.world.decide(self._case(pick), what, by, fault if what == "dismissed" else "")

    @rule(pick=PICK)
    def appeal(self, pick: int) -> None:
        def stands(n: int) -> bool:
            view = self.world.cases[n].view
            return view.state == "decided" and view.outcome == "upheld" and bool(view.subject)

        if n := self._case(pick, stands):
            with suppress(Refused):
                self.world.appeal(n)

    @rule(
        who=st.sampled_from((OLGA, MARK, MINA)),
        what=st.sampled_from(("away", "away long", "back", "leave", "come", "take", "give")),
    )
    def move(self, who: UserId, what: str) -> None:
        world = self.world
        if what in ("take", "give") and who != OLGA:
            world.give(who, 50 if what == "give" else 0)
        elif what in ("leave", "come"):
            (world.leave if what == "leave" else world.come)(who)
        elif what in AWAY:
            world.go_away(who, AWAY[what])

    @precondition(lambda self: self.world.cases)
    @rule(pick=PICK, by=DECIDERS, what=st.sampled_from(("see", "see", "note", "close", "promote")))
    def little(self, pick: int, by: UserId, what: str) -> None:
        if what == "close":
            self.world.close_old()
        elif what == "promote":
            self.world.give(ANNA, 50)
        else:
            with suppress(Refused, IllegalStep):
                (self.world.see if what == "see" else self.world.note)(self._case(pick), by)

    @invariant()
    def all_holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()


TestPeople = People.TestCase
TestPeople.settings = settings(
    max_examples=tried(120), stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_leaving_after_half_the_time_is_charged() -> None:
    for hours, charged in ((6, []), (18, [MARK])):
        world = World(POLICIES[0])
        world.say(OLGA, "spam")
        world.wait(hours * HOUR)
        world.leave(MARK)
        world.wait((25 - hours) * HOUR)
        late = [row.view.subject for row in world.cases.values() if row.view.rule == OVERDUE]
        assert [user for user in late if user == MARK] == charged
