"""A person's words, put into every possible field, are nowhere after erasure except in what others wrote."""

import re
from collections.abc import Callable
from typing import Any

from moderation.model.facts import Appealed, CaseDecided, CaseNoted, Reported
from moderation.values.ids import RoomId
from storage.backup import snapshot
from tests.door.bot.commands.test_personal_data import confirm_erasing, operate, reply
from tests.people.client import Client
from tests.theatre.opened import places_of
from tests.theatre.scene import Scene, Theatre, ask, direct_room, told
from tests.theatre.served import RULES, ServedBot, like

Json = dict[str, Any]
MARK = "xylographic"
REASON = "typographic reason"  # of a decision: it was given to the person concerned, and belongs to them
RULE = "lithographic"  # of a room's rule, which holds on
NOTICE = "serigraphic"  # in a notice from outside: what others wrote, and how they can be answered


async def said_by_bot(client: Client, bot: ServedBot, room: str) -> list[Json]:
    """Return what the bot's messages in a room contain now; invitations have the invited's name."""
    found, token = [], ""
    while token is not None:
        query = {"dir": "b", "limit": "100", **({"from": token} if token else {})}
        page = await client.request("GET", "rooms", room, "messages", query=query)
        found += [
            event["content"] for event in page["chunk"] if event["sender"] == bot.user and "state_key" not in event
        ]
        token = page.get("end")
    return found


async def plant(scene: Scene) -> None:
    """Put the words everywhere that a manager can write something."""
    await plant_in_rooms(scene)
    await plant_in_cases(scene)
    await plant_in_orders(scene)


async def plant_in_rooms(scene: Scene) -> None:
    bot, room, ann = scene.bot, scene.room, scene.managers[0]
    await ann.request("PUT", "profile", ann.user, "displayname", json={"displayname": f"{MARK} name"})
    said = await ann.send_text(room, f"{MARK} message")
    edit = await ann.edit(room, said, f"{MARK} edited")
    file = {"msgtype": "m.file", "body": f"{MARK} caption", "filename": f"{MARK}.txt", "url": "mxc://localhost/none"}
    sent = await ann.send(room, "m.room.message", file)
    reaction = await ann.react(room, said, f"{MARK} key")
    words = {"org.matrix.msc1767.text": f"{MARK} poll"}
    answers = [{"id": f"{MARK} id", **words}]
    poll = await ann.send(
        room,
        "org.matrix.msc3381.poll.start",
        {**words, "org.matrix.msc3381.poll.start": {"question": words, "answers": answers}},
    )
    for type, content in (("m.room.name", {"name": f"{MARK} room"}), ("m.room.topic", {"topic": f"{MARK} topic"})):
        await ann.request("PUT", "rooms", room, "state", type, json=content)
    member = {"membership": "join", "displayname": f"{MARK} name", "reason": f"{MARK} reason"}
    joined = await ann.set_state(room, "m.room.member", member, ann.user)
    await bot.has(said, edit, sent, reaction, poll, joined)


async def plant_in_cases(scene: Scene) -> None:
    bot, room, ann, (ben,) = scene.bot, scene.room, scene.managers[0], scene.members
    offence = await ben.send_text(room, "forbidden 1")
    await bot.until(lambda: bot.rows("SELECT n FROM cases"), "a case")
    other = await ben.send_text(room, "nothing wrong")
    await bot.has(offence, other)
    await reply(ann, room, other, f"!report {MARK} report")
    await bot.until(lambda: bot.facts(Reported), "the report")
    await ann.send_text(scene.desk, f"!note 1 {MARK} note")
    await ann.send_text(scene.desk, f"!dismiss 1 {REASON}")
    await bot.until(lambda: bot.facts(CaseDecided) and bot.facts(CaseNoted), "note and decision")
    await ann.send_text(room, f"forbidden 2 {MARK}")
    ((n,),) = await bot.until(lambda: bot.rows("SELECT n FROM cases WHERE subject = ?", ann.user), "her case")
    await scene.owner.send_text(scene.desk, f"!uphold {n} against the rules")
    word = await told(ann, bot, like("notice.message.upheld"))
    await bot.has(await ann.send_text(word.room, f"{MARK} in a direct room"))
    await ann.send_text(word.room, f"!appeal {n} {MARK} appeal")
    await bot.until(lambda: bot.facts(Appealed), "the appeal")
    await scene.managers[1].send_text(scene.desk, f"!dismiss {n} she may")
    await told(ann, bot, like("notice.message.dismissed"))


