"""The rights of people over each other, compared with what the room's own levels allow without the bot."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.duty.responsibility import (
    Deed,
    is_manager,
    is_operator,
    may_reconsider,
    require,
    require_decider,
    require_over,
)
from moderation.model.context import CaseView, PersonView
from moderation.values.errors import Refused
from moderation.values.ids import CaseNumber, PersonId, UserId
from tests.unit.moderation.builders import ANNA, BOT, MARK, MINA, NOON, OLGA, OPERA, ROOM, policy, room

POLICY = policy()
DEEDS: tuple[Deed, ...] = get_args(Deed)
# Whatever the levels.
BY_ROLE: tuple[Deed, ...] = ("warn", "vouch", "decide", "history", "language", "readonly", "slow")
OWNERS_ALONE: frozenset[Deed] = frozenset({"close", "lockdown", "policy", "reopen", "roster", "set"})
BEN = UserId("@ben:example.org")


def person(user: UserId, *others: UserId) -> PersonView:
    """Return a person with these accounts."""
    return PersonView(user, PersonId(user), frozenset({user, *others}))


def refusal(deed: Deed, actor: UserId, target: UserId | None = None, **levels: Any) -> str:
    """Return the key of the refusal; empty if it is allowed."""
    here = room(levels=levels) if levels else room()
    try:
        if target is None:
            require(deed, actor, here, POLICY)
        else:
            require_over(deed, actor, person(target), here, POLICY, BOT)
    except Refused as refused:
        return refused.key
    return ""


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize(
    ("actor", "may"),
    [(ANNA, False), (MARK, True), (OLGA, True), (OPERA, True), (UserId("@stranger:example.org"), False)],
)
def test_members_may_do_nothing_managers_nearly_all_owners_and_the_operator_everything(
    deed: Deed, actor: UserId, may: bool
) -> None:
    allowed = may and not (actor == MARK and deed in OWNERS_ALONE)
    assert refusal(deed, actor) == ("" if allowed else f"error.right.{deed}")


@pytest.mark.parametrize(
    ("levels", "allowed"),
    [
        ({"kick": 60}, {"redact", "sweep", "ban", "servers", *BY_ROLE}),
        ({"ban": 60}, {"redact", "sweep", "mute", "kick", "servers", *BY_ROLE}),
        ({"redact": 60}, {"mute", "kick", "ban", "unban", "servers", *BY_ROLE}),
        ({"kick": 60, "ban": 60}, {"redact", "sweep", "servers", *BY_ROLE}),
        ({"events": {"m.room.server_acl": 60}}, set(DEEDS) - {"servers"} - OWNERS_ALONE),
        ({"kick": 60, "ban": 60, "redact": 60}, set()),
        ({"events": {"m.room.redaction": 60}}, set(DEEDS) - {"redact", "sweep"} - OWNERS_ALONE),
    ],
)
def test_a_managers_rights_follow_the_levels_of_the_room(levels: dict[str, Any], allowed: set[str]) -> None:
    found = {deed for deed in DEEDS if not refusal(deed, MARK, users={OLGA: 100, MARK: 50}, **levels)}
    assert found == allowed


def test_a_right_of_everybody_makes_no_manager() -> None:
    for deed in DEEDS:
        if deed not in ("redact", "sweep"):  # which Matrix itself lets everybody do there
            assert refusal(deed, ANNA, kick=0, ban=0, redact=0, users_default=0) == f"error.right.{deed}"


@pytest.mark.parametrize(
    ("actor", "target", "key"),
    [
        (MARK, ANNA, ""),
        (MARK, MINA, "error.target.above"),
        (MARK, OLGA, "error.target.above"),
        (MARK, MARK, "error.target.self"),
        (MARK, BOT, "error.target.bot"),
        (OLGA, MARK, ""),
        (OPERA, OLGA, ""),
        (OPERA, OPERA, "error.target.self"),
        (OPERA, BOT, "error.target.bot"),
        (ANNA, BEN, "error.right.kick"),
        (ANNA, OLGA, "error.right.kick"),
    ],
)
def test_nobody_acts_against_an_equal_or_higher_level(actor: UserId, target: UserId, key: str) -> None:
    assert refusal("kick", actor, target) == key


def test_nobody_acts_against_a_version_12_creator() -> None:
    here = room(levels={"users": {BOT: 100, MARK: 50}}, version="12")
    for actor in (MARK, OPERA):
        with pytest.raises(Refused, match=r"error\.target\.creator"):
            require_over("ban", actor, person(OLGA), here, POLICY, BOT)


levels = st.integers(-10, 110)
rooms = st.fixed_dictionaries(
    {"users": st.dictionaries(st.sampled_from([ANNA, BEN, MARK, OLGA]), levels, max_size=4)},
    optional=dict.fromkeys(("kick", "ban", "redact", "users_default", "events_default", "state_default"), levels),
)
actors = st.sampled_from([ANNA, BEN, MARK, OLGA])


@given(rooms, actors, actors, st.sampled_from(["11", "12"]))
def test_through_the_bot_nobody_does_more_than_their_own_level_allows(
    content: dict[str, Any], actor: UserId, target: UserId, version: str
) -> None:
    here = room(levels=content, version=version)

    def may(deed: Deed) -> bool:
        try:
            require_over(deed, actor, person(target), here, POLICY, BOT)
        except Refused:
            return False
        return True

    power = here.power
    assert not may("kick") or power.can_kick(actor, target)
    assert not may("mute") or power.can_kick(actor, target)  # docs/decisions/0005
    assert not may("ban") or power.can_ban(actor, target)
    assert not may("unban") or power.can_unban(actor, target)
    assert not may("redact") or power.can_redact_others(actor)
    assert not may("warn") or power.role(actor) != "member"


@given(rooms, actors, st.sampled_from(["11", "12"]))
def test_a_person_who_may_kick_is_not_refused(content: dict[str, Any], actor: UserId, version: str) -> None:
    here = room(levels=content, version=version)
    power = here.power
    if power.can_kick(actor, BEN) and power.level(actor) > power.users_default and actor != BEN:
        require_over("kick", actor, person(BEN), here, POLICY, BOT)
        require_over("mute", actor, person(BEN), here, POLICY, BOT)


CASE = CaseView(CaseNumber(3), ROOM, MARK, PersonId(MARK), "spam", "minor", "manager", True, "open", "", NOON)


def test_the_person_concerned_is_refused_first() -> None:
    for actor, key in ((MARK, "error.case.own"), (ANNA, "error.right.decide")):
        with pytest.raises(Refused) as refused:
            require_decider(CASE, actor, room(), POLICY)
        assert refused.value.key == key
    require_decider(CASE, MINA, room(), POLICY)
    with pytest.raises(Refused, match=r"error\.case\.own"):
        require_decider(replace(CASE, subject=OPERA), OPERA, room(), POLICY)


@pytest.mark.parametrize(
    ("by", "actor", "may"),
    [
        ("", MARK, True),
        (MARK, MARK, True),
        (MARK, MINA, False),
        (MARK, OLGA, True),
        (MARK, OPERA, True),
        (OLGA, MARK, False),
    ],
)
def test_who_may_reconsider(by: UserId, actor: UserId, may: bool) -> None:
    assert may_reconsider(replace(CASE, by=by), actor, room(), POLICY) is may


def test_who_is_manager_and_who_is_operator() -> None:
    assert [user for user in (ANNA, MARK, OLGA, OPERA, BOT) if is_manager(user, room(), POLICY)] == [MARK, OLGA, OPERA]
    assert [user for user in (ANNA, MARK, OLGA, OPERA, BOT) if is_operator(user, POLICY)] == [OPERA]


def test_an_operator_without_the_rights_of_one_is_what_the_room_makes_them() -> None:
    both = POLICY.model_copy(update={"operators": (OPERA, MARK)})
    aside = both.without_operator(MARK)
    assert [user for user in (OPERA, MARK) if is_operator(user, aside)] == [OPERA]
    assert (is_manager(MARK, room(), aside), is_manager(MARK, room(levels={}), aside)) == (True, False)
    assert not may_reconsider(replace(CASE, by=MARK), MARK, room(), aside)  # it may be what they decided as an operator
    assert both.without_operator(ANNA) == both
    assert "set_aside" not in aside.model_dump_json()  # nothing that is recorded
