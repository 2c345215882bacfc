"""A violation that a card does not show: in HTML, behind the first 280 letters, in a later message of an incident."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.pipeline.message_text import said_at
from bot.texts.case_card import read_card
from bot.texts.case_words import MOST_LATER, word_lines
from moderation.values.notices import Line, Link, Phrase, Quoted, Value
from tests.door.offline import ANNA, BOT, ROOM, RULES, Offline, offline

LONG = "all is well, " * 60


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path, RULES) as served:
        yield served


async def shown(bot: Offline, n: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """Return the lines of the card that quote the messages."""
    async with bot.stores.database.read() as db:
        card = await read_card(db, n, bot.time(), bot.pipeline.settings.policy, BOT)
        assert card is not None
        rules = bot.pipeline.settings.rules
        lines = await word_lines(db, card.case, partial(said_at, bot.stores.journal), rules, BOT)
    return [_plain(each) for each in lines]


def _plain(each: Line) -> tuple[str, dict[str, Any]]:
    return each.key, {name: _value(value) for name, value in each.fields.items()}


def _value(value: Value) -> object:
    match value:
        case Phrase():
            return value.key
        case Quoted():
            return value.text
        case Link():
            return value.url
        case _:
            return value


def link(event: str) -> str:
    return f"https://matrix.to/#/{ROOM}/{event}?via=example.org"


async def test_a_violation_in_the_formatted_text_alone(bot: Offline) -> None:
    content = {"msgtype": "m.text", "body": "hello", "formatted_body": "<b>for</b>bidden"}
    event = await bot.event(ANNA, "m.room.message", content)
    assert await shown(bot) == [
        ("card.words", {"words": "forbidden"}),
        ("card.stood", {"where": "card.where.formatted"}),
        ("card.link", {"link": link(event)}),
    ]
    assert await bot.rows("SELECT excerpt FROM cases") == [("forbidden",)]


async def test_a_violation_behind_the_first_280_letters(bot: Offline) -> None:
    await bot.say(ANNA, f"{LONG}forbidden {LONG}")
    ((key, fields), *_) = await shown(bot)
    assert key == "card.words" and "forbidden" in fields["words"]
    assert fields["words"].startswith("…") and fields["words"].endswith("…") and len(fields["words"]) == 280
    assert await bot.rows("SELECT excerpt FROM cases") == [(fields["words"],)]


async def test_a_violation_in_a_later_message_of_the_incident(bot: Offline) -> None:
    await bot.say(ANNA, "forbidden")
    events = [
        await bot.event(ANNA, "m.room.message", {"msgtype": "m.text", "body": f"{number} {LONG} forbidden"})
        for number in range(MOST_LATER + 2)
    ]
    lines = await shown(bot)
    later = [fields for key, fields in lines if key == "card.later"]
    assert [fields["link"] for fields in later] == [link(event) for event in events[:MOST_LATER]]
    assert all("forbidden" in fields["words"] and len(fields["words"]) == 120 for fields in later)
    assert lines[-1] == ("card.later-more", {"count": 2})


async def test_a_violation_in_a_reaction(bot: Offline) -> None:
    await bot.say(ANNA, "hello")
    relates = {"rel_type": "m.annotation", "event_id": "$event1", "key": "forbidden"}
    await bot.event(ANNA, "m.reaction", {"m.relates_to": relates})
    assert (await shown(bot))[:2] == [
        ("card.words", {"words": "forbidden"}),
        ("card.stood", {"where": "card.where.reaction"}),
    ]
