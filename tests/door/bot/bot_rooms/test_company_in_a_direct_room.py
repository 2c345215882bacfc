"""Somebody turns their direct room with the bot into a group: nothing is announced there, and others read along."""

from moderation.model.facts import RoomStateChanged
from tests.theatre.scene import Theatre, ask, enter, open_direct, told
from tests.theatre.served import like


async def test_the_bot_leaves_says_why_and_speaks_in_a_room_of_two_again(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, (ann, ben) = scene.bot, scene.members
    room = await open_direct(ann, bot)
    assert like("credit.now").search(await ask(ann, bot, room, "!credit"))
    await ann.invite(room, ben.user)
    await ann.wait_event(room, lambda seen: like("direct.company").search(seen.body) is not None, what="why it goes")
    await ann.wait_state(room, "m.room.member", lambda c: c.get("membership") == "leave", key=bot.user)
    await enter(ben, room)
    await ann.send_text(room, "!credit")
    await bot.idle()
    assert [fact.condition for fact in bot.facts(RoomStateChanged) if fact.room == room] == ["protected", "left"]
    await ann.send_text(scene.room, "a purple elephant")
    word = await told(ann, bot, like("notice.violation"))
    assert word.room != room
    assert [each["sender"] for each in await ann.messages(room, 3)].count(bot.user) <= 2
