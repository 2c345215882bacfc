"""Notifications, by the homeserver's own counts and the push rules that every new account has."""

import re
from pathlib import Path

import pytest

from moderation.model.facts import CaseAssigned
from moderation.values.ids import RoomId
from tests.clients.encrypted_stage import EncryptedStage
from tests.clients.js_client import JsClient, Read
from tests.long.synapse.rung import invited, mark_read, rung, unread
from tests.people.client import Client, Seen
from tests.theatre.scene import Scene, Theatre, answer, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

DEADLINES = """
[cases.deadlines]
minor = "900s"
moderate = "900s"
serious = "900s"
severe = "900s"
"""
pytestmark = pytest.mark.usefixtures("short_waits")


async def until_reminded(bot: ServedBot) -> None:
    """Let time pass until people were reminded of case 1."""
    await bot.pass_until(lambda: bot.rows("SELECT 1 FROM cases WHERE n = 1 AND remind = 0"), "the reminder")


async def until_passed_on(bot: ServedBot, asked: str) -> None:
    """Let time pass until case 1 waits for these."""
    await bot.pass_until(lambda: bot.rows("SELECT 1 FROM cases WHERE n = 1 AND asked = ?", asked), asked)


async def in_desk(scene: Scene, who: Client, pattern: re.Pattern[str], after: int = 0) -> Seen:
    """Return a message in the desk, as `who` sees it."""
    return await scene.wait_desk(who, lambda seen: pattern.search(seen.body) is not None, pattern.pattern, after)


async def test_everybody_is_rung_when_it_is_their_turn(theatre: Theatre) -> None:
    operator = (await theatre.people("operator"))[0]
    scene = await theatre.scene(RULES + DEADLINES, members=2, bot=f'operators = ["{operator.user}"]')
    bot, owner, (manager,), (ann, ben) = scene.bot, scene.owner, scene.managers, scene.members
    for person in (operator, owner, manager, ann, ben):
        await open_direct(person, bot)  # a room that the bot makes rings by its invitation
    await mark_read(manager, scene.desk)
    said = await ann.send_text(scene.room, "forbidden 7")

    # The card, to the manager on duty; the reminder; the deadline, to the owner; the next one, to the operator.
    card = await scene.card(manager, 1)
    assert (card.content["msgtype"], card.content["m.mentions"]) == ("m.text", {"user_ids": [manager.user]})
    assert [await rung(who, card.id) for who in (manager, owner)] == ["highlighted", "notified"]
    assert await unread(manager, scene.desk) == (1, 1)
    await until_reminded(bot)
    reminder = await in_desk(scene, manager, like("desk.moved.reminded", n="1"))
    assert [await rung(who, reminder.id) for who in (manager, owner)] == ["highlighted", "notified"]
    await bot.idle()
    assert await unread(manager, scene.desk) == (len(await words(manager, scene.desk)), 2)
    await until_passed_on(bot, "owner")
    passed_on = await in_desk(scene, owner, like("desk.passed-on.owner", n="1"))
    assert like("desk.moved.overdue", n="1").search(passed_on.body)
    assert passed_on.content["m.relates_to"]["event_id"] == card.id
    assert [await rung(who, passed_on.id) for who in (manager, owner)] == ["notified", "highlighted"]
    asked = await told(owner, bot, like("notice.asked.owner", n="1"))
    assert await rung(owner, asked.id) == "highlighted"
    charged = await told(manager, bot, like("notice.own.duty_overdue", about="1"))
    assert await rung(manager, charged.id) == "highlighted"
    await until_passed_on(bot, "operator")
    asked = await told(operator, bot, like("notice.asked.operator", n="1"))
    assert await rung(operator, asked.id) == "highlighted"
    await bot.idle()
    count = len(await words(operator, RoomId(asked.room)))
    assert await unread(operator, RoomId(asked.room)) == (count, count)

    # A report, its result, and the decision; the answer to the person who decided is silent.
    await ben.react(scene.room, said, "🚩")
    arrived = await told(ben, bot, like("report.thanks", n="1"))
    assert await rung(ben, arrived.id) == "highlighted"
    reply = await answer(operator, bot, asked.room, await operator.send_text(asked.room, "!uphold 1 see the rules"))
    assert (reply.content["msgtype"], await rung(operator, reply.id)) == ("m.notice", "silent")
    outcome = await told(ben, bot, like("report.outcome.upheld"))
    assert await rung(ben, outcome.id) == "highlighted"
    word = await told(ann, bot, like("notice.message.upheld", n="1"))
    assert await rung(ann, word.id) == "highlighted"

    # An appeal needs somebody again: one message in the thread of the card, since edits ring nobody.
    await bot.idle()
    before, mark = await unread(operator, RoomId(asked.room)), operator.position
    await ann.send_text(word.room, "!appeal 1 I was quoting the rules")
    appeal = await in_desk(scene, manager, like("desk.appealed", n="1"))
    assert appeal.content["m.relates_to"]["event_id"] == card.id
    # What an operator decided, an operator hears: nobody else is rung.
    assert [await rung(who, appeal.id) for who in (manager, owner)] == ["silent", "silent"]
    await bot.idle()
    assert [(f.asked, f.subject) for f in bot.facts(CaseAssigned)][-1] == ("operator", operator.user)
    asked = await told(operator, bot, like("notice.asked.operator", n="1"), after=mark)
    assert await rung(operator, asked.id) == "highlighted"
    assert await unread(operator, RoomId(asked.room)) == one_more(before)
    edits = [seen.id for seen in manager.seen if "m.new_content" in seen.content]
    assert [await rung(manager, edit) for edit in edits] == ["silent"] * len(edits)
    assert edits


