"""Orders for several rooms: never more than the same person could do in each of them by hand."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from moderation.cases.everywhere import lift_everywhere, sanction_everywhere
from moderation.cases.manager_orders import Order, lift, sanction
from moderation.model.context import InForce, RoomView
from moderation.model.facts import CaseOpened, Fact, SanctionEnded, SanctionStarted
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from tests.unit.moderation.builders import ANNA, BOT, HOUR, MARK, NOON, OLGA, OPERA, context, person, policy, room

HERE = RoomId("!here:example.org")
NAMES = (HERE, *(RoomId(f"!room{n}:example.org") for n in range(4)))
POLICY = policy()
COMMUNITIES = ("club", "other", "")
KINDS: tuple[Literal["mute", "kick", "ban"], ...] = ("mute", "kick", "ban")

levels = st.fixed_dictionaries(
    {
        "users": st.fixed_dictionaries(
            {BOT: st.just(100)}, optional=dict.fromkeys((OLGA, MARK, ANNA), st.sampled_from([-1, 0, 25, 50, 100]))
        ),
        "kick": st.sampled_from([0, 50, 75]),
        "ban": st.sampled_from([0, 50, 75]),
    }
)


def rooms(name: RoomId) -> st.SearchStrategy[RoomView]:
    def made(levels: Any, community: str, condition: Any, version: str, suspended: bool) -> RoomView:
        view = room(condition, levels=levels, version=version, name=name)
        return replace(view, community=community, suspended=frozenset({MARK} if suspended else ()))

    conditions = st.sampled_from(["protected", "protected", "observing", "left"])
    versions = st.sampled_from(["11", "11", "12"])
    return st.builds(made, levels, st.sampled_from(COMMUNITIES), conditions, versions, st.booleans())


held = st.builds(
    lambda record, kind, where, basis, reach: InForce(record, kind, where, ANNA, NOON + HOUR, basis, 2, reach=reach),
    st.integers(1, 99),
    st.sampled_from(KINDS[::2]),
    st.sampled_from([*NAMES, None]),
    st.sampled_from(["command", "credit", "operator", "decision"]),
    st.sampled_from(["", "club"]),
)
holding = st.lists(held, max_size=4, unique_by=lambda each: each.record)
places = st.tuples(*map(rooms, NAMES))
people = st.sampled_from([MARK, OLGA, OPERA, ANNA])


def ordered(by: UserId, here: RoomView, holding: list[InForce]) -> Order:
    target = person(ANNA, in_force=tuple(holding))
    return Order(by=by, on=7, context=context(target, here=here), policy=POLICY)


def done(give: Callable[[], tuple[Fact, ...]]) -> tuple[Fact, ...] | str:
    try:
        return give()
    except Refused as refused:
        return refused.key


def by_hand(by: UserId, there: RoomView, holding: list[InForce], give: Callable[[Order], Any]) -> tuple[Fact, ...]:
    facts = done(lambda: give(ordered(by, there, holding)))
    return () if isinstance(facts, str) else facts


def is_meant(by: UserId, here: RoomView, there: RoomView) -> bool:
    """Tell whether the word covers a room, as the documents say."""
    if there is here:
        return True
    return there.condition == "protected" and (by == OPERA or there.community == here.community)


@given(people, places, holding, st.sampled_from(KINDS))
def test_an_order_everywhere_does_in_each_room_what_it_would_do_there_and_nothing_else(
    by: UserId, places: tuple[RoomView, ...], holding: list[InForce], kind: Any
) -> None:
    here, *others = places
    facts = done(lambda: sanction_everywhere(ordered(by, here, holding), kind, others, until=NOON + HOUR, reason="why"))
    started = [fact for fact in facts if isinstance(fact, SanctionStarted)] if not isinstance(facts, str) else []
    alone = [
        by_hand(by, there, holding, lambda o: sanction(o, kind, until=NOON + HOUR, reason="why")) for there in places
    ]
    at_home = done(lambda: sanction(ordered(by, here, holding), kind))
    if isinstance(at_home, str) and not at_home.startswith("error.already"):
        assert facts == at_home
        return
    expected = [one[1] for one, there in zip(alone, places, strict=True) if one and is_meant(by, here, there)]
    assert started == expected
    if not expected:
        assert facts == at_home
        return
    assert [(f.room, f.n, f.subject, f.by) for f in facts if isinstance(f, CaseOpened)] == [(HERE, 1, ANNA, by)]
    assert len(facts) == 1 + len(started)


@given(people, places, holding, st.sampled_from(KINDS[::2]))
def test_lifting_everywhere_ends_in_each_room_what_it_would_end_there_and_nothing_else(
    by: UserId, places: tuple[RoomView, ...], holding: list[InForce], kind: Any
) -> None:
    here, *others = places
    facts = done(lambda: lift_everywhere(ordered(by, here, holding), kind, others))
    at_home = done(lambda: lift(ordered(by, here, holding), kind))
    if isinstance(at_home, str) and at_home.startswith(("error.right", "error.target")):
        assert facts == at_home
        return
    alone = [by_hand(by, there, holding, lambda o: lift(o, kind)) for there in places if is_meant(by, here, there)]
    expected = {fact.start for one in alone for fact in one if isinstance(fact, SanctionEnded)}
    if isinstance(facts, str):
        assert (facts, expected) == (at_home, set())
    else:
        ended = [fact.start for fact in facts if isinstance(fact, SanctionEnded)]
        assert (sorted(ended), len(facts)) == (sorted(expected), len(ended))
