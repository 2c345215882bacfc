"""Entries about servers: what an ACL can carry of them, and what follows, never more than a list may."""

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.lists.book import Book, ListedEntry, digest_of
from moderation.lists.entries import Advice, Entry, PolicyList
from moderation.lists.matching import Watch
from moderation.lists.server_entries import (
    Denial,
    ServerVerdict,
    denials_of,
    facts_of_server,
    may_meet,
    server_verdict,
)
from moderation.model.context import Context, RoomView, VerificationInForce
from moderation.model.facts import CaseOpened, SanctionStarted, ServerListed
from moderation.policy import Policy, Trust
from moderation.values.ids import RoomId, UserId
from tests.unit.moderation.builders import BOT, NOON, ROOM, context, person, policy, room
from tests.unit.moderation.lists.made import made

SERVER = "one.bad.example"
STRANGER = UserId(f"@stranger:{SERVER}")
LIST = RoomId("!list")


def watch(name: str = "one", trust: Trust = "apply", **more: Any) -> Watch:
    return Watch(name, LIST, trust, **{"acl": True, **more})


def carried(
    *entries: Entry, watches: tuple[Watch, ...] = (watch(),), here: RoomView | None = None, rules: Policy | None = None
) -> list[str]:
    """Return the patterns that go into the ACL of a room when somebody of `SERVER` is there."""
    book = Book([PolicyList(each.name, LIST, entries) for each in watches])
    by_name = {each.name: each for each in watches}
    listed, there = book.match(STRANGER), here or room()
    found = denials_of(listed, SERVER, by_name, room=there, bot=BOT, policy=rules or policy())
    return [each.pattern for each in found]


@pytest.mark.parametrize(
    ("entity", "patterns"),
    [
        (SERVER, [SERVER]),
        ("ONE.bad.example", [SERVER]),
        ("*.bad.example", ["*.bad.example"]),
        ("*", []),
        ("*.example", []),
        ("*.*.example", []),
        ("*d.example", ["*d.example"]),
    ],
)
def test_an_acl_carries_names_and_patterns_that_end_in_a_whole_name(entity: str, patterns: list[str]) -> None:
    assert carried(made("server", entity)) == patterns


def test_a_hashed_entry_is_written_as_the_server_that_it_means() -> None:
    assert carried(made("server", digest=digest_of(SERVER))) == [SERVER]


@pytest.mark.parametrize(
    ("more", "patterns"),
    [
        ({"acl": False}, []),
        ({"kinds": ("user",)}, []),
        ({"senders": ("@else:*",)}, []),
        ({"rooms": ("G-AAAA",)}, []),
        ({"reach": "club"}, []),
        ({}, [SERVER]),
    ],
)
def test_only_lists_that_may_and_count_here_are_written(more: dict[str, Any], patterns: list[str]) -> None:
    assert carried(made("server", SERVER), watches=(watch(**more),)) == patterns


@pytest.mark.parametrize("advice", ["allow", "unknown"])
def test_only_what_is_against_a_server_is_written(advice: Advice) -> None:
    assert carried(made("server", SERVER, advice=advice)) == []


@pytest.mark.parametrize("entity", ["10.0.0.1", "[::1]", "::1"])
def test_no_address_is_written(entity: str) -> None:
    listed = ListedEntry("one", made("server", entity))
    found = denials_of([listed], entity, {"one": watch()}, room=room(), bot=BOT, policy=policy())
    assert list(found) == []


@pytest.mark.parametrize("entity", ["example.org", "*.org", "*ample.org", "exam?le.org"])
def test_the_servers_of_the_bot_and_of_those_who_run_the_room_are_never_written(entity: str) -> None:
    listed = ListedEntry("one", made("server", entity))
    found = denials_of([listed], "example.org", {"one": watch()}, room=room(), bot=BOT, policy=policy())
    assert list(found) == []


def test_the_server_of_an_operator_elsewhere_is_never_written() -> None:
    assert carried(made("server", "*.bad.example"), rules=policy(operators=(f"@op:{SERVER}",))) == []


@pytest.mark.parametrize(
    ("never", "patterns"),
    [
        ("@ann:one.bad.example", []),
        ("*:ONE.bad.example", []),
        ("*:*.example", []),
        ("*:o*.example", []),
        ("*:example.com", ["*.bad.example"]),
        ("@ann*", ["*.bad.example"]),
    ],
)
def test_the_servers_of_those_whom_never_names_are_never_written(never: str, patterns: list[str]) -> None:
    assert carried(made("server", "*.bad.example"), rules=policy(lists={"never": (never,)})) == patterns


