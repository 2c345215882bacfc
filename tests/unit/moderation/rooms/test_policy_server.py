"""The state event of a room that asks a policy server, and when the policy server counts as reached."""

from collections.abc import Mapping

import pytest

from moderation.rooms.policy_server import BACK_AFTER_MS, Reachability, asked_name, asking, to_write
from moderation.values.durations import MS_PER
from moderation.values.events import Json

OURS = asking("policy.example.org", "key")
S, M = MS_PER["s"], MS_PER["m"]


@pytest.mark.parametrize(
    ("present", "asks", "written"),
    [
        (None, True, OURS),
        ({}, True, OURS),
        (OURS, True, None),
        ({**OURS, "public_keys": {}}, True, OURS),
        ({"via": "other.example.org"}, True, None),
        (asking("before.example.org", "key"), True, OURS),
        (asking("before.example.org", "key"), False, {}),
        (asking("other.example.org", "another"), True, None),
        ({"via": "other.example.org", "public_keys": "key"}, True, None),
        ({"via": 7}, True, OURS),
        (None, False, None),
        ({}, False, None),
        (OURS, False, {}),
        ({"via": "other.example.org"}, False, None),
    ],
)
def test_only_what_is_ours_is_written_and_only_if_it_differs(
    present: Mapping[str, Json] | None, asks: bool, written: Mapping[str, Json] | None
) -> None:
    assert to_write(present, "policy.example.org", "key", asks=asks) == written


def test_the_name_of_the_one_that_is_asked() -> None:
    assert [asked_name(each) for each in (None, {}, {"via": 1}, OURS)] == ["", "", "", "policy.example.org"]


def test_it_is_down_only_after_its_time_and_back_only_after_a_while_without_a_break() -> None:
    reach = Reachability(90 * S, last_ms=0)
    reach.note(60 * S, reached=False)
    assert not reach.down
    reach.note(75 * S, reached=True)
    reach.note(150 * S, reached=False)
    assert not reach.down
    reach.note(165 * S, reached=False)
    assert reach.down
    reach.note(180 * S, reached=True)
    reach.note(180 * S + BACK_AFTER_MS - 1, reached=True)
    assert reach.down
    reach.note(180 * S + BACK_AFTER_MS, reached=False)
    reach.note(20 * M, reached=True)
    reach.note(20 * M + BACK_AFTER_MS - 1, reached=True)
    assert reach.down
    reach.note(20 * M + BACK_AFTER_MS, reached=True)
    assert not reach.down
