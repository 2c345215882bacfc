"""A bot that was removed from a group and invited again records nothing that was said while it was not there."""

import asyncio
import json
from pathlib import Path

import pytest

from bot.events.sync_response import JoinedRoom, LeftRoom
from bot.matrix.errors import Unreachable
from bot.matrix.sync_filter import SYNC_FILTER
from bot.sync import backfill, sync_loop
from bot.sync.backfill import Gaps
from bot.sync.sync_loop import Listener
from moderation.model.facts import NotSeen, RoomStateChanged
from moderation.values.ids import RoomId
from storage.state.backfill import Gap
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.fakes.bad_line import BadLine
from tests.fakes.http_stub import Answer
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre
from tests.theatre.served import ServedBot

SYNC = "GET /_matrix/client/v3/sync"
MESSAGES = r"GET /_matrix/client/v3/rooms/[^/]*/messages"
SEND = r"PUT /_matrix/client/v3/rooms/[^/]*/send/m.room.message"
CONTEXT = r"GET /_matrix/client/v3/rooms/[^/]*/context"
JOIN = r"POST /_matrix/client/v3/(join/|rooms/[^/]*/join)"


async def test_a_bot_removed_and_invited_during_downtime_starts_afresh(theatre: Theatre) -> None:
    scene, unseen = await removed_and_invited(theatre, "kick")
    scene.bot.start()
    await began_afresh(scene, unseen)


@pytest.mark.parametrize("how", ["kick", "ban"])
async def test_nothing_of_the_absence_is_recorded_before_the_answer_to_the_join(
    theatre: Theatre, line: BadLine, how: str
) -> None:
    scene, unseen = await removed_and_invited(theatre, how)
    line.change(SYNC, without_removals)
    joining = line.silence(JOIN, lost=True)
    scene.bot.start()
    await scene.bot.until(lambda: joining.met, "the bot to have joined")
    await the_sync_after_it(scene)
    assert unseen not in scene.bot.recorded()
    line.clear()
    await began_afresh(scene, unseen)


@pytest.mark.long
async def test_a_bot_that_does_not_learn_that_it_joined_begins_afresh(
    theatre: Theatre, line: BadLine, tmp_path: Path
) -> None:
    scene, unseen = await removed_and_invited(theatre, "kick")
    line.change(SYNC, without_removals)
    joining = line.trouble(JOIN, Answer(502), lost=True)
    scene.bot.start()
    await scene.bot.until(lambda: joining.met, "the bot to have joined")
    await began_afresh(scene, unseen)
    await scene.bot.stop()
    live = {name: scene.bot.table(name) for name in TABLES}
    assert {name for name, rows in (await rebuilt(scene.bot, tmp_path)).items() if rows != live[name]} == set()


async def test_a_bot_that_was_killed_after_its_join_begins_afresh(theatre: Theatre, line: BadLine) -> None:
    scene, unseen = await removed_and_invited(theatre, "kick")
    line.change(SYNC, without_removals)
    joining = line.silence(JOIN, lost=True)
    scene.bot.start()
    await scene.bot.until(lambda: joining.met, "the bot to have joined")
    await scene.bot.crash()
    line.clear()
    scene.bot.start()
    await began_afresh(scene, unseen)


@pytest.mark.long
@pytest.mark.parametrize("again", [False, True])
async def test_an_answer_from_before_the_notice_counts_for_nothing_after_it(
    theatre: Theatre, line: BadLine, again: bool
) -> None:
    """The answer with the bot's join comes when the room is opened and read already."""
    if again:
        scene, unseen = await removed_and_invited(theatre, "kick")
        bot, room, member = scene.bot, scene.room, scene.members[0]
    else:
        bot, room, member, unseen = await invited(theatre)

    def has_joined(body: bytes) -> bool:
        return room in json.loads(body).get("rooms", {}).get("join", {})

    joined, announcing = line.silence(SYNC, lost=True, holds=has_joined), line.silence(SEND)
    bot.start()
    await bot.until(lambda: announcing.met and joined.met, "the notice to be sent, and an answer without it")
    assert announcing.held is not None
    announcing.held.set()
    await bot.until_condition(room, "protected")
    await bot.until(lambda: notices(bot) == 1 + again and not bot.rows("SELECT 1 FROM gaps"), "the room to be read")
    line.clear()
    seen = await member.send_text(room, "after the notice")
    await bot.has(seen)
    assert {event: event in bot.recorded() for event in (unseen, seen)} == {unseen: False, seen: True}
    assert len(bot.recorded()) == len(set(bot.recorded()))