def test_where_the_bot_may_not_act_nothing_is_written() -> None:
    assert carried(made("server", SERVER), here=room("observing")) == []


GLOBS = st.text("ab.*?", max_size=6)


@given(GLOBS, GLOBS)
def test_globs_meet_if_some_text_fits_both(one: str, other: str) -> None:
    assert may_meet(one, other) == may_meet(other, one)
    short = ("".join(letters) for length in range(6) for letters in product("ab.", repeat=length))
    if any(fnmatchcase(text, one) and fnmatchcase(text, other) for text in short):
        assert may_meet(one, other)


@given(st.text("ab.", max_size=8), GLOBS)
def test_a_name_meets_the_globs_that_it_fits(name: str, glob: str) -> None:
    assert may_meet(name, glob) == fnmatchcase(name, glob)


# What follows.


def judged(
    *denials: Denial,
    watches: tuple[Watch, ...] = (watch(),),
    people: tuple[Context, ...] = (),
    allowed: bool = False,
    spared: Mapping[str, Collection[str]] | None = None,
    rules: Policy | None = None,
) -> ServerVerdict | None:
    by_name = {each.name: each for each in watches}
    return server_verdict(denials, by_name, people, rules or policy(), count=1, allowed=allowed, spared=spared or {})


def denial(name: str = "one", pattern: str = SERVER) -> Denial:
    return Denial(pattern, ListedEntry(name, made("server", pattern)))


@pytest.mark.parametrize(
    ("trust", "step"), [("look", "look"), ("propose", "propose"), ("agree", "propose"), ("apply", "apply")]
)
def test_trust_decides(trust: Trust, step: str) -> None:
    found = judged(denial(), watches=(watch(trust=trust),))
    assert found is not None
    assert found.step == step


def test_lists_that_agree_are_applied() -> None:
    found = judged(denial("one"), denial("two"), watches=(watch("one", "agree"), watch("two", "propose")))
    assert found is not None
    assert (found.step, found.list) == ("apply", "one")


def test_what_another_list_allows_is_proposed() -> None:
    found = judged(denial(), allowed=True)
    assert found is not None
    assert found.step == "propose"


@pytest.mark.parametrize(
    ("who", "rules"),
    [
        (person(STRANGER, manages=frozenset({RoomId("!other")})), policy()),
        (person(STRANGER, proofs=(VerificationInForce("roster", 2, NOON + 1),)), policy()),
        (person(STRANGER), policy(lists={"never": ("@stranger*",)})),
    ],
)
def test_people_on_it_who_are_spared_leave_it_to_people(who: Any, rules: Policy) -> None:
    found = judged(denial(), people=(context(who),), rules=rules)
    assert found is not None
    assert found.step == "propose"


@pytest.mark.parametrize(
    ("servers", "is_touched"),
    [((), True), ((SERVER,), False), (("*.bad.example",), True), (("two.bad.example",), True)],
)
def test_a_spared_server_is_touched_by_other_lists_only(servers: tuple[str, ...], is_touched: bool) -> None:
    assert (judged(denial(), spared={"one": servers}) is not None) == is_touched
    assert judged(denial(), spared={"two": servers}) is not None


def test_a_pattern_that_means_a_spared_server_is_not_written() -> None:
    assert judged(denial(pattern="*.bad.example"), spared={"one": ("two.bad.example",)}) is None
    assert judged(denial(pattern="*.bad.example"), spared={"one": ("*.bad.example",)}) is None


def test_the_facts_of_a_denial() -> None:
    found = judged(denial())
    assert found is not None
    listed, opened, begun = facts_of_server(found, room(), policy(), n=4, now_ms=NOON, on=7)
    assert isinstance(listed, ServerListed)
    assert isinstance(opened, CaseOpened)
    assert isinstance(begun, SanctionStarted)
    assert (listed.n, listed.server, listed.author, listed.reason) == (4, SERVER, "@mod:lists.example", "spam")
    assert (opened.n, opened.state, opened.subject) == (4, "decided", "")
    assert (begun.room, begun.kind, begun.server, begun.basis) == (ROOM, "server", SERVER, "list")
    assert begun.until == NOON + policy().lists.lasts
    assert {fact.on for fact in (listed, opened, begun)} == {7}


def test_the_facts_of_a_proposal_wait_for_people() -> None:
    found = judged(denial(), watches=(watch(trust="propose"),))
    assert found is not None
    _, opened = facts_of_server(found, room(), policy(), n=4, now_ms=NOON, on=7)
    assert isinstance(opened, CaseOpened)
    assert (opened.state, opened.due > NOON, opened.subject) == ("open", True, "")
