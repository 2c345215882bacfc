"""A manager with little credit loses the right to manage, everywhere, and gets it back."""

import asyncio

import pytest

from moderation.model.facts import LevelKept, SanctionEnded, SanctionStarted
from tests.theatre.scene import Scene, Theatre, ask, enter, told
from tests.theatre.served import like

# One violation costs 61 of 100: one point below what managing takes, no mute with it.
RULES = """
[[rules]]
name = "grave"
kind = "terms"
class = "severe"
terms = ["volcano"]
[[rules]]
name = "light"
kind = "terms"
class = "moderate"
terms = ["purple elephant"]
[credit]
costs = { minor = 1, moderate = 5, serious = 25, severe = 61 }
incident_limit = 61
quiet_before_recovery = "1h"
recover_every = "1h"
[tiers]
c = 30
demote_for = "1h"
"""
HOUR = 3_600_000


ONE_CLUB = """
[communities]
[[communities.named]]
name = "club"
rooms = ["*"]
"""


@pytest.mark.usefixtures("short_waits")
async def test_a_manager_is_demoted_in_all_rooms_of_the_community_and_restored_when_time_and_credit_are_there(
    theatre: Theatre,
) -> None:
    scene = await theatre.scene(RULES + ONE_CLUB, managers=2)
    bot, (first, second), owner = scene.bot, scene.managers, scene.owner
    other_owner, *_ = await theatre.people("other")
    other = await theatre.room(bot, other_owner, [second], levels={second.user: 60})
    other_desk = await theatre.enter_desk(bot, other, other_owner, second)
    await bot.idle()
    levels = [await scene.levels(), (await other_owner.power_levels(other))["users"]]

    await second.send_text(scene.room, "a volcano")
    await scene.card(first, 1)
    await first.send_text(scene.desk, "!uphold 1")
    gone = other_owner.wait_state(other, "m.room.power_levels", lambda c: second.user not in c["users"])
    await asyncio.gather(scene.until_level(second.user, None), gone)
    word = await told(second, bot, like("notice.measure-there.demote"))
    assert like("notice.credit.charge", cost="61", left="39").search(word.body)
    for who, desk in ((owner, scene.desk), (other_owner, other_desk)):
        await who.wait_event(
            desk, lambda s: like("desk.demoted", who=second.user, credit="39").search(s.body) is not None
        )

    bot.ahead_ms += 3 * HOUR
    back = other_owner.wait_state(other, "m.room.power_levels", lambda c: c["users"].get(second.user) == 60)
    await asyncio.gather(scene.until_level(second.user, 50), back)
    await told(second, bot, like("notice.ended.demote"))
    for who, desk in ((owner, scene.desk), (other_owner, other_desk)):
        await who.wait_event(desk, lambda s: like("desk.restored", who=second.user).search(s.body) is not None)
    await bot.idle()
    assert [await scene.levels(), (await other_owner.power_levels(other))["users"]] == levels
    demotions = [fact for fact in bot.facts(SanctionStarted) if fact.kind == "demote"]
    here = scene.room
    assert [(f.room, f.reach, f.subject, f.credit) for f in demotions] == [(here, "club", second.user, 39)]
    ended = [(f.room, f.reach, f.kind, f.why) for f in bot.facts(SanctionEnded)]
    assert ended == [(here, "club", "demote", "credit")]
    assert {(f.room, f.step, f.prior, f.held) for f in bot.facts(LevelKept) if f.step != "intended"} == {
        (room, step, prior, "-") for room, prior in ((scene.room, "50"), (other, "60")) for step in ("held", "released")
    }


@pytest.mark.long
async def test_a_demotion_ends_with_the_case_it_rests_on_and_with_no_other(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, managers=2)
    bot, (first, second), room = scene.bot, scene.managers, scene.room
    await second.send_text(room, "a volcano")
    await scene.card(first, 1)
    assert like("decided.upheld").search(await ask(first, bot, scene.desk, "!uphold 1"))
    await scene.until_level(second.user, None)
    await first.wait_state(scene.desk, "m.room.member", lambda c: c["membership"] == "leave", key=second.user)
    assert like("error.right.manager").search(await ask(second, bot, room, f"!kick {scene.members[0].user}"))

    said = await second.send_text(room, "a purple elephant")  # now the rule acts at once, as for any member
    await scene.card(first, 2)
    await bot.idle()
    assert await scene.owner.is_redacted(room, said)
    assert like("decided.dismissed").search(await ask(first, bot, scene.desk, "!dismiss 2 no"))
    await bot.idle()
    assert second.user not in await scene.levels()  # 39 is still too little

    assert like("decided.dismissed").search(await ask(first, bot, scene.desk, "!dismiss 1 no"))
    await scene.until_level(second.user, 50)
    await told(second, bot, like("notice.ended.demote"))
    await first.wait_state(scene.desk, "m.room.member", lambda c: c["membership"] == "invite", key=second.user)
    await enter(second, scene.desk)
    assert [(f.kind, f.why) for f in bot.facts(SanctionEnded)] == [("demote", "reversed")]
    assert like("done.warn").search(await ask(second, bot, room, f"!warn {scene.members[0].user}"))


@pytest.mark.long
async def test_an_owner_above_every_level_cannot_be_demoted_which_is_said_once(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES)
    bot, owner, (manager,) = scene.bot, scene.owner, scene.managers
    await owner.send_text(scene.room, "a volcano")
    await scene.card(manager, 1)
    assert like("decided.upheld").search(await ask(manager, bot, scene.desk, "!uphold 1"))
    said = await scene.wait_desk(manager, lambda seen: _impossible(scene, seen.body), "what is impossible")
    await owner.set_power(scene.room, {scene.members[0].user: 10})  # makes the bot compare again
    await scene.until_level(scene.members[0].user, 10)
    await ask(manager, bot, scene.room, "!mute " + scene.members[0].user)
    await scene.until_level(scene.members[0].user, -1)
    await bot.idle()
    words = [event["event_id"] for event in await manager.messages(scene.desk, 200) if _impossible(scene, _body(event))]
    assert words == [said.id]
    assert [(f.kind, f.subject) for f in bot.facts(SanctionStarted) if f.kind == "demote"] == [("demote", owner.user)]
    assert all(fact.subject != owner.user for fact in bot.facts(LevelKept))


def _impossible(scene: Scene, body: str) -> bool:
    return like("desk.impossible", who=scene.owner.user).search(body) is not None


def _body(event: dict[str, object]) -> str:
    content = event["content"]
    return str(content.get("body", "")) if isinstance(content, dict) else ""
