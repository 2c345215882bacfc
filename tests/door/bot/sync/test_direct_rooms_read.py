"""A direct room is heard from the moment in which the bot joined it, and again when the bot comes back."""

import asyncio
import json

import pytest

from bot.matrix.errors import Unreachable
from bot.sync import backfill
from bot.sync.backfill import Gaps
from moderation.model.facts import RoomEntered
from storage.state.backfill import BackfillPage, Gap
from tests.door.bot.sync.test_coming_back import MESSAGES, SEND, SYNC, short_timelines, without_removals
from tests.door.bot.sync.test_gaps import SOON, path_of_messages
from tests.fakes.bad_line import BadLine
from tests.fakes.http_stub import Answer
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, answer, open_direct
from tests.theatre.served import RULES, ServedBot

MEMBERS = r"GET /_matrix/client/v3/rooms/[^/]*/members"
THERE = "SELECT membership FROM members WHERE room = ? AND user = ?"


async def test_what_is_said_before_the_bot_knows_who_is_in_a_direct_room_is_answered(
    theatre: Theatre, line: BadLine
) -> None:
    scene = await theatre.scene()
    bot, ann = scene.bot, scene.members[0]
    asking = line.silence(MEMBERS)
    direct = await ann.create_room(is_direct=True)
    unseen = await ann.send_text(direct, "a note to myself")
    await _invite(ann, bot, direct)
    await bot.until(lambda: asking.met, "the bot to have joined")
    asked = await ann.send_text(direct, "!help")
    await bot.has(await scene.managers[0].send_text(scene.desk, "so an answer with the question was taken"))
    line.clear()
    await answer(ann, bot, direct, asked)
    assert unseen not in bot.recorded()
    await bot.until(lambda: bot.rows(THERE, direct, ann.user) == [("join",)], "who is there")


@pytest.mark.long
async def test_a_direct_room_is_heard_again_if_its_removal_is_told_after_the_return(
    theatre: Theatre, line: BadLine
) -> None:
    scene = await theatre.scene()
    bot, ann = scene.bot, scene.members[0]
    direct = await open_direct(ann, bot)
    await _rests(scene)
    await ann.kick(direct, bot.user)
    await _invite(ann, bot, direct)

    def has_joined(body: bytes) -> bool:
        return direct in json.loads(body).get("rooms", {}).get("join", {})

    line.change(SYNC, without_removals)
    joined = line.silence(SYNC, lost=True, holds=has_joined)
    bot.start()
    await bot.until(lambda: joined.met, "the answer that tells of the removal and the return")
    await bot.until(lambda: [f.room_id for f in bot.facts(RoomEntered)].count(direct) == 2, "the return")
    line.clear()
    asked = await ann.send_text(direct, "!help")
    await answer(ann, bot, direct, asked)
    assert bot.condition(direct) == "protected"


@pytest.mark.long
async def test_what_is_still_to_be_read_of_a_former_stay_does_not_end_the_next_one(
    theatre: Theatre, line: BadLine
) -> None:
    scene = await theatre.scene()
    bot, ann = scene.bot, scene.members[0]
    await bot.idle()
    pages = line.trouble(MESSAGES, Answer(502), always=True)
    direct = await open_direct(ann, bot)
    await bot.until(lambda: pages.met, "a page to be asked for")
    await ann.kick(direct, bot.user)
    await _invite(ann, bot, direct)
    await bot.until(lambda: [f.room_id for f in bot.facts(RoomEntered)].count(direct) == 2, "the return")
    line.clear()
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the room to be read")
    await answer(ann, bot, direct, await ann.send_text(direct, "!help"))


@pytest.mark.long
async def test_nothing_of_an_absence_is_read_while_the_bot_comes_back(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_timelines(monkeypatch)
    for name, size in (("PAGE", 3), ("SHORT", 1), ("OVERLAP", 1)):
        monkeypatch.setattr(backfill, name, size)
    scene = await theatre.scene()
    bot, ann = scene.bot, scene.members[0]
    direct = await open_direct(ann, bot)
    await bot.idle()
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the rooms to be read")
    await ann.kick(direct, bot.user)
    await bot.until_condition(direct, "left")
    unseen = {await ann.send_text(direct, f"alone {n}") for n in range(12)}
    is_back, read = asyncio.Event(), Gaps._read

    async def slow(gaps: Gaps, gap: Gap, row: BackfillPage) -> None:
        if not is_back.is_set():
            raise Unreachable("slow", request="messages")
        await read(gaps, gap, row)

    monkeypatch.setattr(Gaps, "_read", slow)
    asking = line.silence(MEMBERS)
    await _invite(ann, bot, direct)
    await bot.until(lambda: asking.met, "the bot to have joined")
    await bot.has(await scene.managers[0].send_text(scene.desk, "so an answer with the join was taken"))
    behind = "SELECT bottom FROM gaps WHERE room = ?"
    await bot.until(lambda: bot.rows(behind, direct) in ([], [(1,)]), "no page, or the way to all")
    line.clear()
    await bot.until(lambda: [f.room_id for f in bot.facts(RoomEntered)].count(direct) == 2, "the return")
    is_back.set()
    await answer(ann, bot, direct, await ann.send_text(direct, "!help"))
    assert unseen.isdisjoint(bot.recorded())


@pytest.mark.long
async def test_the_greeting_comes_after_a_crash_before_it(theatre: Theatre, line: BadLine) -> None:
    scene = await theatre.scene()
    bot, ann = scene.bot, scene.members[0]
    await bot.idle()
    greeting = line.silence(SEND)
    direct = await ann.create_room(is_direct=True, invite=[bot.user])
    await bot.until(lambda: greeting.met, "the greeting on its way")
    await bot.crash()
    line.clear()
    bot.start()
    await ann.wait_event(direct, lambda seen: seen.sender == bot.user and seen.type == "m.room.message", what="hello")


@pytest.mark.long
@pytest.mark.usefixtures("short_waits")
async def test_a_direct_room_that_cannot_be_read_stops_no_deadline(theatre: Theatre, line: BadLine) -> None:
    scene = await theatre.scene(RULES + SOON, members=2)
    bot, (ann, ben) = scene.bot, scene.members
    await ann.send_text(scene.room, "forbidden 7")
    await scene.card(scene.managers[0], 1)
    direct = await ben.create_room(is_direct=True)
    line.trouble(path_of_messages(direct), Answer(502), always=True)
    await _invite(ben, bot, direct)
    await bot.until(lambda: bot.rows("SELECT 1 FROM gaps WHERE room = ?", direct), "the direct room to be behind")
    bot.ahead_ms += 61_000
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE n = 1 AND asked = 'owner'"), "the deadline")
    assert bot.rows("SELECT room FROM gaps") == [(direct,)]


async def _invite(person: Client, bot: ServedBot, room: str) -> None:
    invitation = {"membership": "invite", "is_direct": True}
    await person.request("PUT", "rooms", room, "state", "m.room.member", bot.user, json=invitation)


async def _rests(scene: Scene) -> None:
    await scene.bot.idle()
    await scene.bot.until(lambda: not scene.bot.rows("SELECT 1 FROM gaps"), "the rooms to be read")
    await scene.bot.stop()