async def words(who: Client, room: RoomId) -> list[str]:
    """Return the messages of a room that count as unread: what is said to somebody, which no edit is."""
    found = [(event["event_id"], event["content"]) for event in await who.messages(room)]
    return [id for id, content in found if content.get("msgtype") == "m.text" and "m.new_content" not in content]


def one_more(counts: tuple[int, int]) -> tuple[int, int]:
    """Return the counts after one more message that mentions its reader."""
    return counts[0] + 1, counts[1] + 1


async def test_only_people_in_the_desk_are_mentioned(theatre: Theatre) -> None:
    bot, (owner, inside, outside, ann) = await theatre.bot(), await theatre.people("owner", "in", "out", "ann")
    room = await theatre.room(bot, owner, [inside, outside], [ann])
    scene = Scene(bot, owner, [inside, outside], [ann], room)
    scene.desk = await theatre.enter_desk(bot, room, inside)
    await outside.send_text(room, '!rule add quiet terms "psst" minor none manager')  # by which they are on duty
    await bot.until(lambda: bot.rows("SELECT 1 FROM room_rules"), "the rule")
    await ann.send_text(room, "forbidden 7")
    card = await scene.card(inside, 1)
    assert bot.rows("SELECT count(*) FROM assignments WHERE n = 1") == [(2,)]
    assert card.content["m.mentions"] == {"user_ids": [inside.user]}


