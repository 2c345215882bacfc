"""Power given to the bot or taken from it is said at once in the desk, and what was said before is corrected."""

from pathlib import Path
from typing import Any

import pytest

from bot.bot_rooms import shared_desks
from tests.fakes.homeserver import Fault, SimulatedHomeserver
from tests.theatre.scene import Theatre
from tests.theatre.served import ServedBot, like
from tests.theatre.simulated import SimulatedAccounts
from tests.theatre.stage import Stage


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


@pytest.mark.parametrize("is_made", [False, True], ids=["refused for a while", "made, but the answer was lost"])
async def test_the_first_message_comes_as_soon_as_there_is_a_desk(
    is_made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was tried before: in a room that was just entered, the desk is still being made."""
    monkeypatch.setattr(shared_desks, "_FIRST_MS", 600_000)
    async with SimulatedHomeserver(name="localhost") as server, Stage(SimulatedAccounts(server)) as stage:
        theatre = Theatre(stage, tmp_path)
        (owner,) = await theatre.people("owner")
        bot = await theatre.bot()
        no_rooms = Fault("createRoom", times=1 if is_made else 1_000, after=is_made)
        room = await theatre.room(bot, owner, opened=False)  # which the owner makes
        server.faults.append(no_rooms)
        tried = "SELECT 1 FROM outbox WHERE action LIKE '%show-power%' AND attempts > 0"
        await bot.until(lambda: bot.rows(tried), "the first message to be tried")
        no_rooms.times = 0
        desk = await theatre.enter_desk(bot, room, owner)
        await owner.wait_event(
            desk, lambda seen: bool(like("joining.vkey").search(seen.body)), what="the first message"
        )
        await theatre.close()
