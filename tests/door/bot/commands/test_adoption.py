"""`!adopt`: an owner has the bot create the room again, as its only creator; the group's data carries over."""

from pathlib import Path

import pytest

from moderation.model.facts import ActionTaken, DataAsked, RoomEntered
from moderation.values.ids import RoomId
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, enter, told
from tests.theatre.served import RULES, ServedBot, like

OUTCAST = "@outcast:localhost"


async def test_an_owner_gives_up_standing_above_everybody_and_the_group_goes_on(
    theatre: Theatre, tmp_path: Path
) -> None:
    scene = await theatre.scene(RULES, members=2)
    bot, old, owner, (manager,), (ann, ben) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    code = bot.code(old)
    await owner.set_state(old, "m.room.topic", {"topic": "tea <b>"})
    await owner.ban(old, OUTCAST)
    await ask(manager, bot, scene.desk, f"!mute {ben.user} 1d")
    await scene.until_level(ben.user, -1)
    waiting = await ann.send_text(old, "forbidden 1")
    await scene.card(manager, 2)
    for who in (manager, ann):
        assert like("error.right.adopt" if who is manager else "error.right.manager").search(
            await ask(who, bot, scene.desk if who is manager else old, "!adopt")
        )
    assert like("error.adopt.tombstone", level="100").search(await ask(owner, bot, scene.desk, "!adopt"))
    await _let_close(scene)
    number = await _explained(scene)
    assert like("error.adopt.number").search(await ask(owner, bot, scene.desk, f"!adopt {number + 1}"))
    assert await owner.state(old, "m.room.tombstone") is None
    assert like("adopt.begun").search(await ask(owner, bot, scene.desk, f"!adopt {number}"))
    new = await _adopted(owner, old)
    for who in (owner, manager, ann, ben):
        await enter(who, new)
    await bot.until_condition(new, "protected")
    await bot.has(await owner.send_text(new, "here we are"))  # what came before has been taken, in order
    created = await owner.state(new, "m.room.create")
    assert created is not None
    assert (created["room_version"], created["predecessor"]) == ("12", {"room_id": old})
    levels = await owner.power_levels(new)
    assert levels["users"] == {owner.user: 100, manager.user: 50, ben.user: -1}
    assert (await owner.state(new, "m.room.topic") or {})["topic"] == "tea <b>"
    assert (await owner.members(new)).get(OUTCAST) == "ban"
    assert bot.code(new) == code
    assert not await _may_write(ann, old)
    # What nobody could do before: the owner's rights can be suspended like anybody's.
    await bot.idle()
    assert like("decided.upheld").search(await ask(owner, bot, scene.desk, "!uphold 2"))
    assert like("done.unmute").search(await ask(manager, bot, scene.desk, f"!unmute {ben.user}"))
    await owner.wait_state(new, "m.room.power_levels", lambda c: ben.user not in c["users"], what="nothing held")
    await bot.idle()
    assert await owner.is_redacted(old, waiting)
    assert like("error.adopt.needless").search(await ask(owner, bot, scene.desk, "!adopt"))
    assert [(f.what, f.subject) for f in bot.facts(DataAsked)] == [
        ("adopt", owner.user),
        ("adopt-confirmed", owner.user),
    ]
    assert [f.room_id for f in bot.facts(RoomEntered) if f.purpose == "group"] == [old, new]
    await bot.stop()
    live = {name: bot.table(name) for name in TABLES}
    assert {name for name, rows in (await rebuilt(bot, tmp_path)).items() if rows != live[name]} == set()


@pytest.mark.long
async def test_an_owner_of_an_adopted_room_is_demoted_like_anybody(theatre: Theatre) -> None:
    severe = RULES + "[credit]\ncosts = { minor = 5, moderate = 10, serious = 25, severe = 61 }\nincident_limit = 61\n"
    scene = await theatre.scene(severe + "[tiers]\nd = 10\n", managers=2)
    bot, old, owner = scene.bot, scene.room, scene.owner
    await _let_close(scene)
    await ask(owner, bot, scene.desk, f"!adopt {await _explained(scene)}")
    new = await _adopted(owner, old)
    await bot.crash()  # at whatever step it is
    bot.start()
    for who in (owner, *scene.managers):
        await enter(who, new)
    await bot.until_condition(new, "protected")
    await bot.idle()
    assert [f.result for f in bot.facts(ActionTaken) if f.action == "adopt"] == ["done"]
    assert len(await _rooms_made(bot, owner, new)) == 1
    await owner.send_text(new, "a volcano")
    await scene.card(scene.managers[0], 1)
    await ask(scene.managers[0], bot, scene.desk, "!uphold 1")
    await owner.wait_state(
        new, "m.room.power_levels", lambda c: c["users"].get(owner.user, 0) < 50, what="the owner demoted"
    )
    await told(owner, bot, like("notice.measure-there.demote"))


async def _let_close(scene: Scene) -> None:
    """Give the bot the power to close the room, which in version 12 creators alone have."""
    before = await scene.owner.power_levels(scene.room)
    events = {**before["events"], "m.room.tombstone": 100}
    given = await scene.owner.set_state(scene.room, "m.room.power_levels", {**before, "events": events})
    await scene.bot.has(given)


async def _explained(scene: Scene) -> int:
    said = await ask(scene.owner, scene.bot, scene.desk, "!adopt")
    assert like("adopt.what").search(said)
    found = like("adopt.confirm").search(said)
    assert found is not None
    return int("".join(c for c in said.rsplit("!adopt", 1)[1].split()[0] if c.isdigit()))


async def _adopted(owner: Client, old: RoomId) -> RoomId:
    content = await owner.wait_state(old, "m.room.tombstone", lambda c: "replacement_room" in c, what="a tombstone")
    return RoomId(content["replacement_room"])


async def _rooms_made(bot: ServedBot, owner: Client, new: RoomId) -> set[str]:
    return {fact.room_id for fact in bot.facts(RoomEntered) if fact.purpose == "group"} & {new}


async def _may_write(who: Client, room: RoomId) -> bool:
    levels = await who.power_levels(room)
    return bool(levels["users"].get(who.user, levels.get("users_default", 0)) >= levels.get("events_default", 0))
