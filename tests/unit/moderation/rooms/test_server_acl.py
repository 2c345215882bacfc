"""The server ACL of a room: what is written for a denial, what is given back, and which servers are never denied."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.rooms.align_people import KeptLevel
from moderation.rooms.server_acl import (
    KEPT,
    MOST_BYTES,
    MOST_SERVERS,
    align_servers,
    on_server,
    server_pattern,
    with_changes,
)
from moderation.values.errors import Refused
from moderation.values.ids import NO_USER, UserId

OPEN_TO_ALL = {"allow": ["*"], "deny": [], "allow_ip_literals": True}


def kept(step: str = "held", corrections: int = 0, server: str = "bad.example") -> dict[str, KeptLevel]:
    return {server: KeptLevel(NO_USER, KEPT + server, step, "-", "deny", corrections)}  # type: ignore[arg-type]


def steps(content: Any, wanted: tuple[str, ...], holds: dict[str, KeptLevel], *, may: bool = True) -> Any:
    found = align_servers(content, wanted, holds, may=may)
    return [(change.step, change.write) for change in found.changes], [what for _, what in found.impossible]


def after(content: Any, wanted: tuple[str, ...], holds: dict[str, KeptLevel]) -> dict[str, object]:
    return with_changes(content, align_servers(content, wanted, holds, may=True))


# What is written.


def test_where_there_was_no_list_all_others_are_let_in() -> None:
    assert after(None, ("bad.example",), {}) == {**OPEN_TO_ALL, "deny": ["bad.example"]}


def test_all_else_in_the_list_stays_as_it_is() -> None:
    content = {"allow": ["*.org"], "deny": ["Worse.example", 7], "allow_ip_literals": False, "org.more": 1}
    changed = after(content, ("bad.example",), {})
    assert changed == {**content, "deny": ["Worse.example", 7, "bad.example"]}
    assert after({**changed, "org.more": 2}, (), kept()) == {**content, "org.more": 2}


def test_what_others_denied_before_stays_when_the_denial_ends() -> None:
    content = {"allow": ["*"], "deny": ["BAD.example"]}
    assert steps(content, ("bad.example",), {}) == ([], [])


def test_several_denials_are_written_together_and_given_back_alone() -> None:
    both = after(None, ("b.example", "a.example"), {})
    assert both["deny"] == ["a.example", "b.example"]
    assert after(both, ("a.example",), kept(server="a.example") | kept(server="b.example"))["deny"] == ["a.example"]
    assert after({**OPEN_TO_ALL, "deny": ["a.example"]}, (), kept(server="a.example")) == OPEN_TO_ALL


# What people change by hand, and what the bot may not do.


@pytest.mark.parametrize(
    ("denied", "wanted", "holds", "expected"),
    [
        ([], True, {}, [("held", True)]),
        ([], True, kept("intended"), [("held", True)]),  # stopped before it was written
        (["bad.example"], True, kept("intended"), [("held", False)]),  # or after
        (["bad.example"], True, kept(), []),
        ([], True, kept(), [("corrected", True)]),
        ([], True, kept(corrections=2), [("overruled", False)]),
        ([], True, kept("overruled"), []),
        (["bad.example"], False, kept(), [("released", True)]),
        ([], False, kept(), [("released", False)]),
        (["bad.example"], False, kept("overruled"), [("released", False)]),  # by now it is somebody else's
    ],
)
def test_a_change_by_hand_is_put_right_twice_and_then_respected(
    denied: list[str], wanted: bool, holds: dict[str, KeptLevel], expected: list[tuple[str, bool]]
) -> None:
    content = {"allow": ["*"], "deny": denied}
    assert steps(content, ("bad.example",) if wanted else (), holds) == (expected, [])


def test_what_the_bot_may_not_write_is_returned_as_impossible_once() -> None:
    assert steps(None, ("a.example", "b.example"), {}, may=False) == ([], ["denied"])
    assert steps({**OPEN_TO_ALL, "deny": ["bad.example"]}, (), kept(), may=False) == ([], ["allowed"])


# Which servers may be denied.


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        ("bad.example", "bad.example"),
        ("BAD.Example:8448", "bad.example"),
        ("*.bad.example", "*.bad.example"),
        ("spam?.bad-*.co.uk", "spam?.bad-*.co.uk"),
        ("xn--fiqs8s.xn--fiqs8s", "xn--fiqs8s.xn--fiqs8s"),
    ],
)
def test_a_pattern_ends_in_a_whole_name(given: str, pattern: str) -> None:
    assert server_pattern(given) == pattern


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("10.0.0.1", "address"),
        ("10.0.0.1:8448", "address"),
        ("[2001:db8::1]", "address"),
        ("[2001:db8::1]:8448", "address"),
        ("2001:db8::1", "address"),
        ("*", "form"),
        ("localhost", "form"),
        ("bad..example", "form"),
        ("@spam:bad.example", "form"),
        ("bad.example/x", "form"),
        ("https://bad.example", "form"),
        ("бад.example", "form"),
        ("", "form"),
        ("*.*", "wide"),
        ("*.org", "wide"),
        ("??.org", "wide"),
        ("1*.2", "wide"),
        ("10.0.*", "wide"),
        ("bad.*", "wide"),
        ("bad.ex*", "wide"),
    ],
)
def test_addresses_and_half_of_the_world_are_refused(given: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        server_pattern(given)
    assert refused.value.key == f"error.acl.{why}"


@given(st.text("ab.*?-10", max_size=12), st.ip_addresses())
def test_no_pattern_that_is_taken_matches_an_address(text: str, address: Any) -> None:
    try:
        pattern = server_pattern(text)
    except Refused:
        return
    assert not fnmatchcase(str(address), pattern)
    assert not fnmatchcase(f"[{address}]", pattern)


def test_people_are_on_a_server_whatever_its_port_and_case() -> None:
    people = [UserId(f"@a:{server}") for server in ("bad.example", "BAD.example:8448", "x.bad.example", "good.example")]
    assert list(on_server(people, "bad.example")) == people[:2]
    assert list(on_server(people, "*.bad.example")) == people[2:3]


# How much fits.


def test_an_acl_stays_below_the_size_of_an_event_and_keeps_what_was_denied_first() -> None:
    long = [f"{'x' * 200}{number:03}.example" for number in range(400)]
    content = {"allow": ["*"], "deny": ["worse.example"]}
    found = align_servers(content, long, {}, may=True)
    assert found.impossible == ((NO_USER, "full"),)
    written = with_changes(content, found)
    assert MOST_BYTES - 600 < len(json.dumps(written)) <= MOST_BYTES
    denied = {change.what.removeprefix(KEPT) for change in found.changes}
    assert denied == set(long[: len(denied)])
    holds = {server: kept(server=server)[server] for server in denied}
    assert align_servers(written, (), holds, may=True).impossible == ()


def test_a_thousand_servers_of_usual_names_fit() -> None:
    names = [f"server-of-somebody-{number:04}.example.org" for number in range(MOST_SERVERS)]
    assert align_servers(None, names, {}, may=True).impossible == ()
