"""Somebody takes the display name of another person, so that an order meant for one of them meets the other."""

from typing import Any

import pytest

from moderation.model.actions.telling import Say, Tell
from moderation.model.facts import SanctionStarted
from tests.fuzz.world import ANN, BEN, GONE, GROUP, MAX, World

HOUR = 3_600_000


def called(world: World, user: str, name: str) -> None:
    world.take(GROUP, user, "m.room.member", {"membership": "join", "displayname": name}, state_key=user)


def order(world: World, words: str, **content: Any) -> tuple[list[str], list[tuple[str, dict[str, Any]]]]:
    """Give an order in the desk. Returns whom it met, and the answer."""
    facts, actions = world.door.say(world.desks[GROUP], MAX, words, **content)
    said = [line for action in actions if isinstance(action, Say | Tell) for line in action.lines]
    met = [str(fact.subject) for fact in facts if isinstance(fact, SanctionStarted)]
    return met, [(line.key, dict(line.fields)) for line in said]


def reply(event: str) -> dict[str, Any]:
    return {"m.relates_to": {"m.in_reply_to": {"event_id": event}}}


@pytest.mark.parametrize("words", ["Benny the 1st", '"Benny the 1st"', "@Benny the 1st,", "ben", "@ben", f"@{BEN[1:]}"])
def test_a_name_stands_for_the_person_and_the_answer_says_whom(world: World, words: str) -> None:
    called(world, BEN, "Benny the 1st")
    met, said = order(world, f"!mute {words} 1h spam")
    assert met == [BEN]
    if ":" in words:
        assert [key for key, _ in said][-1] == "done-until.mute"
        return
    assert [key for key, _ in said][-2:] == ["named.person", "done-until.mute"]
    assert said[-2][1]["who"].user == BEN


@pytest.mark.parametrize(
    "worn", ["Benny", "bеnny", "Ｂｅｎｎｙ", "Ben\u200bny", "@Benny:", "Benny 1h", "Benny 1h spam"]
)
def test_a_name_that_two_people_bear_meets_neither(world: World, worn: str) -> None:
    called(world, BEN, "Benny")
    called(world, ANN, worn)
    met, said = order(world, "!ban Benny 1h spam")
    assert (met, [key for key, _ in said][:1]) == ([], ["error.user.several"])
    assert said[0][1]["people"] == f"{ANN}, {BEN}"
    assert order(world, f"!warn {BEN} spam")[0] == [BEN]


def test_who_takes_the_id_of_somebody_as_their_name_is_not_taken_for_them(world: World) -> None:
    called(world, ANN, BEN)
    assert order(world, f"!warn {BEN[1:]} spam")[1][0][0] == "error.user.several"
    assert order(world, f"!warn {BEN} spam")[0] == [BEN]


def test_a_name_that_only_looks_like_the_one_typed_meets_nobody(world: World) -> None:
    called(world, BEN, "Веnny")  # with two Cyrillic letters
    met, said = order(world, "!ban Benny spam")
    assert (met, said[0][0], said[0][1]["people"]) == ([], "error.user.alike", BEN)


@pytest.mark.parametrize("away", ["somebody else", None])
def test_a_name_that_was_given_up_a_moment_ago_still_stands_in_the_way(world: World, away: str | None) -> None:
    called(world, BEN, "Benny")
    called(world, ANN, "Benny")
    world.door.now += 48 * HOUR
    if away is None:
        world.take(GROUP, ANN, "m.room.member", {"membership": "leave"}, state_key=ANN)
        assert order(world, "!ban Benny spam")[1][0][0] == "error.user.several"
        return
    called(world, ANN, away)
    met, said = order(world, "!ban Benny spam")
    assert (met, said[0][0], said[0][1]["other"].user) == ([], "error.user.bore", ANN)
    world.door.now += 25 * HOUR
    assert order(world, "!warn Benny spam")[0] == [BEN]


def test_in_a_reply_a_name_has_to_be_that_of_the_person_replied_to(world: World) -> None:
    called(world, BEN, "Benny")
    called(world, ANN, "spam")
    by_ben = world.take(GROUP, BEN, "m.room.message", {"msgtype": "m.text", "body": "buy"}).event
    assert by_ben is not None

    def answered(words: str) -> tuple[list[str], str]:
        facts, actions = world.door.say(GROUP, MAX, words, **reply(by_ben))
        met = [str(fact.subject) for fact in facts if isinstance(fact, SanctionStarted)]
        return met, next(action.lines[0].key for action in actions if isinstance(action, Say | Tell))

    assert answered("!warn spam") == ([], "error.user.reply")
    assert answered("!warn Benny spam")[0] == [BEN]
    assert answered("!warn too much")[0] == [BEN]


def test_a_mention_by_the_client_tells_two_of_one_name_apart(world: World) -> None:
    called(world, BEN, "Benny")
    called(world, ANN, "Benny")
    assert order(world, "!warn Benny spam", **{"m.mentions": {"user_ids": [BEN]}})[0] == [BEN]
    assert order(world, "!warn Benny spam", **{"m.mentions": {"user_ids": [BEN, ANN]}})[0] == []
    called(world, ANN, "Bеnny")
    assert order(world, "!warn Benny spam", **{"m.mentions": {"user_ids": [ANN]}})[0] == []


def test_names_of_people_gone_for_long_are_nobody_s(world: World) -> None:
    called(world, BEN, "Benny")
    world.door.now += 31 * 24 * HOUR
    assert order(world, "!warn nobody spam")[1][0][0] == "error.user.nobody"
    assert order(world, f"!warn {GONE[1:].partition(':')[0]} spam")[1][0][0] == "error.user.nobody"
    assert order(world, "!warn Benny spam")[0] == [BEN]