async def test_a_card_that_waits_for_nobody_is_silent_and_an_appeal_rings_who_is_to_hear_it(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, owner, (manager,), (ann, ben) = scene.bot, scene.owner, scene.managers, scene.members
    for person in (manager, owner):
        await mark_read(person, scene.desk)
    await ann.send_text(scene.room, "a purple elephant")
    card = await scene.card(manager, 1)
    assert (card.content["msgtype"], await rung(manager, card.id)) == ("m.notice", "silent")
    assert await unread(manager, scene.desk) == (0, 0)

    # What a rule decided, a manager hears.
    word = await told(ann, bot, like("notice.violation"))
    await ann.send_text(RoomId(word.room), "!appeal 1 I was quoting the rules")
    appeal = await in_desk(scene, manager, like("desk.appealed", n="1"))
    assert appeal.content["m.relates_to"]["event_id"] == card.id
    assert [await rung(who, appeal.id) for who in (manager, owner)] == ["highlighted", "notified"]
    await bot.idle()
    assert await unread(manager, scene.desk) == (1, 1)

    # What a manager decided, the owner hears, since there is no other manager.
    card = await decided_by_manager(scene, ben, 2)
    await bot.idle()
    before = await unread(owner, scene.desk)
    word = await told(ben, bot, like("notice.message.upheld", n="2"))
    await ben.send_text(RoomId(word.room), "!appeal 2 I was quoting the rules")
    appeal = await in_desk(scene, owner, like("desk.appealed", n="2"))
    assert appeal.content["m.relates_to"]["event_id"] == card.id
    assert [await rung(who, appeal.id) for who in (manager, owner)] == ["notified", "highlighted"]
    await bot.idle()
    assert await unread(owner, scene.desk) == one_more(before)


async def decided_by_manager(scene: Scene, who: Client, n: int) -> Seen:
    """Let the manager uphold a case about what somebody says. Returns its card."""
    (manager,) = scene.managers
    await who.send_text(scene.room, f"forbidden {n}")
    card = await scene.card(manager, n)
    await answer(manager, scene.bot, scene.desk, await manager.send_text(scene.desk, f"!uphold {n} see the rules"))
    return card


async def test_the_first_word_to_somebody_rings_by_the_invitation(theatre: Theatre) -> None:
    scene = await theatre.scene()
    (ann,) = scene.members
    await ann.send_text(scene.room, "a purple elephant")
    word = await told(ann, scene.bot, like("notice.violation"))
    assert await invited(ann, RoomId(word.room))


@pytest.fixture
async def encrypted(encrypted_stage: EncryptedStage, tmp_path: Path):  # type: ignore[no-untyped-def]
    theatre = Theatre(encrypted_stage, tmp_path)
    yield theatre
    await theatre.close()


async def meet(person: Client, bot: ServedBot) -> None:
    """Open a direct room, and wait until the client knows the bot's signed device: it reads nothing sooner."""
    assert isinstance(person, JsClient)
    room = await person.create_room(is_direct=True, invite=[bot.user])
    said = ("m.room.message", "m.room.encrypted")
    await person.wait_event(room, lambda seen: seen.sender == bot.user and seen.type in said, what="hello")
    await person.wait_devices(bot.user, lambda found: any(each.signed for each in found), what="signed")


async def test_in_encrypted_rooms_the_homeserver_counts_and_the_client_highlights(encrypted: Theatre) -> None:
    """The homeserver cannot see mentions there: it counts every message, and the client decides what to highlight."""
    operator = (await encrypted.people("operator"))[0]
    scene = await encrypted.scene(RULES + DEADLINES, members=2, bot=f'operators = ["{operator.user}"]')
    bot, owner, (manager,), (ann, ben) = scene.bot, scene.owner, scene.managers, scene.members
    for person in (operator, owner, manager, ann, ben):
        await meet(person, bot)
    said = await ann.send_text(scene.room, "forbidden 7")
    card = await scene.card(manager, 1)
    assert (await rings(manager, card), await rings(owner, await scene.card(owner, 1))) == ("highlighted", "notified")
    await until_reminded(bot)
    assert await rings(manager, await in_desk(scene, manager, like("desk.moved.reminded", n="1"))) == "highlighted"
    await until_passed_on(bot, "owner")
    assert await rings(owner, await in_desk(scene, owner, like("desk.passed-on.owner", n="1"))) == "highlighted"
    asked = await told(owner, bot, like("notice.asked.owner", n="1"))
    assert await rings(owner, asked) == "highlighted"
    charged = await told(manager, bot, like("notice.own.duty_overdue", about="1"))
    assert await rings(manager, charged) == "highlighted"
    await until_passed_on(bot, "operator")
    asked = await told(operator, bot, like("notice.asked.operator", n="1"))
    assert await rings(operator, asked) == "highlighted"
    await ben.react(scene.room, said, "🚩")
    assert await rings(ben, await told(ben, bot, like("report.thanks", n="1"))) == "highlighted"
    reply = await answer(operator, bot, asked.room, await operator.send_text(asked.room, "!uphold 1"))
    assert isinstance(reply, Read)
    assert (reply.encrypted, reply.notified, reply.highlighted) == (True, False, False)
    assert await rings(ben, await told(ben, bot, like("report.outcome.upheld"))) == "highlighted"
    word = await told(ann, bot, like("notice.message.upheld", n="1"))
    assert await rings(ann, word) == "highlighted"

    # What an operator decided, an operator hears; what a rule decided, a manager; what a manager decided, the owner.
    mark = operator.position
    await ann.send_text(RoomId(word.room), "!appeal 1 I was quoting the rules")
    assert await rings(manager, await in_desk(scene, manager, like("desk.appealed", n="1"))) == "silent"
    asked = await told(operator, bot, like("notice.asked.operator", n="1"), after=mark)
    assert await rings(operator, asked) == "highlighted"
    await ann.send_text(scene.room, "a purple elephant")  # cases 2 to 4 are about the deadlines that passed
    assert await rings(manager, await scene.card(manager, 5)) == "silent"  # it waits for nobody
    await told(ann, bot, like("notice.violation"))
    assert await appealed(scene, ann, word.room, 5) == ["highlighted", "notified"]
    await decided_by_manager(scene, ben, 6)
    word = await told(ben, bot, like("notice.message.upheld", n="6"))
    assert await appealed(scene, ben, word.room, 6) == ["notified", "highlighted"]

    # A manager who is not in the desk is told in private, and not mentioned there.
    await owner.set_power(scene.room, {ben.user: 50})
    await bot.until(lambda: bot.rows("SELECT 1 FROM rooms WHERE levels LIKE ?", f"%{ben.user}%"), "the levels")
    mark = ben.position
    await ben.send_text(scene.room, '!rule add quiet terms "psst" minor none manager')  # by which they are on duty
    await bot.until(lambda: bot.rows("SELECT 1 FROM room_rules"), "the rule")
    await ann.send_text(scene.room, "forbidden 7")
    card = await scene.card(manager, 7)
    assert card.content["m.mentions"] == {"user_ids": [manager.user]}
    assert await rings(manager, card) == "highlighted"
    assert await rings(ben, await told(ben, bot, like("notice.asked.managers", n="7"), after=mark)) == "highlighted"


async def appealed(scene: Scene, who: Client, room: str, n: int) -> list[str]:
    """Let somebody appeal. Returns how that rings the manager and the owner."""
    people = (scene.managers[0], scene.owner)
    await who.send_text(room, f"!appeal {n} I was quoting the rules")
    return [await rings(each, await in_desk(scene, each, like("desk.appealed", n=str(n)))) for each in people]


async def rings(who: Client, seen: Seen) -> str:
    """Return how a client notifies of a decrypted event; the homeserver only sees that there is one."""
    assert isinstance(seen, Read)
    assert (seen.encrypted, seen.failure) == (True, "")
    assert "m.mentions" not in (await who.event(seen.room, seen.id))["content"]
    assert await rung(who, seen.id) == "notified"
    return "highlighted" if seen.highlighted else "notified" if seen.notified else "silent"
