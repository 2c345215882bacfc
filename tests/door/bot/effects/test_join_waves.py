"""A wave of strangers on a homeserver: the room is gated, they are removed, and a manager opens it again."""

import pytest

from moderation.model.facts import SanctionEnded, SanctionStarted, WaveNoticed
from tests.people.client import MatrixError
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import like

WAVES = '[joins]\nwave = 3\ndo = "gate"\nundo = "kick"\n'


async def test_a_wave_is_removed_and_nobody_follows_until_a_manager_says_that_it_is_none(theatre: Theatre) -> None:
    scene = await theatre.scene(WAVES)
    bot, room, owner, (manager,) = scene.bot, scene.room, scene.owner, scene.managers
    *wave, late = await theatre.people("anton", "bela", "cora", "late")
    await owner.set_state(room, "m.room.join_rules", {"join_rule": "public"})
    before = await owner.power_levels(room)
    for stranger in wave:
        await stranger.join(room)
    await owner.wait_state(room, "m.room.join_rules", lambda c: c.get("join_rule") == "knock", what="a gate")
    for stranger in wave:
        await told(stranger, bot, like("notice.own.in_join_wave"))
    await told(owner, bot, like("wave.seen"))
    await bot.idle()
    there = await owner.members(room)
    assert {there[stranger.user] for stranger in wave} == {"leave"}
    with pytest.raises(MatrixError):
        await late.join(room)
    assert [each.removed for each in bot.facts(WaveNoticed)] == [3]
    (gate,) = [each for each in bot.facts(SanctionStarted) if each.kind == "gate"]
    assert like("status.measure.gate").search(await ask(manager, bot, scene.desk, "!status"))
    await ask(manager, bot, scene.desk, f"!dismiss {gate.n} our course begins today")
    await owner.wait_state(room, "m.room.join_rules", lambda c: c.get("join_rule") == "public", what="no gate")
    await late.join(room)
    assert [(each.kind, each.why) for each in bot.facts(SanctionEnded)] == [("gate", "reversed")]
    await bot.idle()
    assert await owner.power_levels(room) == before
