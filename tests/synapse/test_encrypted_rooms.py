"""Encrypted rooms, with people who use a current client that gives keys only to signed devices."""

from moderation.model.facts import CaseDecided, SanctionStarted
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import RULES, like, until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20


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
