"""Somebody who runs one room asks about, or gives orders against, people who have nothing to do with it."""

import pytest

from moderation.model.actions.base import Action
from moderation.model.actions.telling import Say, Tell
from moderation.model.facts import CaseOpened, ContentRead, SanctionStarted
from moderation.values.ids import RoomId
from tests.fuzz.world import ANN, BEN, DEMOTED, GROUP, MAX, MIA, OTHER, OTHER_MAX, OTHER_OWNER, OWNER, World

NOBODY = "@nobody:example.org"
THIRTY_DAYS_MS = 30 * 86_400_000


def answer(actions: list[Action]) -> list[str]:
    """Return the message keys of the answer."""
    return [line.key for action in actions if isinstance(action, Say | Tell) for line in action.lines]


@pytest.mark.parametrize("command", ["credit", "history"])
def test_a_manager_learns_nothing_of_people_of_other_rooms(world: World, command: str) -> None:
    desk = world.desks[OTHER]
    facts, actions = world.door.say(desk, OTHER_MAX, f"!{command} {BEN}")  # of the group of somebody else
    unknown, same = world.door.say(desk, OTHER_MAX, f"!{command} {NOBODY}")
    assert answer(actions) == answer(same) == ["error.target.not-here"]
    assert [fact for fact in (*facts, *unknown) if isinstance(fact, ContentRead)] == []
    _, own = world.door.say(world.desks[GROUP], MAX, f"!{command} {BEN}")
    assert answer(own)[0] in ("credit.now", "history.head")


def test_a_manager_learns_nothing_of_measures_against_a_member_in_other_rooms(world: World) -> None:
    world.door.say(world.desks[GROUP], MAX, f"!mute {ANN} 1h because")
    _, elsewhere = world.door.say(world.desks[OTHER], OTHER_MAX, f"!credit {ANN}")
    assert answer(elsewhere) == ["credit.now"]
    _, there = world.door.say(world.desks[GROUP], MAX, f"!credit {ANN}")
    _, own = world.door.say(world.direct[ANN], ANN, "!credit")
    assert answer(there) == answer(own) == ["credit.now", "credit.in-force.mute"]


def test_a_manager_does_not_learn_that_a_member_runs_another_room(world: World) -> None:
    _, elsewhere = world.door.say(world.desks[OTHER], OTHER_MAX, f"!credit {OWNER}")
    assert answer(elsewhere) == ["credit.now"]
    _, there = world.door.say(world.desks[GROUP], MAX, f"!credit {OWNER}")
    _, own = world.door.say(world.direct[OWNER], OWNER, "!credit")
    assert answer(there) == answer(own) == ["credit.now", "standing.now"]


@pytest.mark.parametrize("command", ["case", "uphold", "dismiss", "note", "ack"])
def test_the_number_of_a_case_tells_a_stranger_nothing_of_its_room(world: World, command: str) -> None:
    n = next(n for n, (room, _) in world.cases.items() if room == GROUP)
    direct = world.direct[OTHER_OWNER]
    words = " what they said" if command == "note" else ""
    facts, theirs = world.door.say(direct, OTHER_MAX, f"!{command} {n}{words}")
    direct = world.direct[OTHER_MAX]
    _, theirs = world.door.say(direct, OTHER_MAX, f"!{command} {n}{words}")
    _, none = world.door.say(direct, OTHER_MAX, f"!{command} 99999{words}")
    assert answer(theirs) == answer(none) == ["error.case.none"]
    assert facts == []


@pytest.mark.parametrize("command", ["warn", "mute", "kick", "ban"])
def test_nothing_is_said_to_people_who_were_never_in_the_room(world: World, command: str) -> None:
    words = f"!{command} {NOBODY} Your account is locked, see example.com"
    facts, actions = world.door.say(world.desks[OTHER], OTHER_MAX, words)
    assert answer(actions) == ["error.target.not-here"]
    assert [fact for fact in facts if isinstance(fact, CaseOpened | SanctionStarted)] == []


def test_managers_can_act_against_a_former_member_for_thirty_days(world: World) -> None:
    world.take(GROUP, BEN, "m.room.member", {"membership": "leave"}, state_key=BEN)
    world.door.now += THIRTY_DAYS_MS - 60_000
    _, actions = world.door.say(world.desks[GROUP], MAX, f"!ban {BEN}")
    assert answer(actions) != ["error.target.not-here"]
    world.door.now += 120_000
    _, actions = world.door.say(world.desks[GROUP], MIA, f"!warn {BEN}")
    assert answer(actions) == ["error.target.not-here"]


def test_a_manager_can_give_one_person_only_ten_orders_an_hour(world: World) -> None:
    told = [answer(world.door.say(world.desks[GROUP], MAX, f"!warn {BEN} again {n}")[1]) for n in range(12)]
    assert [keys == ["error.orders-limit"] for keys in told] == [False] * 10 + [True] * 2
    _, actions = world.door.say(world.desks[GROUP], MIA, f"!warn {BEN} once")
    assert answer(actions)[-1] == "done.warn"
    world.door.now += 3_600_000
    _, actions = world.door.say(world.desks[GROUP], MAX, f"!warn {BEN} later")
    assert "error.orders-limit" not in answer(actions)


def pill(user: str, shown: str) -> str:
    return f'<a href="https://matrix.to/#/{user}">{shown}</a>'


@pytest.mark.parametrize(
    ("shown", "accepted"),
    [("ben", True), ("@ben", True), (BEN, True), ("Benjamin", True), ("demoted", False), (DEMOTED, False), ("", False)],
)
def test_a_name_that_leads_to_another_person_is_refused(world: World, shown: str, accepted: bool) -> None:
    world.take(GROUP, BEN, "m.room.member", {"membership": "join", "displayname": "Benjamin"}, state_key=BEN)
    content = {"format": "org.matrix.custom.html", "formatted_body": f"!warn {pill(BEN, shown)} spam"}
    facts, actions = world.door.say(RoomId(world.desks[GROUP]), MAX, f"!warn {shown} spam", **content)
    assert ([fact.subject for fact in facts if isinstance(fact, SanctionStarted)] == [BEN]) is accepted
    assert (answer(actions)[0] == "error.user.pill") is not accepted
