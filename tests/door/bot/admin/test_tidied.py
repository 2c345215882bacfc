"""The bot's messages in desks and direct rooms are removed when the retention time of their records is over."""

from functools import partial
from typing import Any

from tests.theatre.scene import Theatre, ask
from tests.theatre.served import RULES, like, until


async def test_tidying_removes_messages_of_the_bot_and_keeps_messages_of_people(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, members=1)
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    await ann.send_text(room, "forbidden 1")
    card = await scene.card(manager, 1)
    assert like("decided.upheld").search(await ask(manager, bot, scene.desk, "!uphold 1"))
    asked = await manager.send_text(scene.desk, "what a day")
    await bot.has(asked)
    await bot.idle()
    ((direct,),) = bot.rows("SELECT room FROM rooms WHERE purpose = 'direct' AND direct_with = ?", ann.user)
    await ann.join(direct)
    told = [str(each["event_id"]) for each in await ann.messages(direct) if _is_said_by(bot.user, each)]
    ((notice,),) = bot.rows("SELECT notice FROM rooms WHERE room = ?", room)
    assert told
    await bot.stop()
    bot.ahead_ms = bot.config.records.retention
    bot.start()
    for who, where, events in ((manager, scene.desk, [card.id]), (ann, direct, told)):
        for event in events:
            await until(partial(who.is_redacted, where, event), "a word of the bot's to go")
    assert not await manager.is_redacted(scene.desk, asked)
    assert not await ann.is_redacted(room, notice)


def _is_said_by(user: str, event: dict[str, Any]) -> bool:
    return (event["sender"], event["type"]) == (user, "m.room.message")
