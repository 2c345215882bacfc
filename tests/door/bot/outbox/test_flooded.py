"""A homeserver accepts few requests, and people write faster than that: the important requests still get through.

The tests count requests, not seconds: the simulated homeserver accepts as many as a test allows.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.outbox import selection
from moderation.model.facts import SanctionStarted
from tests.theatre.garden import Garden, garden_in

FEW = 5  # requests: those in flight, and those that the fair share lets through


@pytest.fixture
async def garden(tmp_path: Path) -> AsyncIterator[Garden]:
    async with garden_in(tmp_path) as garden:
        yield garden


async def test_a_manager_s_ban_is_in_force_before_another_message_is_removed(garden: Garden) -> None:
    garden.limit()
    said = [garden.say(who, f"a purple elephant {n}") for n in range(15) for who in ("ann", "ben", "cat")]
    await garden.bot.has(*said)
    assert {name for name, _ in await garden.allow(6)} == {"rooms/redact"}
    ann = garden.people["ann"]
    garden.say("manager", f"!ban {ann} 1d")
    await garden.bot.until(lambda: [f for f in garden.bot.facts(SanctionStarted) if f.kind == "ban"], "the order")
    await garden.bot.until(lambda: garden.bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%\"align\"%'"), "its row")
    assert [name for name, _ in await garden.allow()] == ["rooms/ban"]
    assert garden.room.membership(ann) == "ban"
    await garden.allow(4)
    gone = [number for number, event in enumerate(said) if garden.server.world.by_id[event][1].gone]
    assert len(gone) == 10
    assert gone[-4:] == list(range(41, 45))  # the newest first


async def test_spam_at_the_speed_of_redaction_delays_no_measure_card_or_word(
    garden: Garden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "PATIENCE_MS", 0)
    garden.limit()
    garden.flood("ann", "ben")
    started = [garden.say(who, "a purple elephant") for who in ("ann", "ben")]
    await garden.bot.has(*started)
    await garden.allow(10)
    garden.say("cat", "forbidden 7")
    garden.say("second", "a volcano")
    find = "SELECT n FROM cases WHERE rule = 'grave'"
    ((grave,),) = await garden.bot.until(lambda: garden.bot.rows(find), "a case about a manager")
    sent = await _allowed_until(garden, lambda: _posted(garden, "forbidden 7"))
    assert sum(name == "rooms/redact" for name, _ in sent) > len(sent) / 2
    garden.say("manager", f"!uphold {grave}")
    await garden.bot.until(lambda: [f for f in garden.bot.facts(SanctionStarted) if f.kind == "demote"], "a demotion")
    await _allowed_until(garden, lambda: garden.level("second") < 50, FEW)
    garden.say("manager", f"!mute {garden.people['ann']}")
    await garden.bot.until(lambda: [f for f in garden.bot.facts(SanctionStarted) if f.kind == "mute"], "the order")
    await _allowed_until(garden, lambda: garden.level("ann") < 0, FEW)
    garden.say("manager", f"!ban {garden.people['ben']}")
    await garden.bot.until(lambda: [f for f in garden.bot.facts(SanctionStarted) if f.kind == "ban"], "the order")
    await _allowed_until(garden, lambda: garden.room.membership(garden.people["ben"]) == "ban", FEW)


async def _allowed_until(garden: Garden, look: Any, within: int = 60) -> list[tuple[str, Any]]:
    """Allow one request after the other until `look` finds something. Returns the requests."""
    sent: list[tuple[str, Any]] = []
    while not look():
        assert len(sent) < within, [name for name, _ in sent]
        sent += await garden.allow()
    return sent


def _posted(garden: Garden, words: str) -> bool:
    """Tell whether the desk has a card with these words."""
    rooms = garden.server.world.rooms.values()
    bodies = [e.raw["content"].get("body", "") for r in rooms for e in r.events if e.raw["sender"] == garden.bot.user]
    return any(words in body for body in bodies)
