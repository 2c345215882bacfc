"""People who are new in a room cannot post some things yet."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.judge.judge import judge
from moderation.judge.newcomers import held_in
from moderation.model.context import Choices, Context, VerificationInForce
from moderation.model.facts import SanctionStarted
from moderation.values.events import Media
from moderation.values.ids import EventId, UserId
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    MARK,
    MINA,
    MINUTE,
    NOON,
    OLGA,
    OPERA,
    ROOM,
    compiled,
    context,
    person,
    policy,
    room,
    said,
    terms,
)

ALL = policy(newcomers={"hold": ["links", "media", "mentions", "invites"]})
LINK = "look: https://example.org/x"


def newcomer(came: int = NOON, stand: int = 0, **known: Any) -> Context:
    """Return Anna, who came at `came` and has so many messages there."""
    known = {"user": ANNA, "came": {ROOM: came}} | known
    return replace(context(person(**known)), said=stand)


def held(what: str, left_ms: int = 10 * MINUTE, messages: int = 3, quiet: int = 0) -> tuple[SanctionStarted, ...]:
    return (
        SanctionStarted(
            room=ROOM,
            on=7,
            kind="redact",
            basis="rule",
            rule=f"new_member_{what}",
            every=left_ms,
            messages=messages,
            quiet=quiet,
            subject=ANNA,
            event=EventId("$said"),
        ),
    )


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("hello", ""),
        (LINK, "links"),
        ("come to example.org", "links"),
        ("come to https://matrix.to/#/#spam:evil.example", "invites"),
        ("matrix.to/#/%23spam%3Aevil.example", "invites"),
        ("join #spam:evil.example now", "invites"),
        ("https://app.element.io/#/room/!spam:evil.example", "links"),
        (f"as in https://matrix.to/#/{ROOM}/$event", ""),
        ("I wrote #42: done", ""),
    ],
)
def test_what_somebody_new_posts_is_held_back_by_its_kind(words: str, what: str) -> None:
    assert judge(said(words), newcomer(), ALL, (), 7) == (held(what) if what else ())


def test_media_and_many_mentions_are_held_back() -> None:
    file = said("", media=(Media("image", url="mxc://example.org/x"),))
    assert judge(file, newcomer(), ALL, (), 7) == held("media")
    to_all = replace(said("hey"), mentions_room=True)
    assert judge(to_all, newcomer(), ALL, (), 7) == held("mentions")
    some = replace(said("hey"), mentions=frozenset({MARK, MINA}))
    assert judge(some, newcomer(), ALL, (), 7) == ()
    many = replace(said("hey"), mentions=frozenset({MARK, MINA, OLGA}))
    assert judge(many, newcomer(), ALL, (), 7) == held("mentions")


def test_an_edit_brings_nothing_that_the_message_could_not() -> None:
    assert judge(said(LINK, replaces="$first"), newcomer(), ALL, (), 7) == held("links")


@pytest.mark.parametrize(
    ("came", "stand", "left", "more"),
    [
        (NOON, 0, 10 * MINUTE, 3),
        (NOON - 9 * MINUTE, 3, MINUTE, 0),  # enough messages, but too early
        (NOON - 60 * MINUTE, 2, 0, 1),  # waited, and wrote too little
        (NOON - 10 * MINUTE, 3, 0, 0),
    ],
)
def test_somebody_is_new_until_both_time_and_messages_are_reached(came: int, stand: int, left: int, more: int) -> None:
    found = judge(said(LINK), newcomer(came, stand), ALL, (), 7)
    assert found == (held("links", left, more) if left or more else ())


def test_nobody_is_new_who_was_there_before_the_bot() -> None:
    assert judge(said(LINK), context(), ALL, (), 7) == ()


def test_people_are_told_once_of_any_of_it() -> None:
    knows = newcomer(told={(ROOM, "new_member_media"): NOON})
    assert judge(said(LINK), knows, ALL, (), 7) == held("links", quiet=1)


@pytest.mark.parametrize("level", [1, 2])
def test_verified_people_are_not_newcomers(level: int) -> None:
    proofs = (VerificationInForce("vouch", level, NOON + 1),)
    assert judge(said(LINK), newcomer(proofs=proofs), ALL, (), 7) == ()
    strict = policy(newcomers={"hold": ["links"], "unless": {}})
    assert judge(said(LINK), newcomer(proofs=proofs), strict, (), 7) == held("links")


def test_people_of_a_bridge_can_be_left_out() -> None:
    bridge = policy(newcomers={"hold": ["links"], "unless": {"users": ["@_irc_*:example.org"]}})
    ghost = UserId("@_irc_anna:example.org")
    known = newcomer(user=ghost)
    assert judge(said(LINK, ghost), known, bridge, (), 7) == ()


def test_managers_and_operators_are_not_newcomers() -> None:
    manager = newcomer(user=MARK, manages=frozenset({ROOM}))
    assert judge(said(LINK, MARK), manager, ALL, (), 7) == ()
    assert judge(said(LINK, OPERA), newcomer(user=OPERA), ALL, (), 7) == ()


def test_nothing_is_held_back_where_the_bot_may_not_act() -> None:
    looking_on = replace(newcomer(), room=room("observing"))
    assert judge(said(LINK), looking_on, ALL, (), 7) == ()


def test_what_a_rule_removed_is_not_held_back_as_well() -> None:
    rules = policy(terms("spam", "look"), newcomers={"hold": ["links"]})
    facts = judge(said(LINK), newcomer(), rules, compiled(rules), 7)
    assert [fact.rule for fact in facts if isinstance(fact, SanctionStarted)] == ["spam"]


def test_the_owners_choice_comes_on_top_of_the_operators() -> None:
    here = replace(room(), choices=Choices(hold=("media",)))
    assert held_in(here, policy()) == ("media",)
    assert held_in(here, policy(newcomers={"hold": ["links"]})) == ("links", "media")
    elsewhere = policy(newcomers={"hold": ["links"], "rooms": ["G-OTHER"]})
    assert held_in(here, elsewhere) == ("media",)


@given(came=st.integers(NOON - 100 * MINUTE, NOON), stand=st.integers(0, 10), later=st.integers(0, 100 * MINUTE))
def test_nobody_becomes_new_again(came: int, stand: int, later: int) -> None:
    now = judge(said(LINK), newcomer(came, stand), ALL, (), 7)
    after = judge(said(LINK, at=NOON + later), newcomer(came, stand), ALL, (), 7)
    assert now or not after


def test_the_bot_itself_is_not_judged() -> None:
    assert judge(said(LINK, BOT), newcomer(user=BOT), ALL, (), 7) == ()