async def test_a_cached_answer_from_before_the_notice_counts_for_nothing_after_it(
    theatre: Theatre, line: BadLine
) -> None:
    """Synapse answers a question that is repeated, since its answer was lost, as it did the first time."""
    bot, room, member, unseen = await invited(theatre)
    lost, cached = b"the answer is lost", list[bytes]()

    def repeated(body: bytes) -> bytes:
        if not cached and room in json.loads(body).get("rooms", {}).get("join", {}):
            cached.append(body)
            return lost
        if len(cached) == 1:
            cached.append(b"")
            return cached[0]
        return body

    line.change(SYNC, repeated)
    joined, announcing = line.silence(SYNC, lost=True, holds=lambda body: body == lost), line.silence(SEND)
    bot.start()
    await bot.until(lambda: announcing.met and joined.met, "the notice to be sent, and an answer without it")
    assert announcing.held is not None and joined.held is not None
    announcing.held.set()
    await bot.until_condition(room, "protected")
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the room to be read")
    joined.held.set()
    await bot.until(lambda: len(cached) == 2, "the cached answer")
    line.clear()
    seen = await member.send_text(room, "after the notice")
    await bot.has(seen)
    assert {event: event in bot.recorded() for event in (unseen, seen)} == {unseen: False, seen: True}


