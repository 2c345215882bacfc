"""A card on its way to a desk that its room has left by then comes into the new desk, and the old one says so."""

from pathlib import Path
from typing import Any

from bot.effects.desk import Desk
from bot.matrix.errors import NotFound
from bot.pipeline.returned_cards import with_card_mark
from moderation.model.actions.base import Action
from moderation.model.actions.cards import PostCard, SupersedeCard
from moderation.model.facts import ActionTaken, DeskChosen
from moderation.values.ids import CaseNumber, EventId, GroupCode, RoomId
from storage import outbox
from tests.door.offline import ANNA, BOT, DESK, MARK, MINA, OLGA, ROOM, Offline, offline

NEW, NEW_CODE = RoomId("!new-desk:example.org"), GroupCode("G-NEWD")
SENT = EventId("$sent")


class Homeserver:
    """A homeserver that accepts a message only after the room of its case has got another desk."""

    user = BOT

    def __init__(self, bot: Offline) -> None:
        self._bot = bot
        self.sent: list[RoomId] = []

    async def send(self, room: RoomId, _kind: str, _content: object, _txn: str) -> EventId:
        self.sent.append(room)
        await self._bot.pipeline.commit((DeskChosen(room=ROOM, desk=NEW_CODE, why="asked", by=OLGA),))
        return SENT

    async def event(self, _room: RoomId, _event: EventId) -> dict[str, Any]:
        raise NotFound("it is not needed here")


async def with_two_desks(bot: Offline) -> outbox.OutboxRow:
    """Open a second desk, and a case. Returns the row of its card."""
    await bot.enter_room(NEW, NEW_CODE, "desk", {}, "11", (OLGA, MARK, MINA), served="-")
    await bot.say(ANNA, "forbidden")
    (row,) = [row for row in await bot.waiting() if isinstance(row.action, PostCard)]
    return row


def of_cards(actions: list[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, PostCard | SupersedeCard)]


async def test_a_room_that_moves_during_the_request(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        row = await with_two_desks(bot)
        assert isinstance(row.action, PostCard)
        homeserver = Homeserver(bot)
        done = await Desk(bot.services(homeserver), lambda _room, _index: None).post(row.action, row.txn)
        assert homeserver.sent == [DESK]
        assert (done.made, done.actions) == (SENT, (SupersedeCard(room=DESK, event=SENT, moved=True), row.action))


async def test_a_card_that_comes_back_after_the_room_has_moved(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        row = await with_two_desks(bot)
        await bot.pipeline.commit((DeskChosen(room=ROOM, desk=NEW_CODE, why="asked", by=OLGA),))
        content = with_card_mark({"msgtype": "m.text", "body": "Case 1"}, 1, row.txn)
        made = EventId(await bot.event(BOT, "m.room.message", content, room=DESK))
        assert [(fact.n, fact.txn, fact.made) for fact in bot.facts(ActionTaken)] == [(1, row.txn, made)]
        assert of_cards([each.action for each in await bot.waiting()]) == [
            SupersedeCard(room=DESK, event=made, moved=True),
            PostCard(room=ROOM, n=CaseNumber(1)),
        ]


async def test_a_card_that_comes_back_where_it_belongs(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        row = await with_two_desks(bot)
        content = with_card_mark({"msgtype": "m.text", "body": "Case 1"}, 1, row.txn)
        await bot.event(BOT, "m.room.message", content, room=DESK)
        assert of_cards([each.action for each in await bot.waiting()]) == []


async def test_a_card_that_comes_back_when_the_new_desk_has_one(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        row = await with_two_desks(bot)
        content = with_card_mark({"msgtype": "m.text", "body": "Case 1"}, 1, row.txn)
        await bot.pipeline.commit((DeskChosen(room=ROOM, desk=NEW_CODE, why="asked", by=OLGA),))
        await bot.post_cards()
        made = EventId(await bot.event(BOT, "m.room.message", content, room=DESK))
        assert of_cards([each.action for each in await bot.waiting()]) == [
            SupersedeCard(room=DESK, event=made, moved=True)
        ]
