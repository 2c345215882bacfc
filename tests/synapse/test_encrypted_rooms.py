"""Encrypted rooms, with people who use a current client that gives keys only to signed devices."""

import hashlib
from pathlib import Path

import pytest

from moderation.model.facts import CaseDecided, MediaKept, SanctionStarted
from tests.clients.encrypted_stage import EncryptedStage
from tests.clients.js_client import JsClient
from tests.theatre.scene import Scene, Theatre, ask, told
from tests.theatre.served import RULES, like, until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20


@pytest.fixture
async def encrypted(encrypted_stage: EncryptedStage, tmp_path: Path):  # type: ignore[no-untyped-def]
    theatre = Theatre(encrypted_stage, tmp_path)
    yield theatre
    await theatre.close()


async def test_the_bot_reads_acts_answers_and_shows_cards_that_can_be_read_and_pressed(encrypted: Theatre) -> None:
    scene = await encrypted.scene(RULES)
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    assert await scene.owner.state(room, "m.room.encryption") is not None
    assert await scene.owner.state(scene.desk, "m.room.encryption") is not None
    said = await ann.send_text(room, "a purple elephant")
    await until(lambda: manager.is_redacted(room, said), "the message to go")
    record = bot.record_of(said)
    assert (record.kind, record.parts[0]["body"], record.parts[0]["encrypted"]) == ("message", "a purple elephant", 1)
    card = await scene.card(manager, 1)
    assert "a «purple elephant»" in card.body
    word = await told(ann, bot, like("notice.violation"))
    assert await ann.state(word.room, "m.room.encryption") is not None
    assert like("credit.now", who=ann.user).search(await ask(ann, bot, word.room, "!credit"))
    assert like("guide.head").search(await ask(ann, bot, word.room, "hello, why was my message removed?"))
    await ann.react(word.room, word.id, "❓")
    await told(ann, bot, like("statement.head", n="1"))
    await manager.react(scene.desk, card.id, "❌")
    await told(ann, bot, like("notice.message.dismissed", by=manager.user))
    assert [(f.n, f.what) for f in bot.facts(CaseDecided)] == [(1, "dismissed")]
    assert [f.kind for f in bot.facts(SanctionStarted)] == ["redact"]


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