@pytest.mark.long
async def test_a_gap_of_the_former_stay_ends_with_it(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More was said before the removal than the homeserver delivers, and pages come only once the bot is back."""
    short_timelines(monkeypatch)
    scene, unseen = await removed_and_invited(theatre, "kick", before=12)
    bot, said = scene.bot, [event["event_id"] for event in await scene.owner.messages(scene.room, limit=20)]
    there = said[: said.index(unseen)][-13:]  # twelve messages and the removal
    line.trouble(MESSAGES, Answer(502), always=True)
    bot.start()
    await bot.until(lambda: notices(bot) == 2, "the second notice")
    line.clear()
    await began_afresh(scene, unseen)
    assert [event for event in bot.recorded(scene.room) if event in there] == there[-10:]  # which were delivered
    assert [(fact.what, fact.room, fact.detail) for fact in bot.facts(NotSeen) if fact.what != "down"] == [
        ("gap", scene.room, "removed")
    ]
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the room to be read")
    assert bot.rows("SELECT 1 FROM gap_events") + bot.rows("SELECT 1 FROM gap_pages") == []


@pytest.mark.long
@pytest.mark.parametrize("how", ["kick", "ban"])
async def test_what_an_answer_has_of_an_absence_is_not_recorded_when_its_beginning_cannot_be_read(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The answer ends with the last change before the invitation: the end of a ban, or of an invitation."""
    short_timelines(monkeypatch)
    scene, unseen = await removed_and_invited(theatre, how, before=12, unseen=12)
    bot, room, owner = scene.bot, scene.room, scene.owner
    if how == "kick":
        await owner.kick(room, bot.user)
        await owner.invite(room, bot.user)
    line.trouble(MESSAGES, Answer(502), always=True)
    bot.start()
    await bot.until(lambda: notices(bot) == 2, "the second notice")
    line.clear()
    await began_afresh(scene, unseen)
    assert [record.parts[0]["body"] for record in bot.records() if "while it" in str(record.parts)] == []


@pytest.mark.long
async def test_a_notice_of_a_former_stay_is_not_taken_for_one_of_the_next(theatre: Theatre, line: BadLine) -> None:
    """The bot is stopped between its notice and the opening, and removed and invited meanwhile."""
    bot, room, member, _ = await invited(theatre)
    opening = line.silence(CONTEXT)
    bot.start()
    await bot.until(lambda: opening.met, "the notice to be sent")
    await bot.crash()
    line.clear()
    (owner,) = [user for user in theatre.stage._open if isinstance(user, Client) and user is not member]
    await owner.kick(room, bot.user)
    unseen = await member.send_text(room, "while it was gone")
    await owner.invite(room, bot.user)
    line.change(SYNC, without_invitations)
    bot.start()
    await bot.until_condition(room, "protected")
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the room to be read")
    seen = await member.send_text(room, "after the second notice")
    await bot.has(seen)
    assert unseen not in bot.recorded()


async def test_a_bot_comes_back_only_once_the_answer_that_tells_of_its_removal_is_taken(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer has the invitation, too; it is read several times, since the homeserver cannot be asked meanwhile."""
    scene = await theatre.scene()
    bot, room, owner, member = scene.bot, scene.room, scene.owner, scene.members[0]
    direct = await member.create_room(None, invite=[bot.user], is_direct=True)
    await member.wait_event(direct, lambda seen: seen.sender == bot.user and bool(seen.body), what="hello")
    await bot.idle()
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the rooms to be read")
    held, is_behind, refused = line.silence(SYNC), Listener._is_behind, list[object]()

    async def busy(listener: Listener, asked: JoinedRoom | LeftRoom) -> bool:
        if asked.room == room and isinstance(asked, LeftRoom) and len(refused) < 5:
            refused.append(asked)
            raise Unreachable("busy", request="state")
        return await is_behind(listener, asked)

    monkeypatch.setattr(Listener, "_is_behind", busy)
    monkeypatch.setattr(sync_loop, "FIRST_RETRY_S", 0.01)
    await member.send_text(direct, "a word that ends the question which waits")
    await bot.until(lambda: held.met, "the next question")
    there = await member.send_text(room, "before it went")
    for each, person in ((room, owner), (direct, member)):
        await person.kick(each, bot.user)
    unseen = await member.send_text(room, "while it was gone")
    await owner.invite(room, bot.user)
    again = {"membership": "invite", "is_direct": True}
    await member.request("PUT", "rooms", direct, "state", "m.room.member", bot.user, json=again)
    assert held.held is not None
    held.held.set()
    line.clear()
    await began_afresh(scene, unseen)
    assert len(refused) == 5
    assert there in bot.recorded()
    await bot.has(await member.send_text(direct, "!help"))


@pytest.mark.long
async def test_pages_of_a_former_stay_are_not_read_in_the_next_one(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else joined with the bot's account, so the removal stands in the middle of what the bot reads."""
    short_timelines(monkeypatch)
    for name, size in (("PAGE", 5), ("SHORT", 1), ("OVERLAP", 1)):
        monkeypatch.setattr(backfill, name, size)
    scene, unseen = await removed_and_invited(theatre, "kick")
    bot, room, member = scene.bot, scene.room, scene.members[0]
    out = [unseen, *[await member.send_text(room, f"out {n}") for n in range(25)]]
    async with Client(theatre.stage.server.url, bot.user, bot.session.token) as other:
        await other.join(room)
    out += [await member.send_text(room, f"out still {n}") for n in range(15)]
    is_back, page = asyncio.Event(), Gaps._page

    async def slow(gaps: Gaps, gap: Gap, token: str) -> object:
        if gap.room == room and not is_back.is_set() and bot.condition(room) == "left":
            raise Unreachable("slow", request="messages")
        return await page(gaps, gap, token)

    monkeypatch.setattr(Gaps, "_page", slow)
    bot.start()
    await bot.until_condition(room, "left")
    await scene.owner.kick(room, bot.user)
    await scene.owner.invite(room, bot.user)
    await bot.until_condition(room, "protected")
    is_back.set()
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the room to be read")
    seen = await member.send_text(room, "after")
    await bot.has(seen)
    assert set(out).isdisjoint(bot.recorded())


@pytest.mark.parametrize("count", [1, 20])
async def test_nothing_is_recorded_after_a_removal_in_the_answer_or_page_that_tells_of_it(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Somebody accepted the invitation with the bot's account, so no invitation is told."""
    short_timelines(monkeypatch)
    scene, unseen = await removed_and_invited(theatre, "kick")
    bot, room = scene.bot, scene.room
    async with Client(theatre.stage.server.url, bot.user, bot.session.token) as other:
        await other.join(room)
    more = [await scene.members[0].send_text(room, f"number {n}") for n in range(count)]
    bot.start()
    await bot.until_condition(room, "left")
    await the_sync_after_it(scene)
    assert {unseen, *more}.isdisjoint(bot.recorded())


def short_timelines(monkeypatch: pytest.MonkeyPatch) -> None:
    room = {**SYNC_FILTER["room"], "timeline": {"limit": 10, "lazy_load_members": True}}
    monkeypatch.setattr(sync_loop, "SYNC_FILTER", {**SYNC_FILTER, "room": room})
    monkeypatch.setattr(backfill, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(backfill, "LAST_RETRY_S", 0.1)


def without_removals(body: bytes) -> bytes:
    """Return an answer of a homeserver that does not tell of a removal once the bot is invited again."""
    answer = json.loads(body)
    answer.get("rooms", {}).pop("leave", None)
    return json.dumps(answer).encode()


def without_invitations(body: bytes) -> bytes:
    """Return an answer as if the bot had joined before the question."""
    answer = json.loads(without_removals(body))
    answer.get("rooms", {}).pop("invite", None)
    return json.dumps(answer).encode()


async def removed_and_invited(theatre: Theatre, how: str, before: int = 0, unseen: int = 1) -> tuple[Scene, str]:
    """Return a scene whose bot is stopped, was removed and is invited, and what was said between."""
    scene = await theatre.scene()
    bot, owner, room = scene.bot, scene.owner, scene.room
    await bot.idle()
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the rooms to be read")
    await bot.stop()
    for n in range(before):
        await scene.members[0].send_text(room, f"before {n}")
    await owner.request("POST", "rooms", room, how, json={"user_id": bot.user})
    said = [await scene.members[0].send_text(room, "while it was gone") for _ in range(unseen)][-1]
    if how == "ban":
        await owner.request("POST", "rooms", room, "unban", json={"user_id": bot.user})
    await owner.invite(room, bot.user)
    return scene, said


async def the_sync_after_it(scene: Scene) -> None:
    """Wait until an answer of `/sync` from after the last event was taken."""
    await scene.bot.has(await scene.managers[0].send_text(scene.desk, "a word in the desk"))


async def invited(theatre: Theatre) -> tuple[ServedBot, RoomId, Client, str]:
    """Invite a bot that does not run into a room. Return both, a member, and what they wrote before."""
    owner, member = await theatre.people("owner", "member")
    bot = await theatre.bot("", start=False)
    room = await theatre.stage.room(owner, member)
    await owner.set_power(room, {bot.user: 100})
    unseen = await member.send_text(room, "before the bot came")
    await owner.invite(room, bot.user)
    return bot, room, member, unseen


async def began_afresh(scene: Scene, unseen: str) -> None:
    bot, room = scene.bot, scene.room
    await bot.until(lambda: notices(bot) == 2 and bot.condition(room) == "protected", "the room to be entered again")
    seen = await scene.members[0].send_text(room, "after the second notice")
    await bot.has(seen)
    assert {event: event in bot.recorded() for event in (unseen, seen)} == {unseen: False, seen: True}


def notices(bot: ServedBot) -> int:
    return [fact.condition for fact in bot.facts(RoomStateChanged)].count("announced")
