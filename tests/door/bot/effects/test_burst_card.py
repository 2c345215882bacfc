"""In a raid the desk sees a few messages; the common card says what was done, and follows what people decide."""

from pathlib import Path
from typing import Any

import pytest

from bot.bot_rooms.shared_desks import moved
from bot.effects import burst_card
from bot.effects.burst_card import EVERY_MS, BurstCards
from bot.effects.desk import Desk
from bot.matrix.errors import NotFound
from bot.outbox.handler import Done, PollAgain
from bot.pipeline.returned_cards import with_card_mark
from moderation.model.actions.base import Action
from moderation.model.actions.cards import EditBurst, EditCard, PostBurst, PostCard, SupersedeCard
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import ActionTaken, CaseDecided, DeskChosen
from moderation.values.ids import CaseNumber, EventId, GroupCode, RoomId
from tests.door.bot.pipeline.test_case_bursts import AUTO, FEW, raider
from tests.door.offline import BOT, DESK, MARK, MINA, OLGA, ROOM, RULES, Offline, offline
from tests.theatre.scene import Theatre, told
from tests.theatre.served import like

CARD = EventId("$common")
NEW, NEW_CODE = RoomId("!new-desk:example.org"), GroupCode("G-NEWD")


async def test_the_desk_of_a_raided_room_stays_readable(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burst_card, "EVERY_MS", 200)
    scene = await theatre.scene(AUTO + FEW, members=8)
    bot, room, (mark,) = scene.bot, scene.room, scene.managers
    await bot.idle()
    before = {each["event_id"] for each in await mark.messages(scene.desk)}
    for member in scene.members:
        await member.send_text(room, "an elephant")
    for member in scene.members:
        await told(member, bot, like("notice.measure.redact"))
    whole = like("card.burst.head", count="6", people="6", first="3", last="8")
    await scene.wait_desk(mark, lambda seen: whole.search(seen.body) is not None, "all cases on it")
    await bot.idle()
    since = [each for each in await mark.messages(scene.desk) if each["event_id"] not in before]
    new = [each for each in since if each["type"] == "m.room.message" and "m.new_content" not in each["content"]]
    assert len(new) == 3  # two cards, and the common one
    await mark.send_text(scene.desk, "!dismiss 5 a real elephant")
    one = like("card.burst.reversed", count="1")
    await scene.wait_desk(mark, lambda seen: one.search(seen.body) is not None, "that one was reversed")
    assert [(fact.n, fact.by) for fact in bot.facts(CaseDecided)] == [(5, mark.user)]


class Homeserver:
    """A homeserver that notes what it is sent, and shows nothing."""

    user = BOT

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def send(self, _room: RoomId, _kind: str, content: dict[str, Any], _txn: str) -> EventId:
        self.sent.append(content)
        return CARD if "m.new_content" not in content else EventId(f"$edit{len(self.sent)}")

    async def event(self, _room: RoomId, _event: EventId) -> dict[str, Any]:
        raise NotFound("it is not needed here")


async def posted(bot: Offline, cards: BurstCards) -> Done:
    """Send the common card that waits."""
    (row,) = [row for row in await bot.waiting() if isinstance(row.action, PostBurst)]
    assert isinstance(row.action, PostBurst)
    done = await cards.post(row.action, row.txn)
    taken = ActionTaken(room=ROOM, action="burst-card", result="done", n=row.action.n, txn=row.txn, made=done.made)
    await bot.pipeline.commit((taken,), of_row=row.txn)
    return done


