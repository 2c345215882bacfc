"""A person's words, put into every possible field, are nowhere after erasure except in what others wrote."""

import json
from pathlib import Path

from moderation.model.facts import CaseDecided, CaseNoted, Reported
from storage.backup import snapshot
from tests.door.bot.commands.test_personal_data import confirm_erasing, operate, reply
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, told
from tests.theatre.served import RULES, ServedBot, like

MARK = "xylographic"
REASON = "typographic reason"  # of a decision: it was given to the person concerned, and belongs to them


async def words_of_bot(client: Client, bot: ServedBot, room: str) -> str:
    """Return the bot's messages that contain the words, from the homeserver; invitations have the invited's name."""
    found, token = [], ""
    while token is not None:
        query = {"dir": "b", "limit": "100", **({"from": token} if token else {})}
        page = await client.request("GET", "rooms", room, "messages", query=query)
        found += [
            event["content"] for event in page["chunk"] if event["sender"] == bot.user and "state_key" not in event
        ]
        token = page.get("end")
    return "\n".join(json.dumps(each) for each in found if MARK in str(each))


def marked(folder: Path) -> list[Path]:
    """Return the files that contain the words."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and MARK.encode() in path.read_bytes()]


async def plant(scene: Scene) -> None:
    """Put the words everywhere that a manager can write something."""
    bot, room, (ann,), (ben,) = scene.bot, scene.room, scene.managers, scene.members
    await ann.request("PUT", "profile", ann.user, "displayname", json={"displayname": f"{MARK} name"})
    said = await ann.send_text(room, f"{MARK} message")
    relation = {"rel_type": "m.replace", "event_id": said}
    new = {"msgtype": "m.text", "body": f"{MARK} edited"}
    edit = await ann.send(room, "m.room.message", {**new, "m.new_content": new, "m.relates_to": relation})
    file = {"msgtype": "m.file", "body": f"{MARK} caption", "filename": f"{MARK}.txt", "url": "mxc://localhost/none"}
    sent = await ann.send(room, "m.room.message", file)
    reaction = await ann.react(room, said, f"{MARK} key")
    for type, content in (("m.room.name", {"name": f"{MARK} room"}), ("m.room.topic", {"topic": f"{MARK} topic"})):
        await ann.request("PUT", "rooms", room, "state", type, json=content)
    await bot.has(said, edit, sent, reaction)
    offence = await ben.send_text(room, "forbidden 1")
    await bot.until(lambda: bot.rows("SELECT n FROM cases"), "a case")
    other = await ben.send_text(room, "nothing wrong")
    await bot.has(offence, other)
    await reply(ann, room, other, f"!report {MARK} report")
    await bot.until(lambda: bot.facts(Reported), "the report")
    await ann.send_text(scene.desk, f"!note 1 {MARK} note")
    await ann.send_text(scene.desk, f"!dismiss 1 {REASON}")
    await bot.until(lambda: bot.facts(CaseDecided) and bot.facts(CaseNoted), "note and decision")


async def test_a_marked_word_in_every_field_is_nowhere_afterwards(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1)
    bot, (ann,) = scene.bot, scene.managers
    await plant(scene)
    await bot.idle(up_to=99)
    await confirm_erasing(ann, bot, scene.room)
    done = await told(ann, bot, like("own.erase.done"))
    assert like("own.erase.stays").search(done.body)
    await bot.idle(up_to=99)
    assert marked(bot.data_dir) == [], "while the bot runs"
    await operate(bot, "backup")
    assert (bot.data_dir / snapshot.FOLDER / snapshot.STAGE).is_dir()
    await bot.stop()
    assert marked(bot.data_dir) == [], "with the copy for a new backup"
    assert MARK not in str(theatre.logged)
    assert {record.kind for record in bot.records() if REASON in str(record.parts)} == {"statement"}
    assert bot.rows("SELECT subject FROM statements WHERE instr(statement, ?)", REASON) == [(scene.members[0].user,)]
    for place in (scene.room, scene.desk):
        assert await words_of_bot(scene.owner, bot, place) == ""
    assert await words_of_bot(ann, bot, done.room) == ""
