"""Events that the homeserver leaves out of its answers are read page by page: all, once, in order, despite errors."""

import asyncio
import json
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from bot.matrix.sync_filter import SYNC_FILTER
from bot.sync import backfill, sync_loop
from moderation.model.facts import CaseMoved, NotSeen
from tests.fakes.bad_line import BadLine
from tests.fakes.http_stub import Answer
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre
from tests.theatre.served import RULES, ServedBot, until

MESSAGES = r"GET /_matrix/client/v3/rooms/[^/]*/messages"
SYNC = "GET /_matrix/client/v3/sync"
SOON = """
[cases.deadlines]
minor = "1h"
moderate = "1h"
serious = "1m"
severe = "1h"
"""
BAD = [
    Answer(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    Answer(429, json={"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 150}),
    Answer(200, b"<!doctype html><title>Please log in to the hotel's network</title>"),
    Answer(200, b'{"chunk": [{"event_id": "$half'),
    Answer(200, json={"chunk": "none", "start": "t1"}),
    Answer(200, b'{"chunk": [', cut=True),
    Answer(200, b"", cut=True),
]


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pages small and waits short, so that few messages make a long gap."""
    monkeypatch.setattr(backfill, "PAGE", 6)
    monkeypatch.setattr(backfill, "SHORT", 1)
    monkeypatch.setattr(backfill, "OVERLAP", 3)
    monkeypatch.setattr(backfill, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(backfill, "LAST_RETRY_S", 0.1)
    room = {**SYNC_FILTER["room"], "timeline": {"limit": 10, "lazy_load_members": True}}
    monkeypatch.setattr(sync_loop, "SYNC_FILTER", {**SYNC_FILTER, "room": room})


def lost(bot: ServedBot) -> list[NotSeen]:
    """Return what the bot could not see, except the time in which it was stopped."""
    return [fact for fact in bot.facts(NotSeen) if fact.what != "down"]


async def test_network_faults_between_pages_lose_or_double_nothing(theatre: Theatre, line: BadLine) -> None:
    scene = await away(theatre)
    said = await talk(scene)
    trouble = line.trouble(MESSAGES, *BAD, Answer(502), *BAD)
    scene.bot.start()
    await all_in_order(scene, said)
    assert trouble.met == 2 * len(BAD) + 1
    assert lost(scene.bot) == []


async def test_a_room_behind_delays_no_other_room_and_makes_nobody_late(theatre: Theatre, line: BadLine) -> None:
    scene = await theatre.scene(RULES + SOON, members=3)
    bot, manager, (ann, *_) = scene.bot, scene.managers[0], scene.members
    await ann.send_text(scene.room, "forbidden 7")
    card = await scene.card(manager, 1)
    await _sleeps(scene)
    await manager.react(scene.desk, card.id, "✅")
    for n in range(12):
        await manager.send_text(scene.desk, f"that was {n}")
    said = await talk(scene)
    trouble = line.trouble(MESSAGES, Answer(502), always=True)
    elsewhere = await theatre.room(bot, scene.owner, [manager], [ann], opened=False)
    bot.ahead_ms = 60_000  # the deadline has passed
    bot.start()
    await bot.until(lambda: bot.rows("SELECT 1 FROM gaps WHERE room = ?", elsewhere), "the new room to be behind too")
    trouble.pattern = f"{path_of_messages(scene.room)}|{path_of_messages(scene.desk)}"
    grave = await ann.send_text(elsewhere, "a purple elephant")
    await until(lambda: ann.is_redacted(elsewhere, grave), "the elephant to be gone")
    assert trouble.met > 1
    assert said.isdisjoint(bot.recorded(scene.room))
    assert bot.rows("SELECT state FROM cases WHERE n = 1") == [("open",)]
    regretted = await ann.send_text(scene.room, "I should not say this")
    await bot.until(lambda: bot.rows("SELECT 1 FROM gap_events WHERE event = ?", regretted), "its delivery")
    await ann.redact(scene.room, regretted)
    line.clear()
    await all_in_order(scene, said | {regretted})
    assert bot.record_of(regretted).parts[0]["body"] == "I should not say this"
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "both rooms to be level")
    assert bot.rows("SELECT 1 FROM gap_events") == []
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE n = 1 AND state = 'decided'"), "the decision")
    assert [fact.step for fact in bot.facts(CaseMoved) if fact.n == 1] == []
    assert lost(bot) == []


async def test_a_missing_page_is_recorded_and_the_rest_is_read(theatre: Theatre, line: BadLine) -> None:
    scene = await away(theatre)
    said = await talk(scene)
    bot = scene.bot
    forbidden = Answer(403, json={"errcode": "M_FORBIDDEN", "error": "that far back you may not look"})
    trouble = line.trouble(MESSAGES + ".*from=", forbidden)  # the second page on the way back
    bot.start()
    newest = await _timeline(scene)
    delivered = [event for event in newest if event in said][-10:]  # by the answer that showed the gap
    there = delivered[-6:]
    await bot.has(*there)
    last = await scene.owner.send_text(scene.room, "the last word")
    await bot.has(last)
    assert trouble.met == 1
    recorded = bot.recorded(scene.room)
    assert [event for event in recorded if event in {*said, last}] == [*there, *delivered[:-6], last]
    (missing,) = lost(bot)
    assert (missing.what, missing.room, missing.detail) == ("gap", scene.room, "M_FORBIDDEN")
    place = next(index for index, fact in bot.numbered_facts() if fact == missing)
    assert int(bot.record_of(there[0]).index) > place
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the room to be level")


async def test_a_bot_that_was_removed_while_it_was_away_reads_up_to_its_removal(theatre: Theatre) -> None:
    scene = await away(theatre)
    said = await talk(scene)
    bot, owner = scene.bot, scene.owner
    await owner.request("POST", "rooms", scene.room, "kick", json={"user_id": bot.user})
    after = await owner.send_text(scene.room, "now we are alone")
    bot.start()
    await bot.until_condition(scene.room, "left")
    recorded = bot.recorded(scene.room)
    timeline = await _timeline(scene)
    assert [event for event in recorded if event in said] == [event for event in timeline if event in said]
    assert after not in recorded
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "nothing more to be read")
    assert lost(bot) == []


@pytest.mark.parametrize("more", [-1, 0])
async def test_a_message_that_stands_before_a_known_one_at_the_end_of_a_page_is_recorded(
    theatre: Theatre, line: BadLine, more: int
) -> None:
    """Pages have events of people who write at once in another order than answers of `/sync`."""
    scene = await away(theatre)
    bot, count = scene.bot, 2 * backfill.PAGE + more
    said = [await scene.members[0].send_text(scene.room, f"number {n}") for n in range(count)]
    *_, known, first = (await scene.owner.messages(scene.room, limit=1000))[: 1 - count]
    assert first["event_id"] == said[0]
    line.change(MESSAGES, partial(_exchanged, known, first))  # the page that `known` ends now ends the search
    bot.start()
    await bot.until(lambda: bot.rows("SELECT 1 FROM gaps"), "the gap")
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the room to be level")
    assert bot.recorded(scene.room)[-count:] == said


async def test_a_message_that_was_delivered_and_stands_on_no_page_is_recorded(theatre: Theatre, line: BadLine) -> None:
    """It stands far back if another server began its branch of the room long ago."""
    scene = await away(theatre)
    said = await talk(scene)
    bot = scene.bot
    trouble = line.trouble(MESSAGES, Answer(502), always=True)
    bot.start()
    await bot.until(lambda: bot.rows("SELECT 1 FROM gaps"), "the gap")
    old = await scene.members[1].send_text(scene.room, "on a branch of long ago")
    await bot.until(lambda: bot.rows("SELECT 1 FROM gap_events WHERE event = ?", old), "its delivery")
    line.change(MESSAGES, partial(_without, old))
    trouble.pattern = "none"
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the room to be level")
    recorded = bot.recorded(scene.room)
    assert len(recorded) == len(set(recorded))
    assert said | {old} <= set(recorded)
    assert [event for event in recorded if event in said | {old}][-1] == old  # where it was delivered


async def test_what_is_delivered_while_a_page_is_on_its_way_is_recorded_after_that_page(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PAGE", 100)  # so that one page reaches what is known
    scene = await away(theatre)
    bot, owner, (ann, *_) = scene.bot, scene.owner, scene.members
    said = [await ann.send_text(scene.room, "before")]
    await owner.set_power(scene.room, {ann.user: 50})
    said += [await ann.send_text(scene.room, f"number {n}") for n in range(12)]
    page = line.silence(MESSAGES, lost=True)  # the homeserver has answered, and the answer takes its time
    bot.start()
    await bot.until(lambda: page.met, "a page on its way")
    await owner.set_power(scene.room, {ann.user: None})
    said.append(await ann.send_text(scene.room, "after"))
    await bot.until(lambda: bot.rows("SELECT 1 FROM gap_events WHERE event = ?", said[-1]), "its delivery")
    line.clear()
    await all_in_order(scene, set(said))
    assert ann.user not in bot.rows("SELECT levels FROM rooms WHERE room = ?", scene.room)[0][0]


@pytest.mark.long
async def test_a_page_that_does_not_come_holds_up_others_for_a_moment(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last look at a room has two pages if few known events stand on the newest one."""
    monkeypatch.setattr(backfill, "OTHERS_WAIT_S", 0.1)
    monkeypatch.setattr(backfill.Gaps, "_look", lambda gaps, gap: gaps._catch_up(gap, ()))
    scene = await away(theatre)
    bot = scene.bot
    said = [await scene.members[0].send_text(scene.room, f"number {n}") for n in range(backfill.PAGE - 1)]
    room = {**SYNC_FILTER["room"], "timeline": {"limit": 1, "lazy_load_members": True}}
    monkeypatch.setattr(sync_loop, "SYNC_FILTER", {**SYNC_FILTER, "room": room})
    slow = line.silence(MESSAGES + ".*from=")
    bot.start()
    await bot.until(lambda: slow.met > 8, "it to be asked for again and again")
    line.clear()
    await bot.has(*said)


@pytest.mark.long
async def test_state_that_is_newer_than_the_answer_hides_no_gap(theatre: Theatre, line: BadLine) -> None:
    scene = await away(theatre)
    bot, (ann, *_) = scene.bot, scene.members
    said = [await ann.send_text(scene.room, "number 0")]
    told: list[str] = []

    def with_state(body: bytes) -> bytes:
        """Add state as of a branch whose topic the bot does not know."""
        answer = json.loads(body)
        if not (part := answer.get("rooms", {}).get("join", {}).get(scene.room)):
            return body
        topic = {"type": "m.room.topic", "state_key": "", "content": {"topic": "once"}, "event_id": "$never"}
        part["state"]["events"].append({**part["timeline"]["events"][-1], **topic})
        told.append(scene.room)
        return json.dumps(answer).encode()

    line.silence(SYNC, lost=True)
    line.change(SYNC, with_state)
    bot.start()
    await bot.until(lambda: told, "an answer")
    said += [await ann.send_text(scene.room, f"number {n}") for n in range(1, 16)]
    said.append(await scene.owner.set_state(scene.room, "m.room.topic", {"topic": "now"}))
    said += [await ann.send_text(scene.room, f"number {n}") for n in range(16, 21)]
    line.clear()
    await all_in_order(scene, set(said))


def _exchanged(one: dict[str, Any], other: dict[str, Any], body: bytes) -> bytes:
    """Let two events stand in each other's place, on whatever pages they are."""
    answer, instead = json.loads(body), {one["event_id"]: other, other["event_id"]: one}
    answer["chunk"] = [instead.get(event["event_id"], event) for event in answer["chunk"]]
    return json.dumps(answer).encode()


def _without(event: str, body: bytes) -> bytes:
    answer = json.loads(body)
    answer["chunk"] = [each for each in answer["chunk"] if each["event_id"] != event]
    return json.dumps(answer).encode()


async def away(theatre: Theatre) -> Scene:
    """Create a room with three members, and stop its bot."""
    scene = await theatre.scene(members=3)
    await _sleeps(scene)
    return scene


async def _sleeps(scene: Scene) -> None:
    await scene.bot.idle()
    await scene.bot.until(lambda: not scene.bot.rows("SELECT 1 FROM gaps"), "the rooms to be level")
    await scene.bot.stop()


def path_of_messages(room: str) -> str:
    """Return the pattern of requests for the messages of a room."""
    return MESSAGES.replace("[^/]*", quote(room, safe=""))


async def talk(scene: Scene, each: int = 14) -> set[str]:
    """Let everybody talk at once, more than fits into one answer; one message breaks a rule."""

    async def one(who: Client, words: str) -> list[str]:
        first = await who.send_text(scene.room, words)
        return [first, *[await who.send_text(scene.room, f"{who.user} {n}") for n in range(each - 1)]]

    words = ["a purple elephant", *["hello"] * (len(scene.members) - 1)]
    parts = await asyncio.gather(*map(one, scene.members, words))
    return {event for part in parts for event in part}


async def _timeline(scene: Scene) -> list[str]:
    return [event["event_id"] for event in await scene.owner.messages(scene.room, limit=1000)]


async def all_in_order(scene: Scene, said: set[str]) -> None:
    bot = scene.bot
    last = await scene.owner.send_text(scene.room, "the last word")
    await bot.has(*said, last)
    recorded = bot.recorded(scene.room)
    assert len(recorded) == len(set(recorded))
    timeline = await _timeline(scene)
    assert [e for e in recorded if e in {*said, last}] == [e for e in timeline if e in {*said, last}]
