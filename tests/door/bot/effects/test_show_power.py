"""Power given to the bot or taken from it is said at once in the desk, and what was said before is corrected."""

from typing import Any

from tests.theatre.scene import Theatre
from tests.theatre.served import ServedBot, like


async def test_power_given_and_taken_is_said_and_the_first_message_is_kept_true(theatre: Theatre) -> None:
    owner, manager = await theatre.people("owner", "manager")
    bot = await theatre.bot()
    room = await theatre.room(bot, owner, [manager], [], bot_level=0)
    desk = await theatre.enter_desk(bot, room, owner, manager)
    first = await manager.wait_event(desk, lambda s: like("joining.desk").search(s.body) is not None, what="the first")
    assert like("joining.missing.redact", level="50").search(first.body)
    assert not like("joining.beyond").search(first.body)
    await owner.set_power(room, {bot.user: 100, manager.user: 50})
    given = await manager.wait_event(desk, lambda s: like("power.given").search(s.body) is not None, what="the power")
    assert like("joining.missing.redact", level="50").search(given.body)
    assert like("joining.all-well").search(given.body)
    assert f"({owner.user})" in given.body or owner.user in given.body
    assert like("joining.beyond").search(given.body)  # the owner has as much
    await bot.idle()
    assert not like("joining.missing.redact").search(newest(await manager.messages(desk), first.id, bot))
    await owner.set_power(room, {bot.user: 40, manager.user: 50})
    taken = await manager.wait_event(desk, lambda s: like("power.taken").search(s.body) is not None, what="the loss")
    assert like("power.waits").search(taken.body)
    await bot.idle()
    assert like("joining.missing.redact").search(newest(await manager.messages(desk), first.id, bot))
    said = len([each for each in await manager.messages(desk) if each["sender"] == bot.user])
    await owner.set_power(room, {bot.user: 40, manager.user: 51})  # nothing that concerns the bot
    await bot.idle()
    assert len([each for each in await manager.messages(desk) if each["sender"] == bot.user]) == said


def newest(messages: list[dict[str, Any]], first: str, bot: ServedBot) -> str:
    """Return a message of the bot as it stands after its edits."""
    edits = [each["content"] for each in messages if each["sender"] == bot.user]
    theirs = [each for each in edits if each.get("m.relates_to", {}).get("event_id") == first]
    return str(theirs[-1]["m.new_content"]["body"])