async def test_edits_are_some_seconds_apart_and_show_something_new(tmp_path: Path) -> None:
    edit = EditBurst(room=ROOM, n=CaseNumber(3))
    async with offline(tmp_path, AUTO + FEW) as bot:
        homeserver = Homeserver()
        cards = BurstCards(bot.services(homeserver))
        for n in (1, 2, 3):
            await bot.say(raider(n), "an elephant")
        assert await cards.edit(edit, "t1") == Done(result="abandoned")  # not posted yet
        await posted(bot, cards)
        await bot.say(raider(4), "an elephant")
        with pytest.raises(PollAgain) as later:
            await cards.edit(edit, "t2")
        assert later.value.wait_ms == EVERY_MS
        await bot.pass_time(EVERY_MS)
        assert (await cards.edit(edit, "t2")).made == "$edit2"
        await bot.pass_time(EVERY_MS)
        assert await cards.edit(edit, "t3") == Done()
        assert [("2 cases" in each["body"], "m.new_content" in each) for each in homeserver.sent] == [
            (False, False),
            (True, True),
        ]


async def test_people_in_the_desk_count_as_told_of_what_waits_on_the_card(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + FEW) as bot:
        for n in range(1, 5):
            await bot.say(raider(n), "forbidden")
        told_of = "SELECT n, count(*) FROM assignments WHERE told = 1 GROUP BY n"
        assert await bot.rows(told_of) == []
        await posted(bot, BurstCards(bot.services(Homeserver())))
        assert [n for n, _ in await bot.rows(told_of)] == [3, 4]


def of_cards(actions: list[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, PostBurst | PostCard | SupersedeCard)]


async def test_a_common_card_with_something_to_decide_moves_with_its_room(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + FEW) as bot:
        await bot.enter_room(NEW, NEW_CODE, "desk", {}, "11", (OLGA, MARK, MINA), served="-")
        for n in range(1, 5):
            await bot.say(raider(n), "forbidden")
        await posted(bot, BurstCards(bot.services(Homeserver())))
        async with bot.stores.database.read() as db:
            actions = await moved(db, DeskChosen(room=ROOM, desk=NEW_CODE, why="asked", by=OLGA), BOT)
        assert of_cards(list(actions)) == [
            SupersedeCard(room=DESK, event=CARD, moved=True),
            PostBurst(room=ROOM, n=CaseNumber(3)),
        ]


async def test_a_common_card_that_comes_back_after_its_room_has_moved(tmp_path: Path) -> None:
    async with offline(tmp_path, AUTO + FEW) as bot:
        await bot.enter_room(NEW, NEW_CODE, "desk", {}, "11", (OLGA, MARK, MINA), served="-")
        for n in range(1, 4):
            await bot.say(raider(n), "an elephant")
        (row,) = [row for row in await bot.waiting() if isinstance(row.action, PostBurst)]
        await bot.pipeline.commit((DeskChosen(room=ROOM, desk=NEW_CODE, why="asked", by=OLGA),))
        content = with_card_mark({"msgtype": "m.notice", "body": "many"}, 3, row.txn, PostBurst)
        made = EventId(await bot.event(BOT, "m.room.message", content, room=DESK))
        again = [
            each for each in of_cards([row.action for row in await bot.waiting()]) if not isinstance(each, PostCard)
        ]
        assert again == [PostBurst(room=ROOM, n=CaseNumber(3)), SupersedeCard(room=DESK, event=made, moved=True)]


async def test_a_case_on_a_common_card_gets_its_own_once_it_is_appealed(tmp_path: Path) -> None:
    async with offline(tmp_path, AUTO + FEW) as bot:
        for n in range(1, 5):
            await bot.say(raider(n), "an elephant")
        desk = Desk(bot.services(Homeserver()), lambda _room, _index: None)
        edit, common = EditCard(room=ROOM, n=CaseNumber(4)), EditBurst(room=ROOM, n=CaseNumber(3))
        assert (await desk.edit(edit, "t1")).actions == (common,)
        await bot.say(raider(4), "!appeal 4 it was my dog", await bot.direct(raider(4)))
        own = PostCard(room=ROOM, n=CaseNumber(4), ring=False)
        assert (await desk.edit(edit, "t2")).actions == (common, own)
        (asked,) = [row.action for row in await bot.waiting() if isinstance(row.action, TellDesk) and row.action.ring]
        assert asked.n == 4
