"""A group keeps all its data in the room that it was upgraded to."""

from pathlib import Path

from moderation.model.facts import CreditChanged, RoomEntered, SanctionEnded
from moderation.values.ids import RoomId
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.people.client import Client
from tests.synapse.test_upgrades import upgraded
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import RULES, like


async def test_a_group_keeps_all_its_data_in_the_new_room(theatre: Theatre, tmp_path: Path) -> None:
    scene = await theatre.scene(RULES, members=3)
    bot, old, owner, (manager,), (ann, ben, cid) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    code = bot.code(old)
    await ask(manager, bot, scene.desk, '!rule add no-ads terms "buy now" moderate')
    await ask(owner, bot, scene.desk, "!set digest off")
    waiting = await ann.send_text(old, "forbidden 1")
    await scene.card(manager, 1)
    await ben.send_text(old, "a purple elephant")
    await told(ben, bot, like("notice.violation"))
    await ask(manager, bot, scene.desk, f"!mute {cid.user} 1d")
    await scene.until_level(cid.user, -1)
    await bot.idle()
    await bot.crash()
    new = await upgraded(owner, old)  # while nobody is there to see it
    bot.start()
    await scene.wait_desk(
        manager, lambda s: like("upgrade.invite-me", bot=bot.user).search(s.body) is not None, "a word"
    )
    for who in (manager, ann, ben, cid, bot):
        await owner.invite(new, who.user)
    for who in (manager, ann, ben, cid):
        await who.join(new)
    await bot.until_condition(new, "protected")
    assert bot.code(new) == code
    await bot.idle()
    # Managers keep their place in the desk, although they enter the new room later.
    gone = [event for event in await owner.messages(scene.desk) if event["content"].get("membership") == "leave"]
    assert gone == []
    assert bot.rows("SELECT room FROM rooms WHERE code = ?", code) == [(new,)]
    bad = await ben.send_text(new, "buy now")  # by the rule of the room, which takes it away and costs nothing
    await bot.has(bad)
    assert like("decided.upheld").search(await ask(manager, bot, scene.desk, "!uphold 1"))
    assert (await owner.power_levels(new))["users"].get(cid.user) == -1
    assert like("done.unmute").search(await ask(manager, bot, scene.desk, f"!unmute {cid.user}"))
    await owner.wait_state(
        new, "m.room.power_levels", lambda c: cid.user not in c.get("users", {}), what="what stood there before"
    )
    late = await ann.send_text(old, "is anybody here") if await _can_post(ann, old) else None
    await bot.has(await ann.send_text(new, "here we are"))  # so that the bot has heard what was said before
    await bot.idle()
    assert [await owner.is_redacted(room, each) for room, each in ((old, waiting), (new, bad))] == [True, True]
    assert late is None or late not in bot.recorded()
    assert [(f.rule, f.room, f.n) for f in bot.facts(CreditChanged)] == [
        ("no-elephants", old, 2),
        ("tickets", new, 1),
    ]
    assert [(f.kind, f.why) for f in bot.facts(SanctionEnded)] == [("mute", "command")]
    assert [f.room_id for f in bot.facts(RoomEntered) if f.purpose == "group"] == [old, new]
    await bot.stop()
    live = {name: bot.table(name) for name in TABLES}
    assert {name for name, rows in (await rebuilt(bot, tmp_path)).items() if rows != live[name]} == set()


async def _can_post(who: Client, room: RoomId) -> bool:
    levels = await who.power_levels(room)
    return bool(levels.get("events_default", 0) <= levels["users"].get(who.user, levels.get("users_default", 0)))
