"""The outcome of a raid, from timelines: what counts as gone, since when, and by whom."""

from collections import Counter
from typing import Any

from bench.raid_kinds import ENTERING, Raider
from bench.raid_outcome import Outcome, RaidedRoom, figures, outcomes, row
from tests.people.client import Client

Event = dict[str, Any]


def _raider(name: str, kind: str, *taken: str, tried: int = 0) -> Raider:
    raider = Raider(Client("http://127.0.0.1", f"@{name}:localhost", ""), kind)
    raider.taken, raider.tried = list(taken), tried
    return raider


def _said(event: str, who: str, at: int, gone: int | None = None) -> Event:
    unsigned = {} if gone is None else {"redacted_because": {"origin_server_ts": gone}}
    sender = f"@{who}:localhost"
    return {"event_id": event, "sender": sender, "type": "m.room.message", "origin_server_ts": at, "unsigned": unsigned}


def _member(event: str, who: str, at: int, membership: str = "join", by: str = "") -> Event:
    content, user = {"membership": membership}, f"@{who}:localhost"
    sender = f"@{by or who}:localhost"
    kind = {"type": "m.room.member", "state_key": user, "content": content}
    return {"event_id": event, "sender": sender, "origin_server_ts": at, **kind}


def test_a_message_stands_until_its_redaction_and_whoever_speaks_until_the_removal() -> None:
    raiders = [_raider("a", "text", "$1", "$2", tried=3), _raider("b", "name")]
    timeline = [
        _member("$in-a", "a", 1_000),
        _said("$1", "a", 2_000, gone=2_500),
        _said("$2", "a", 3_000),
        _said("$other", "somebody", 3_000, gone=3_100),
        _member("$in-b", "b", 4_000),
        _member("$out-b", "b", 9_000, "ban", by="bot"),
    ]
    found = outcomes([RaidedRoom(timeline, {"@a:localhost"})], raiders, {"$1": "words", "$in-b": "words"}, 8_000)
    assert found["text"] == Outcome(3, 2, [0.5], Counter(words=1))
    assert found["name"] == Outcome(1, 1, [5.0], Counter({"a manager": 1}))
    assert found[ENTERING] == Outcome(1, 1)
    assert found["gallery"] == Outcome()


def test_what_was_found_and_stands_is_told_apart_from_what_nobody_noticed() -> None:
    timeline = [_member("$in", "b", 1_000), _said("$1", "a", 2_000)]
    raiders = [_raider("a", "link", "$1", tried=1), _raider("b", "name")]
    found = outcomes([RaidedRoom(timeline, {"@b:localhost"})], raiders, {"$in": "words"}, 9_000)
    assert (found["name"].standing, found["name"].only_found) == (1, Counter(words=1))
    assert (found["link"].standing, found["link"].only_found) == (1, Counter())
    assert row("name", found["name"]).split() == ["name", "1", "1", "0", "-", "-", ";", "words", "1"]


def test_somebody_whose_entering_crossed_a_new_join_rule_was_never_in() -> None:
    found = outcomes([RaidedRoom([_member("$in", "a", 1_000)], set())], [_raider("a", "text")], {}, 9_000)
    assert (found[ENTERING].tried, found[ENTERING].taken) == (1, 0)


def test_a_figure_says_how_much_stands_and_how_long_the_rest_stood() -> None:
    found = {"text": Outcome(3, 3, [1.0, 2.0, 6.0], Counter(words=3)), "link": Outcome(2, 2)}
    assert [(figure.name, figure.ours, figure.floor) for figure in figures(found, 0.5)] == [
        ("by itself: text, standing", 0, 0.0),
        ("by itself: text, median", 2.0, 0.5),
        ("by itself: link, standing", 2, 0.0),
    ]
