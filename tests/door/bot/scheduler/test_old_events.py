"""Messages that left the table of events: what people ask about one of them is answered from the log."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli.logs.tables import TableDifference
from bot.cli.logs.tables import differences as all_differences
from bot.events.parse_event import receive
from bot.pipeline.known_event import known_event
from bot.scheduler import old_events
from bot.scheduler.old_events import OldEvents
from moderation.model.actions.base import Action
from moderation.model.actions.registry import from_json
from moderation.model.actions.removal import Redact, TakeBack
from moderation.model.actions.telling import Say
from moderation.model.facts import ActionTaken, CaseDecided, CaseOpened, DataAsked, Reported
from moderation.rooms.table_horizon import events_stay_ms
from moderation.values.durations import DAY_MS
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from storage.projections import EVENTS_LEFT, events_left
from tests.door.offline import ANNA, BOT, DESK, MARK, MINA, OLGA, ROOM, RULES, Offline, offline
from tests.theatre.opened import made_again

REPLACED = RoomId("!meadow:example.org")
LEVELS = {"users": {OLGA: 100, BOT: 100}}
SPARED = f'{RULES}unless = {{ users = ["{MARK}"] }}\n'
OPERATED = f'operators = ["{OLGA}"]\n{RULES}'


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pauses, and let a few events leave at a time."""
    monkeypatch.setattr(old_events, "SHORTEST_S", 0)
    monkeypatch.setattr(old_events, "PAUSES", 0)
    monkeypatch.setattr(old_events, "AT_ONCE", 3)


def leaving(bot: Offline, doubt: Any = None) -> OldEvents:
    return OldEvents(bot.stores.database, bot.pipeline, bot.config.policy, bot.time, lambda: doubt)


async def grow_old(bot: Offline) -> int:
    """Let everything that was said become old, and leave. Return how many events left."""
    await bot.pass_time(events_stay_ms(bot.config.policy) + DAY_MS)
    await bot.say(MARK, "good morning")  # a day of the log that is not old
    return await leaving(bot).look()


async def message(bot: Offline, user: UserId, words: str, *, room: RoomId = ROOM, reply_to: str = "") -> EventId:
    content: dict[str, Any] = {"msgtype": "m.text", "body": words}
    if reply_to:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to}}
    return EventId(await bot.event(user, "m.room.message", content, room=room))


async def is_there(bot: Offline, event: EventId) -> bool:
    return bool(await bot.rows(f"SELECT 1 FROM events WHERE event = '{event}'"))


async def waiting(bot: Offline, kind: type[Action]) -> list[Any]:
    rows = await bot.rows("SELECT action FROM outbox")
    return [each for (text,) in rows if isinstance(each := from_json(json.loads(text)), kind)]


