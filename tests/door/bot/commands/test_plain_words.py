"""Plain words in a direct room, and what the reactions under the bot's messages there do."""

from functools import partial

import pytest

from moderation.model.facts import Appealed, DataAsked
from tests.people.client import Client, Seen
from tests.theatre.scene import Scene, Theatre, answer, direct_room, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

HOUR_MS = 3_600_000
GUIDE = like("guide.head")


async def guides(person: Client, bot: ServedBot, room: str) -> int:
    await bot.idle()
    shown = await person.messages(room, 100)
    return sum(event["sender"] == bot.user and bool(GUIDE.search(event["content"].get("body", ""))) for event in shown)


async def judged(theatre: Theatre) -> tuple[Scene, str, Seen]:
    """Return a scene in which a case about the member was upheld, their direct room, and the bot's word on it."""
    scene = await theatre.scene(RULES)
    bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
    await ann.send_text(scene.room, "forbidden 1")
    await scene.card(manager, 1)
    await manager.send_text(scene.desk, "!uphold 1 clear")
    word = await told(ann, bot, like("notice.message.upheld", n="1"))
    return scene, await direct_room(ann, bot), word


@pytest.mark.long
async def test_plain_words_get_one_answer_an_hour_with_reactions(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES)
    bot, (ann,) = scene.bot, scene.members
    room = await open_direct(ann, bot)
    said = await ann.send_text(room, "hello")
    shown = await answer(ann, bot, room, said)
    assert GUIDE.search(shown.body)
    assert shown.content["msgtype"] == "m.notice"
    for key in ("❓", "⚖", "📄"):
        await ann.wait_event(room, partial(_offers, bot, shown, key), what=f"the reaction {key}")
    await bot.has(await ann.send_text(room, "why was my message removed?"))
    await bot.has(await ann.send(room, "m.room.message", {"msgtype": "m.notice", "body": "I am a bot, too"}))
    await bot.has(await ann.edit(room, said, "hello!"))
    assert await guides(ann, bot, room) == 1
    bot.ahead_ms += HOUR_MS
    await bot.has(await ann.send_text(room, "and now?"))
    assert await guides(ann, bot, room) == 2
    await bot.has(await ann.send_text(scene.room, "hello everybody"))
    assert await guides(ann, bot, scene.room) == 0


async def test_each_reaction_does_what_its_command_does_and_an_appeal_asks_for_the_reason_first(
    theatre: Theatre,
) -> None:
    scene, room, word = await judged(theatre)
    bot, (ann,) = scene.bot, scene.members
    await ann.react(room, word.id, "❓")
    why = await told(ann, bot, like("statement.head", n="1"))
    assert "m.thread" not in str(why.content)
    await ann.react(room, word.id, "📄")
    await told(ann, bot, like("own.mydata"))
    await bot.has(await ann.send_text(room, "it was a joke", **_in_reply(word)))  # nothing was asked yet
    assert bot.facts(Appealed) == []
    await ann.react(room, word.id, "⚖️")
    ask = await told(ann, bot, like("guide.reason", n="1"))
    assert bot.facts(Appealed) == []
    await bot.has(await ann.send_text(room, "hm"))  # no reply
    assert bot.facts(Appealed) == []
    await ann.send_text(room, "it was a joke", **_in_reply(ask))
    await told(ann, bot, like("notice.appealed.other", n="1"))
    assert [(f.n, f.words) for f in bot.facts(Appealed)] == [(1, "it was a joke")]
    await ann.send_text(room, "and one more thing", **_in_reply(ask))
    await told(ann, bot, like("error.appeal.already", n="1"))
    assert [f.what for f in bot.facts(DataAsked)] == ["mydata", "appeal"]


@pytest.mark.long
async def test_reactions_of_others_elsewhere_or_where_nothing_can_be_appealed_do_nothing_wrong(
    theatre: Theatre,
) -> None:
    scene = await theatre.scene(RULES)
    bot, (ann,) = scene.bot, scene.members
    room = await open_direct(ann, bot)
    own = await ann.send_text(room, "hello")
    shown = await answer(ann, bot, room, own)
    await bot.has(await ann.react(room, own, "📄"))  # not under a message of the bot
    await bot.has(await ann.react(room, shown.id, "🎉"))
    assert bot.facts(DataAsked) == []
    await ann.react(room, shown.id, "⚖")
    await told(ann, bot, like("why.none"))
    await ann.send_text(scene.room, "forbidden 1")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE n = 1"), "a case")
    said = await ann.send_text(room, "!help")
    again = await answer(ann, bot, room, said)
    await ann.react(room, again.id, "⚖")
    await told(ann, bot, like("error.appeal.undecided", n="1"))
    assert bot.facts(DataAsked) == []


def _in_reply(seen: Seen) -> dict[str, object]:
    return {"m.relates_to": {"m.in_reply_to": {"event_id": seen.id}}}


def _offers(bot: ServedBot, shown: Seen, key: str, seen: Seen) -> bool:
    relation = seen.content.get("m.relates_to") or {}
    return seen.sender == bot.user and relation.get("event_id") == shown.id and relation.get("key") == key
