"""Only messages removed in the time that a backup lost are asked for; old cards are marked as old."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from bot.events.parse_event import receive
from bot.matrix.errors import NotFound
from bot.pipeline.lost_time import LostTime, RemovedMessages
from bot.pipeline.returned_cards import superseded_cards
from bot.pipeline.room_registry import ServedRooms
from moderation.model.actions.cards import PostCard, SupersedeCard
from moderation.model.facts import RecordsRestored, RoomStateChanged
from moderation.values.durations import DAY_MS
from moderation.values.events import Json, MessagePosted, OtherEvent, Received, Undecryptable
from moderation.values.ids import EventId, RoomId, UserId
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.projections import project
from tests.unit.moderation.builders import room

ROOM, BOT, ANNA = RoomId("!room"), UserId("@bot:x"), UserId("@anna:x")
MADE, RESTORED = 10 * DAY_MS, 12 * DAY_MS


def message(sent_ms: int, *, body: str = "", kind: str = "m.room.message", sender: str = ANNA) -> dict[str, Any]:
    """Return a message from the homeserver; without a body it was redacted."""
    content: dict[str, Json] = {"msgtype": "m.text", "body": body} if body else {}
    unsigned = {"redacted_because": {"type": "m.room.redaction"}}
    return {"event_id": "$one", "sender": sender, "type": kind, "origin_server_ts": sent_ms, "content": content,
            "unsigned": unsigned}  # fmt: skip


def received(raw: dict[str, Any]) -> Received:
    return receive(raw, ROOM, RESTORED)


class Kept:
    """A homeserver that returns redacted content on request, if it `offers` to and `has` it."""

    def __init__(self, *, offers: bool, has: bool = True) -> None:
        self._offers, self._has = offers, has

    async def event_before_redaction(self, _room: RoomId, _event: EventId) -> dict[str, Any]:
        if not self._has:
            raise NotFound("gone", status=404, errcode="M_NOT_FOUND")
        return message(MADE + 1, body="a purple elephant" if self._offers else "")


class KeptForAdmins:
    """The admin API, which returns redacted content."""

    async def event(self, event: EventId) -> dict[str, Any]:
        assert event == "$one"
        return message(MADE + 1, body="a purple elephant")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = await Database.open(DatabasePlace(tmp_path))
    async with made.write() as db:
        await project(RecordsRestored(size=5, made=MADE, signed=-1, cases=1100, era="ab"), db, 5, RESTORED)
    yield made
    await made.close()


def lost_time(database: Database, *groups: RoomId) -> LostTime:
    served = ServedRooms()
    for group in groups:
        served.changed(RoomStateChanged(room=group, condition="protected"))
    return LostTime(database, served, BOT)


def removed(database: Database, homeserver: Kept, admin: KeptForAdmins | None = None) -> RemovedMessages:
    return RemovedMessages(cast(Any, homeserver), lost_time(database), lambda: RESTORED, cast(Any, admin))


@pytest.mark.parametrize("kind", ["m.room.message", "m.room.encrypted"])
async def test_messages_removed_in_the_lost_time_are_recorded_as_unread(database: Database, kind: str) -> None:
    (found,) = await lost_time(database).mark([received(message(MADE + 1, kind=kind))])
    assert isinstance(found, Undecryptable)
    assert (found.code, found.event, found.sender) == ("redacted", "$one", ANNA)


@pytest.mark.parametrize("sent_ms", [MADE - 1, RESTORED + 1])
async def test_messages_removed_at_another_time_are_unaffected(database: Database, sent_ms: int) -> None:
    lost, asked = lost_time(database), removed(database, Kept(offers=True))
    emptied = received(message(sent_ms))
    assert isinstance(emptied, OtherEvent)
    assert (list(await lost.mark([emptied])), await asked.as_sent(ROOM, emptied)) == ([emptied], None)


async def test_a_removed_group_message_is_unread_and_names_the_remover(database: Database) -> None:
    raw = message(RESTORED + 1)
    raw["unsigned"]["redacted_because"] |= {"sender": ANNA, "origin_server_ts": RESTORED + 2}
    (found,) = await lost_time(database, ROOM).mark([received(raw)])
    assert isinstance(found, Undecryptable)
    assert (found.code, found.removed_by, found.removed_ms) == ("redacted", ANNA, RESTORED + 2)


async def test_an_administrator_gets_content_that_others_do_not(database: Database) -> None:
    for kept in (Kept(offers=False), Kept(offers=True, has=False)):
        whole = await removed(database, kept, KeptForAdmins()).as_sent(ROOM, received(message(MADE + 1)))
        assert isinstance(whole, MessagePosted) and whole.body == "a purple elephant"


async def test_removed_words_come_from_the_homeserver(database: Database) -> None:
    whole = await removed(database, Kept(offers=True)).as_sent(ROOM, received(message(MADE + 1)))
    assert isinstance(whole, MessagePosted)
    assert whole.body == "a purple elephant"


@pytest.mark.parametrize("kept", [Kept(offers=False), Kept(offers=True, has=False)])
async def test_content_that_the_homeserver_withholds_stays_unread(database: Database, kept: Kept) -> None:
    assert await removed(database, kept).as_sent(ROOM, received(message(MADE + 1))) is None


async def test_a_card_of_the_lost_time_is_superseded_and_no_other(database: Database) -> None:
    desk = room(purpose="desk")

    def card(txn: str, sender: UserId = BOT) -> Received:
        raw = message(MADE + 1, body="Case 7", sender=sender)
        raw["content"][PostCard.MARK] = {"case": 7, "request": txn}
        return received(raw)

    async with database.read() as db:
        assert await superseded_cards(db, card("answerable.3.0"), desk, BOT, "ab") == (
            SupersedeCard(room=desk.room, event=EventId("$one")),
        )
        assert await superseded_cards(db, card("answerable.ab.3.0"), desk, BOT, "ab") == ()
        assert await superseded_cards(db, card("answerable.3.0"), desk, BOT, "") == ()
        assert await superseded_cards(db, card("answerable.3.0", ANNA), desk, BOT, "ab") == ()