async def plant_in_orders(scene: Scene) -> None:
    bot, room, ann, (ben,) = scene.bot, scene.room, scene.managers[0], scene.members
    for command in (
        f'!rule add own-rule terms "{RULE}" minor redact manager',
        f"!mute {ben.user} 1h {REASON}",
        f"!away 2d {MARK} away",
        "!away off",
    ):
        await ask(ann, bot, scene.desk, command)
    await direct_room(ben, bot)
    await operate(bot, "report", words=f"{NOTICE} words", contact=f"{NOTICE}@example.org", room=bot.code(room))


def records_with(bot: ServedBot, words: str) -> set[str]:
    """Return the kinds of the records that contain these words."""
    return {record.kind for record in bot.records() if words in str(record.parts)}


def naming(bot: ServedBot, user: str, before: int) -> int:
    """Return the number of records before this one that contain an id."""
    return sum(user in str(record.parts) for record in bot.records() if record.index < before)


def direct_rooms(bot: ServedBot, who: Client) -> list[str]:
    query = (
        "SELECT room FROM members JOIN rooms USING (room) WHERE user = ? AND purpose = 'direct' AND membership = 'join'"
    )
    return [room for (room,) in bot.rows(query, who.user)]


async def standing(scene: Scene, words: str, known: Callable[[str], bool]) -> list[Json]:
    """Return the bot's messages on the homeserver that contain these words, except for what is known to stay."""
    bot, people = scene.bot, (scene.owner, *scene.managers, *scene.members)
    places = [(scene.owner, scene.room), (scene.owner, scene.desk)]
    places += [(who, RoomId(room)) for who in people for room in direct_rooms(bot, who)]
    said = [each for who, place in places for each in await said_by_bot(who, bot, place)]
    return [each for each in said if words in str(each) and not known(str(each.get("body")))]


def is_to_stay(scene: Scene, body: str) -> bool:
    """Tell whether a message that names the erased manager is one of those of which they are told that they stay."""
    ann, (ben,) = scene.managers[0], scene.members
    about_others = re.match(rf"(\* )?Case \d+ .*\n{ben.user} ", body)
    to_others = re.search(rf"{ann.user} (muted you|decided that your message) ", body)
    return bool(about_others or to_others or like("own.erase.begun").match(body))


async def test_a_marked_word_in_every_field_is_nowhere_afterwards(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, managers=2, members=1)
    bot, ann = scene.bot, scene.managers[0]
    await plant(scene)
    await bot.idle(up_to=99)
    await confirm_erasing(ann, bot, scene.room)
    done = await told(ann, bot, like("own.erase.done"))
    assert like("own.erase.stays").search(done.body)
    await bot.idle(up_to=99)
    assert places_of(MARK, bot.config.place) == [], "while the bot runs"
    (by,) = re.findall(r"\(record (\d+)\)", done.body)
    (elsewhere,) = re.findall(r"(\d+) records of others mention you", done.body)
    assert naming(bot, ann.user, int(by)) == int(elsewhere)
    await operate(bot, "backup")
    assert (bot.data_dir / snapshot.FOLDER / snapshot.STAGE).is_dir()
    await bot.stop()
    assert places_of(MARK, bot.config.place) == [], "with the copy for a new backup"
    assert MARK not in str(theatre.logged)
    assert [records_with(bot, words) for words in (REASON, RULE, NOTICE)] == [{"statement"}, {"rules"}, {"report"}]
    assert bot.rows("SELECT DISTINCT subject FROM statements WHERE instr(statement, ?)", REASON) == [
        (scene.members[0].user,)
    ]
    assert bot.rows("SELECT by FROM room_rules WHERE instr(settings, ?)", RULE) == [("",)]
    assert await standing(scene, MARK, lambda body: MARK not in body.replace(f"{MARK} room", "")) == []
    assert await standing(scene, ann.user, lambda body: is_to_stay(scene, body) or body == done.body) == []