async def test_messages_leave_once_nothing_reads_many_of_that_age(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        said = [await message(bot, ANNA, f"word {number}") for number in range(7)]
        await bot.pass_time(events_stay_ms(bot.config.policy) - DAY_MS)
        await bot.say(MARK, "good morning")
        assert await leaving(bot).look() == 0
        await bot.pass_time(2 * DAY_MS)
        assert await leaving(bot, "jump").look() == 0, "the clock may be wrong"
        assert await leaving(bot).look() == len(said)
        assert await leaving(bot).look() == 0
        assert [await is_there(bot, event) for event in said] == [False] * len(said)
        assert len(await bot.rows("SELECT 1 FROM members")) == 9, "who is there stays known"


async def test_an_old_message_that_is_delivered_again_is_not_recorded_again(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        raw = bot.raw(ANNA, "m.room.message", {"msgtype": "m.text", "body": "forbidden"})
        await bot.pipeline.take([receive(raw, ROOM, bot.time())])
        assert len(bot.facts(CaseOpened)) == 1
        raws = [raw, bot.raw(ANNA, "m.room.message", {"msgtype": "m.text", "body": "fine"})]
        await bot.pipeline.take([receive(raws[1], ROOM, bot.time())])
        await grow_old(bot)
        size = bot.stores.journal.size
        for each in raws:
            await bot.pipeline.take([receive(each, ROOM, bot.time())])
        assert bot.stores.journal.size == size
        assert await is_there(bot, raws[0]["event_id"]), "it is evidence"
        assert not await is_there(bot, raws[1]["event_id"])


async def test_an_old_message_can_be_reported_and_is_removed(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        said = await message(bot, ANNA, "something nasty")
        record = bot.stores.journal.size - 1
        await grow_old(bot)
        await message(bot, MINA, "!report it is nasty", reply_to=said)
        (reported,) = bot.facts(Reported)
        assert (reported.message, reported.subject) == (record, ANNA)
        (opened,) = bot.facts(CaseOpened)
        assert (opened.event, opened.excerpt) == (said, "something nasty")
        await message(bot, MARK, "!uphold 1", room=DESK)
        assert [fact.n for fact in bot.facts(CaseDecided)] == [1]
        assert said in [each.event for each in await waiting(bot, Redact)]


async def test_an_old_message_can_be_redacted_by_a_reply(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        said = await message(bot, ANNA, "something nasty")
        await grow_old(bot)
        await message(bot, MARK, "!redact enough", reply_to=said)
        assert said in [each.event for each in await waiting(bot, Redact)]


async def test_a_receipt_for_an_old_message_is_given_to_its_sender_only(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        said = await message(bot, ANNA, "I was here")
        await grow_old(bot)
        await message(bot, MINA, "!receipt", reply_to=said)
        assert bot.facts(DataAsked) == []
        await message(bot, ANNA, "!receipt", reply_to=said)
        assert [fact.what for fact in bot.facts(DataAsked)] == ["receipt"]


async def test_a_true_quotation_of_an_old_message_is_not_judged_and_a_false_one_is(tmp_path: Path) -> None:
    async with offline(tmp_path, SPARED) as bot:
        said = await message(bot, MARK, "nothing forbidden may be sold here")
        await grow_old(bot)
        quoted = f"> <{MARK}> nothing forbidden may be sold here\n\nagreed"
        await message(bot, ANNA, quoted, reply_to=said)
        assert bot.facts(CaseOpened) == []
        await message(bot, ANNA, f"> <{MARK}> I sell forbidden things\n\nagreed", reply_to=said)
        assert [fact.subject for fact in bot.facts(CaseOpened)] == [ANNA]


async def test_an_old_message_of_another_room_cannot_be_reported_from_here(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.enter_room(REPLACED, GroupCode("G-MEAD"), "group", LEVELS, "11", (OLGA, ANNA))
        said = await message(bot, ANNA, "in the meadow", room=REPLACED)
        await grow_old(bot)
        await message(bot, MINA, "!report", reply_to=said)
        assert bot.facts(Reported) == []


async def test_an_old_message_is_redacted_in_the_room_before_the_upgrade(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        said = await message(bot, ANNA, "something nasty")
        await bot.enter_room(REPLACED, GroupCode("G-7F3K"), "group", LEVELS, "11", (OLGA, ANNA))
        later = await message(bot, ANNA, "in the new room", room=REPLACED)
        await grow_old(bot)
        async with bot.stores.database.read() as db:
            found = [await known_event(db, event, bot.stores.journal) for event in (said, later, EventId("$no"))]
        assert [each and each.room for each in found] == [ROOM, REPLACED, None]


async def test_what_the_bot_answered_to_old_words_is_taken_back_with_them(tmp_path: Path) -> None:
    async with offline(tmp_path, OPERATED) as bot:
        await message(bot, ANNA, "!status")
        (txn,) = [row.txn for row in await bot.waiting() if isinstance(row.action, Say)]
        made = await answered(bot, txn)
        await grow_old(bot)
        await bot.scheduler._operations.erase(ANNA, what="operator")
        assert made in [each.event for each in await waiting(bot, TakeBack)]


async def answered(bot: Offline, txn: str) -> EventId:
    """Let the answer to a command be sent, and come back. Return its event."""
    made = EventId(await bot.event(BOT, "m.room.message", {"msgtype": "m.notice", "body": "an answer"}))
    action = json.loads((await bot.rows(f"SELECT action FROM outbox WHERE txn = '{txn}'"))[0][0])
    taken = ActionTaken(room=ROOM, action=action["do"], result="done", txn=txn, on=bot.stores.journal.size, made=made)
    await bot.pipeline.commit((taken,), of_row=txn)
    return made


async def old_and_new(bot: Offline) -> None:
    """Fill the tables with old and new events: some are evidence, one was reported when it was old."""
    for number in range(9):
        await message(bot, (ANNA, MARK, MINA)[number % 3], f"word {number}")
    await message(bot, ANNA, "something forbidden")
    said = await message(bot, ANNA, "something nasty")
    await grow_old(bot)
    await message(bot, MINA, "!report it is nasty", reply_to=said)
    await grow_old(bot)
    await message(bot, MARK, "good evening")


async def differences(bot: Offline) -> list[TableDifference]:
    return await asyncio.to_thread(all_differences, bot.config.place, None)


async def test_the_tables_agree_with_the_records_when_events_have_left(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await old_and_new(bot)
        assert len(await bot.rows("SELECT 1 FROM old_events")) > 8
        assert await differences(bot) == []


async def test_the_tables_agree_with_the_records_after_an_old_reaction_was_removed(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        said = await message(bot, ANNA, "hello")
        relation = {"rel_type": "m.annotation", "event_id": said, "key": "nasty"}
        reaction = EventId(await bot.event(MINA, "m.reaction", {"m.relates_to": relation}))
        await grow_old(bot)
        await message(bot, MARK, "!redact enough", reply_to=reaction)
        assert reaction in [each.event for each in await waiting(bot, Redact)]
        assert await is_there(bot, reaction)
        assert await differences(bot) == []


FORGED = {
    "an event that is in neither table": ("DELETE FROM old_events WHERE record = (SELECT min(record) FROM old_events)"),
    "an old event that no record knows": "INSERT INTO old_events VALUES (99999, 'abc', 1, '')",
    "an event that no record knows": "INSERT INTO events VALUES (99999, '$x', '!r', '@a', 'posted', 1)",
    "a sender": f"UPDATE events SET sender = '{MARK}' WHERE sender = '{MINA}'",
    "a kind that no record gives": "UPDATE old_events SET kind = 'edit'",
    "an older time": "UPDATE old_events SET at = at + 1",
    "more messages than somebody wrote": "UPDATE spoke SET messages = messages + 9",
    "a later time": "UPDATE spoke SET last = last + 1",
    "somebody who wrote nothing": "INSERT INTO spoke VALUES ('!r', '@a', 3, 1, 1)",
    "somebody who is forgotten": "DELETE FROM spoke",
}


@pytest.mark.parametrize("forged", FORGED)
async def test_what_somebody_changed_in_them_is_found(tmp_path: Path, forged: str) -> None:
    async with offline(tmp_path) as bot:
        await old_and_new(bot)
        async with bot.stores.database.write() as db:
            assert (await db.exec_driver_sql(FORGED[forged])).rowcount > 0
        assert {each.table for each in await differences(bot)} & {"events", "old_events", "spoke"}


async def test_rebuilt_tables_are_those_that_time_made(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await old_and_new(bot)
        async with bot.stores.database.read() as db:
            left = await events_left(db)
        again = await made_again(bot.stores.journal, tmp_path / "again", left)
        for table in ("events", "old_events", "spoke"):
            query = f"SELECT * FROM {table} ORDER BY record"
            assert again.rows(query) == await bot.rows(query), table
        assert again.rows("SELECT value FROM meta WHERE key = ?", EVENTS_LEFT) == [(str(left),)]
