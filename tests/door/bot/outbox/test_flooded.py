"""A homeserver accepts few requests, and people write faster than that: the important requests still get through.

The tests count requests, not seconds: the simulated homeserver accepts as many as a test allows.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.cli.access.admin_client import ask_bot
from bot.matrix.known_limit import known_limit
from bot.outbox import selection, slowed
from moderation.model.facts import ActionTaken, SanctionStarted
from tests.theatre.garden import Garden, garden_in
from tests.theatre.served import phrase

FEW = 5  # requests: those in flight, and those that the fair share lets through


@pytest.fixture
async def garden(tmp_path: Path) -> AsyncIterator[Garden]:
    async with garden_in(tmp_path) as garden:
        yield garden


@pytest.mark.long
async def test_a_manager_s_ban_is_in_force_before_another_message_is_removed(
    garden: Garden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "PATIENCE_MS", 600_000)  # or a card's turn comes on a slow machine
    garden.limit()
    said = [garden.say(who, f"a purple elephant {n}") for n in range(15) for who in ("ann", "ben", "cat")]
    await garden.bot.has(*said)
    sent = await garden.allow(6)
    assert {name for name, _ in sent} <= {"rooms/redact", "rooms/send"}  # and cards, since it is known to be slow
    ann = garden.people["ann"]
    garden.say("manager", f"!ban {ann} 1d")
    await garden.bot.until(lambda: [f for f in garden.bot.facts(SanctionStarted) if f.kind == "ban"], "the order")
    await garden.bot.until(lambda: garden.bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%\"align\"%'"), "its row")
    assert [name for name, _ in await garden.allow()] == ["rooms/ban"]
    assert garden.room.membership(ann) == "ban"
    sent += await garden.allow(4)
    gone = [number for number, event in enumerate(said) if garden.server.world.by_id[event][1].gone]
    removed = sum(name == "rooms/redact" for name, _ in sent)
    assert len(gone) == removed
    assert removed >= len(sent) / 2
    assert gone[-3:] == [42, 43, 44]  # the newest first


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
    assert len(sent) <= 2 * FEW
    sent += await garden.allow(12)
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


@pytest.mark.long
async def test_a_running_bot_can_be_told_that_the_limit_was_lifted(garden: Garden) -> None:
    await garden.bot.until(lambda: (garden.bot.data_dir / "control.sock").exists(), "the door")
    assert await ask_bot(garden.bot.data_dir, "rate-limit", {"limit": "lifted"}, None) == {}


@pytest.mark.long
async def test_a_card_comes_before_the_long_rest_is_removed_and_each_person_is_told_once(garden: Garden) -> None:
    garden.limit()
    said = [garden.say("ann", f"a purple elephant {n}") for n in range(12)]
    await garden.bot.has(*said)
    sent = await _allowed_until(garden, lambda: _posted(garden, "purple elephant"), 10)
    assert [name for name, _ in sent[:-1]] == ["rooms/redact"] * (len(sent) - 1)
    said += [garden.say("ann", f"another purple elephant {n}") for n in range(12)]
    await garden.bot.has(*said)
    await garden.allow(2)
    garden.server.allowed = None
    await garden.bot.idle()
    assert all(garden.server.world.by_id[event][1].gone for event in said)
    told = [fact for fact in garden.bot.facts(ActionTaken) if fact.action == "tell"]
    assert [(fact.subject, fact.n, fact.result) for fact in told] == [(garden.people["ann"], 1, "done")]


@pytest.mark.long
async def test_a_desk_that_waits_is_told_once_and_the_limit_stays_known(
    garden: Garden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slowed, "LONG_MS", 0)
    assert known_limit(garden.bot.data_dir) is None
    garden.limit()
    said = [garden.say("ann", f"a purple elephant {n}") for n in range(12)]
    await garden.bot.has(*said)
    await _allowed_until(garden, lambda: _posted(garden, phrase("desk.slowed").replace("`", "")), 10)
    known = known_limit(garden.bot.data_dir)
    assert known is not None
    assert known.limit == "limited"
    await garden.allow(5)
    garden.server.allowed = None
    await garden.bot.idle()
    assert len(_bodies(garden, phrase("desk.slowed").replace("`", ""))) == 1


async def _allowed_until(garden: Garden, look: Any, within: int = 60) -> list[tuple[str, Any]]:
    """Allow one request after the other until `look` finds something. Returns the requests."""
    sent: list[tuple[str, Any]] = []
    while not look():
        assert len(sent) < within, [name for name, _ in sent]
        sent += await garden.allow()
    return sent


def _posted(garden: Garden, words: str) -> bool:
    """Tell whether the bot has said these words somewhere, as on a card in the desk."""
    return bool(_bodies(garden, words))


def _bodies(garden: Garden, words: str) -> list[str]:
    rooms = garden.server.world.rooms.values()
    bodies = [e.raw["content"].get("body", "") for r in rooms for e in r.events if e.raw["sender"] == garden.bot.user]
    return [body for body in bodies if words in body]
