"""An owner or an operator sends the bot away: it gives back what it changed and goes; if it is removed, it says so."""

import pytest

from moderation.model.facts import DataAsked, SanctionStarted
from tests.door.bot.sync.test_refused_invitations import operate
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import like


async def test_an_owner_sends_the_bot_away_and_nobody_stays_muted(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, room, owner, (manager,), (ann, ben) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    before = await scene.levels()
    await ask(manager, bot, room, f"!mute {ann.user} 1d enough")
    await scene.until_level(ann.user, -1)
    await ask(manager, bot, room, f"!ban {ben.user} 1d spam")
    await owner.wait_state(room, "m.room.member", lambda c: c["membership"] == "ban", key=ben.user, what="the ban")
    notice = bot.rows("SELECT notice FROM rooms WHERE room = ?", room)[0][0]
    number = await _explained(scene, owner)
    assert like("leave.begun").search(await ask(owner, bot, await direct_room(owner, bot), f"!leave {number}"))
    await bot.until_condition(room, "left")
    goodbye = await ann.wait_event(room, lambda seen: _is(seen.body, "leave.goodbye"), what="the goodbye")
    assert owner.user in goodbye.body
    await ann.wait_event(
        room,
        lambda seen: seen.content.get("m.relates_to", {}).get("event_id") == notice and _is(seen.body, "leave.notice"),
        what="the notice replaced",
    )
    await scene.wait_desk(manager, lambda seen: _is(seen.body, "leave.desk"), "the goodbye in the desk")
    await bot.until_condition(scene.desk, "left")
    await bot.idle()
    assert await scene.levels() == before
    there = [await owner.members(each) for each in (room, scene.desk)]
    assert [members[bot.user] for members in there] == ["leave", "leave"]
    assert there[0][ben.user] == "ban"
    assert [(f.what, f.subject) for f in bot.facts(DataAsked)] == [
        ("leave", owner.user),
        ("leave-confirmed", owner.user),
    ]
    await owner.invite(room, bot.user)
    await bot.until_condition(room, "protected")  # the measures that still hold, hold again
    await scene.until_level(ann.user, -1)


async def test_a_bot_killed_while_it_leaves_goes_on_and_says_goodbye_once(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (ann,) = scene.bot, scene.room, scene.owner, scene.members
    number = await _explained(scene, owner)
    await owner.send_text(await direct_room(owner, bot), f"!leave {number}")
    await bot.until(lambda: len(bot.facts(DataAsked)) == 2, "the request")
    await bot.crash()  # at whatever step it is
    bot.start()
    await bot.until_condition(scene.desk, "left")
    await bot.until_condition(room, "left")
    said = [body for each in await ann.messages(room) if _is(body := str(each["content"].get("body")), "leave.goodbye")]
    assert len(said) == 1


@pytest.mark.long
async def test_only_owners_and_operators_send_it_away_and_no_owner_lifts_what_the_operator_ordered(
    theatre: Theatre,
) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(bot=f'operators = ["{operator.user}"]')
    bot, room, owner, (manager,) = scene.bot, scene.room, scene.owner, scene.managers
    assert like("error.right.leave").search(await ask(manager, bot, scene.desk, "!leave"))
    assert like("error.leave.number").search(await ask(owner, bot, scene.desk, "!leave 1"))
    code = bot.code(room)
    await operate(bot, "room-close", room=code, by=operator.user)
    await bot.until(lambda: bot.facts(SanctionStarted), "the room closed")
    assert like("error.leave.measure").search(await ask(owner, bot, scene.desk, "!leave"))
    await operate(bot, "room-leave", room=code, by=operator.user)
    await bot.until_condition(room, "left")
    assert [(f.what, f.subject) for f in bot.facts(DataAsked)] == [("leave-confirmed", operator.user)]


@pytest.mark.long
async def test_a_bot_that_was_removed_tells_the_desk_the_owner_and_the_operator(theatre: Theatre) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(bot=f'operators = ["{operator.user}"]', bot_level=99)
    bot, room, owner, (manager,) = scene.bot, scene.room, scene.owner, scene.managers
    await owner.kick(room, bot.user)
    await bot.until_condition(room, "left")
    removed = like("leave.removed", by=owner.user)
    await scene.wait_desk(manager, lambda seen: removed.search(seen.body) is not None, "what happened")
    await told(owner, bot, removed)
    await told(operator, bot, removed)


async def _explained(scene: Scene, owner: Client) -> int:
    said = await ask(owner, scene.bot, await open_direct(owner, scene.bot), "!leave")
    found = like("leave.confirm").search(said)
    assert found is not None
    return int(said.rsplit("!leave ", 1)[1].split("`")[0].split()[0].rstrip(",.，"))


def _is(body: str, key: str) -> bool:
    return like(key).search(body) is not None
