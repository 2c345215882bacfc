"""Edits, pictures and restarts in encrypted rooms, with people who use a current client."""

import hashlib

from moderation.model.facts import MediaKept
from tests.clients.js_client import JsClient
from tests.theatre.scene import Scene, Theatre
from tests.theatre.served import RULES, until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20


async def test_an_edit_is_judged_and_an_image_is_hashed_as_it_was_sent(encrypted: Theatre) -> None:
    scene = await encrypted.scene(RULES)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    assert isinstance(ann, JsClient)
    picture = await ann.send_image(room, PNG, "map.png")
    await bot.until(lambda: bot.facts(MediaKept), "the hash")
    assert [(f.sha256, f.bytes, f.result) for f in bot.facts(MediaKept)] == [
        (hashlib.sha256(PNG).hexdigest(), len(PNG), "done")
    ]
    harmless = await ann.send_text(room, "good morning")
    edit = await ann.edit(room, harmless, "a purple elephant")
    await until(lambda: scene.owner.is_redacted(room, edit), "the edit to go")
    assert bot.record_of(picture).fields["media"] == "image"


async def test_nothing_is_lost_over_a_restart_and_a_crash(encrypted: Theatre) -> None:
    scene: Scene = await encrypted.scene(RULES)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    first = await ann.send_text(room, "one")
    await bot.has(first)
    await bot.crash()
    between = await ann.send_text(room, "a purple elephant, while nobody looks")
    bot.start()
    await until(lambda: scene.owner.is_redacted(room, between), "the message to go")
    await bot.restart()
    last = await ann.send_text(room, "three")
    await bot.has(last)
    assert [bot.record_of(event).parts[0].get("body") for event in (first, between, last)] == [
        "one",
        "a purple elephant, while nobody looks",
        "three",
    ]
