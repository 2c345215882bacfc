"""Measures against a room itself: who may post and join changes on the homeserver, is announced, and is restored."""

import asyncio
from typing import Any

import pytest

from bot.cli.access.admin_client import ask_bot
from moderation.model.facts import CaseOpened, ContentRead, LevelKept, SanctionEnded, SanctionStarted, TaskOpened
from moderation.values.errors import Refused
from tests.people.client import Client, MatrixError
from tests.theatre.scene import Scene, Theatre, ask, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

POLL = "org.matrix.msc3381.poll.start"
NEGLECTED = """
[cases]
deadlines = { minor = "1s", moderate = "1s", serious = "1s", severe = "1s" }
[groups]
rectify_within = "2s"
suspend_for = "1h"
"""


@pytest.mark.long
@pytest.mark.usefixtures("short_waits")
async def test_readonly_silences_members_only_and_ends_by_itself(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    before = await scene.owner.power_levels(room)
    assert not await _silenced(scene, ann)
    order = await manager.send_text(room, "!readonly 1h let us take a breath")
    await _until_posting(scene, 50)
    assert await _silenced(scene, ann)
    mine = await manager.send_text(room, "thank you")
    notice = await _said(scene, like("measure.begun.suspend"))
    assert like("notice.reason", reason="let us take a breath").search(notice)
    assert like("status.ordered.suspend").search(await ask(manager, bot, scene.desk, "!status"))
    bot.ahead_ms += 3_600_000
    await bot.until(lambda: bot.facts(SanctionEnded), "the end of it")
    await _until_posting(scene, before["events_default"])
    assert await scene.owner.power_levels(room) == before
    await _said(scene, like("measure.ended.suspend"))
    await bot.idle()
    assert (await scene.owner.is_redacted(room, order), await scene.owner.is_redacted(room, mine)) == (True, False)
    assert not await _silenced(scene, ann)
    assert [(f.kind, f.basis, f.n, f.subject, f.by, f.reason) for f in bot.facts(SanctionStarted)] == [
        ("suspend", "command", 0, "", manager.user, "let us take a breath")
    ]
    assert [(f.kind, f.why) for f in bot.facts(SanctionEnded)] == [("suspend", "time")]
    assert bot.facts(CaseOpened) == []
    assert not bot.rows("SELECT * FROM holds")


@pytest.mark.usefixtures("short_waits")
async def test_a_lockdown_silences_members_keeps_strangers_out_and_ends_by_itself(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    stranger, friend = await theatre.people("stranger", "friend")
    await owner.set_state(room, "m.room.join_rules", {"join_rule": "public"})
    before = await owner.power_levels(room)
    assert like("error.right.lockdown").search(await ask(manager, bot, scene.desk, "!lockdown 1h"))
    assert like("done.lockdown").search(await ask(owner, bot, scene.desk, "!lockdown 1h many strangers"))
    await owner.wait_state(room, "m.room.join_rules", lambda c: c.get("join_rule") == "knock", what="a lockdown")
    await _until_posting(scene, 50)
    assert await _silenced(scene, ann)
    assert (await owner.power_levels(room))["invite"] == 50
    with pytest.raises(MatrixError):
        await stranger.join(room)
    with pytest.raises(MatrixError):
        await ann.invite(room, stranger.user)
    await manager.invite(room, friend.user)
    await friend.join(room)
    assert like("notice.reason", reason="many strangers").search(await _said(scene, like("measure.begun.lockdown")))
    assert like("error.in-force.lockdown").search(await ask(owner, bot, scene.desk, "!lockdown"))
    assert like("status.ordered.lockdown").search(await ask(manager, bot, scene.desk, "!status"))
    bot.ahead_ms += 3_600_000
    await bot.until(lambda: bot.facts(SanctionEnded), "the end of it")
    await owner.wait_state(room, "m.room.join_rules", lambda c: c.get("join_rule") == "public", what="the end")
    await _said(scene, like("measure.ended.lockdown"))
    await stranger.join(room)
    assert await owner.power_levels(room) == before
    assert [(f.kind, f.basis, f.n, f.by) for f in bot.facts(SanctionStarted)] == [
        ("lockdown", "command", 0, owner.user)
    ]
    await bot.idle()
    assert not bot.rows("SELECT * FROM holds")


@pytest.mark.long
async def test_readonly_raises_and_restores_special_levels_and_keeps_mutes(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    levels = await scene.owner.power_levels(room)
    await scene.owner.set_state(
        room, "m.room.power_levels", {**levels, "events": {**levels["events"], "m.reaction": 0, POLL: 10}}
    )
    await ask(manager, bot, scene.desk, f"!mute {ben.user} 1h")
    await scene.until_level(ben.user, -1)
    before = await scene.owner.power_levels(room)
    said = await ann.send_text(room, "like this")
    assert like("done.readonly").search(await ask(manager, bot, scene.desk, "!readonly 1h"))
    await _until_posting(scene, 50)
    now = await scene.owner.power_levels(room)
    assert (now["events"]["m.reaction"], now["events"][POLL], now["users"]) == (50, 50, before["users"])
    with pytest.raises(MatrixError):
        await ann.react(room, said, "🎉")
    await ann.redact(room, said)  # one's own words can still be taken back
    assert like("error.in-force.suspend").search(await ask(manager, bot, scene.desk, "!readonly 2h"))
    assert like("done.readonly-off").search(await ask(manager, bot, scene.desk, "!readonly off"))
    await _until_posting(scene, before["events_default"])
    assert await scene.owner.power_levels(room) == before
    assert like("error.not-suspended").search(await ask(manager, bot, scene.desk, "!readonly off"))
    assert await _silenced(scene, ben)


async def test_a_room_changed_by_hand_is_set_again_twice_then_left_alone_and_told(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,) = scene.bot, scene.room, scene.owner, scene.managers
    await ask(manager, bot, scene.desk, "!readonly 1h")
    await _until_posting(scene, 50)
    await bot.idle()
    for time in (1, 2):
        await _set_posting(owner, room, 0)
        await bot.until(lambda time=time: len(_steps(bot, "corrected")) == time, f"correction {time}")  # type: ignore[misc]
        await _until_posting(scene, 50)
    await _set_posting(owner, room, 25)
    await scene.wait_desk(
        manager, lambda s: like("desk.here-changed.overruled").fullmatch(s.body) is not None, "that it was left alone"
    )
    await ask(manager, bot, scene.desk, "!readonly off")
    await bot.until(lambda: not bot.rows("SELECT 1 FROM holds"), "that nothing is held")
    after = await owner.power_levels(room)
    assert (after["events_default"], after["events"].get("m.room.redaction")) == (25, None)


async def test_an_owner_closes_the_room_and_opens_it_again(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    (late,) = await theatre.people("late")
    await owner.set_state(room, "m.room.join_rules", {"join_rule": "public"})
    before = await owner.power_levels(room)
    assert like("error.right.close").search(await ask(manager, bot, scene.desk, "!close"))
    assert like("done.close").search(await ask(owner, bot, scene.desk, "!close we have moved"))
    await _until_joining(scene, "invite")
    await _until_posting(scene, 100)
    assert (await _silenced(scene, ann), await _silenced(scene, manager)) == (True, True)
    with pytest.raises(MatrixError):
        await late.join(room)
    await _said(scene, like("measure.begun.close"))  # the bot itself still can
    assert like("error.in-force.close").search(await ask(owner, bot, scene.desk, "!close"))
    assert like("status.ordered.close").search(await ask(owner, bot, scene.desk, "!status"))
    assert like("done.reopen").search(await ask(owner, bot, scene.desk, "!reopen"))
    await _until_joining(scene, "public")
    await _until_posting(scene, before["events_default"])
    assert await owner.power_levels(room) == before
    await late.join(room)
    assert like("error.not-closed").search(await ask(owner, bot, scene.desk, "!reopen"))
    assert {(f.what, f.prior, f.held) for f in bot.facts(LevelKept) if f.what == "joining" and f.step == "held"} == {
        ("joining", "public", "invite")
    }


@pytest.mark.long
async def test_a_join_rule_that_cannot_be_restored_is_kept_and_reported(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,) = scene.bot, scene.room, scene.owner, scene.managers
    restricted = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": scene.desk}]}
    await owner.set_state(room, "m.room.join_rules", restricted)
    await ask(owner, bot, scene.desk, "!close")
    await scene.wait_desk(manager, lambda s: like("desk.here.join-rule").fullmatch(s.body) is not None, "a word")
    await _until_posting(scene, 100)
    assert await owner.state(room, "m.room.join_rules") == restricted


async def test_only_the_operator_ends_a_measure_of_the_operator(theatre: Theatre) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(bot=f'operators = ["{operator.user}"]')
    bot, room, owner, (ann,) = scene.bot, scene.room, scene.owner, scene.members
    code = bot.code(room)
    done = await _operate(bot, "room-suspend", room=code, by=operator.user, reason="raid", reader="root")
    assert (done["room"], done["case"], done["ended"]) == (code, 1, [])
    await _until_posting(scene, 50)
    assert await _silenced(scene, ann)
    word = await told(owner, bot, like("notice.own.room_order", n="1"))
    for key in ("notice.reason", "notice.measure.suspend", "notice.foot-same"):
        assert like(key).search(word.body), key
    assert word.body.count("raid") == 1
    assert like("error.imposed.operator", n="1").search(await ask(owner, bot, scene.desk, "!reopen"))
    assert like("error.imposed.operator", n="1").search(await ask(owner, bot, scene.desk, "!readonly off"))
    again = await _operate(bot, "room-close", room=code, by=operator.user, reason="worse", for_ms=3_600_000)
    assert (again["case"], again["ended"]) == (2, [])
    await _until_posting(scene, 100)
    opened = await _operate(bot, "room-reopen", room=code, by=operator.user, reason="quiet again", reader="root")
    assert (opened["case"], opened["until"], sorted(opened["ended"])) == (None, None, ["close", "suspend"])
    await _until_posting(scene, 0)
    assert not await _silenced(scene, ann)
    noted = [(f.what, f.reader, f.reason) for f in bot.facts(ContentRead)]
    assert [(noted[0]), noted[2]] == [("rooms suspend", "root", "raid"), ("rooms reopen", "root", "quiet again")]
    assert [(f.rule, f.by) for f in bot.facts(CaseOpened)] == [("room_order", operator.user)] * 2
    for wrong in ({"by": owner.user}, {"room": "G-2222"}):
        with pytest.raises(Refused):
            await _operate(bot, "room-suspend", **{"room": code, "by": operator.user, "reason": "x", **wrong})


@pytest.mark.long
async def test_an_appeal_that_is_granted_opens_the_room_again(theatre: Theatre) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(bot=f'operators = ["{operator.user}"]')
    bot, owner, code = scene.bot, scene.owner, scene.bot.code(scene.room)
    before = await owner.power_levels(scene.room)
    await _operate(bot, "room-suspend", room=code, by=operator.user, reason="raid")
    await _until_posting(scene, 50)
    here, there = await open_direct(owner, bot), await open_direct(operator, bot)
    await owner.send_text(here, "!appeal 1 it was over when you looked")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE n = 1 AND state = 'appealed'"), "the appeal")
    assert like("decided.dismissed").search(await ask(operator, bot, there, f"!dismiss 1 {code} true"))
    await _until_posting(scene, 0)
    assert await owner.power_levels(scene.room) == before
    assert [(f.kind, f.why) for f in bot.facts(SanctionEnded)] == [("suspend", "reversed")]
    await _said(scene, like("measure.ended.suspend"))


@pytest.mark.long
@pytest.mark.usefixtures("short_waits")
async def test_an_order_to_rectify_is_told_and_when_its_time_is_over_the_operator_is_asked(theatre: Theatre) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(bot=f'operators = ["{operator.user}"]')
    bot, owner = scene.bot, scene.owner
    before = await owner.power_levels(scene.room)
    asked = {"room": bot.code(scene.room), "by": operator.user, "reason": "nobody answers", "for_ms": 3_600_000}
    await _operate(bot, "room-rectify", **asked)
    await _said(scene, like("measure.begun.rectify"))
    await told(owner, bot, like("notice.measure.rectify"))
    bot.ahead_ms += 3_600_000
    await _said(scene, like("measure.ended.rectify"))
    await bot.idle()
    assert await owner.power_levels(scene.room) == before
    assert [(f.task, f.n) for f in bot.facts(TaskOpened)] == [("room", 1)]


@pytest.mark.long
async def test_a_room_whose_cases_nobody_decides_is_suspended_until_they_are(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + NEGLECTED)
    bot, owner, (manager,), (ann,) = scene.bot, scene.owner, scene.managers, scene.members
    before = await owner.power_levels(scene.room)
    await ann.send_text(scene.room, "forbidden 7")
    await _said(scene, like("measure.begun.rectify"))
    await _said(scene, like("measure.begun.suspend"))
    await _until_posting(scene, 50)
    word = await told(owner, bot, like("notice.measure.suspend"))
    assert like("notice.own.room_neglect").search(word.body)
    assert like("error.imposed.neglect").search(await ask(owner, bot, scene.desk, "!reopen"))
    ((n,),) = bot.rows("SELECT n FROM cases WHERE rule = 'tickets'")
    await ask(manager, bot, scene.desk, f"!dismiss {n} no")
    await _until_posting(scene, before["events_default"])
    await _said(scene, like("measure.ended.suspend"))
    measures = [(f.kind, f.basis) for f in bot.facts(SanctionStarted) if f.basis == "neglect"]
    assert measures == [("rectify", "neglect"), ("suspend", "neglect")]
    assert [(f.kind, f.why) for f in bot.facts(SanctionEnded) if f.kind in ("rectify", "suspend")] == [
        ("rectify", "overtaken"),
        ("suspend", "mended"),
    ]


async def test_a_measure_holds_and_ends_although_the_bot_was_killed_in_between(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    before = await scene.owner.power_levels(room)
    await bot.idle()
    await bot.stop()
    program = bot.start_apart()
    await manager.send_text(room, "!readonly 1h")
    await bot.until(lambda: bot.rows("SELECT 1 FROM sanctions"), "the measure")
    program.kill()
    await asyncio.to_thread(program.wait)
    bot.start()
    await _until_posting(scene, 50)
    assert await _silenced(scene, ann)
    await bot.idle()
    await bot.crash()
    ((until_ms,),) = bot.rows("SELECT until FROM sanctions WHERE kind = 'suspend'")
    bot.ahead_ms = max(until_ms - bot.clock(), 0)  # its time is over while nobody is there to see it
    bot.start()
    await _until_posting(scene, before["events_default"])
    assert await scene.owner.power_levels(room) == before
    await bot.idle()
    assert len([f for f in bot.facts(SanctionStarted) if f.kind == "suspend"]) == 1
    assert [(f.kind, f.why) for f in bot.facts(SanctionEnded)] == [("suspend", "time")]
    said = [e for e in await scene.owner.messages(room, 100) if e["sender"] == bot.user]
    begun = like("measure.begun.suspend")
    assert len([e for e in said if begun.search(str(e["content"].get("body", "")))]) == 1


# Pieces.


async def _silenced(scene: Scene, who: Client) -> bool:
    try:
        await who.send_text(scene.room, "may I")
    except MatrixError as error:
        assert error.status == 403
        return True
    return False


async def _until_posting(scene: Scene, level: int) -> None:
    await scene.owner.wait_state(
        scene.room, "m.room.power_levels", lambda c: c.get("events_default", 0) == level, what=f"posting at {level}"
    )


async def _until_joining(scene: Scene, rule: str) -> None:
    await scene.owner.wait_state(scene.room, "m.room.join_rules", lambda c: c.get("join_rule") == rule, what=rule)


async def _set_posting(owner: Client, room: str, level: int) -> None:
    content = await owner.power_levels(room)
    await owner.set_state(room, "m.room.power_levels", {**content, "events_default": level})


async def _said(scene: Scene, pattern: Any) -> str:
    seen = await scene.owner.wait_event(
        scene.room, lambda s: s.sender == scene.bot.user and pattern.search(s.body) is not None, what="a notice to all"
    )
    return seen.body


def _steps(bot: ServedBot, step: str) -> list[LevelKept]:
    return [
        fact for fact in bot.facts(LevelKept) if fact.step == step and fact.what == "posting" and fact.subject == ""
    ]


async def _operate(bot: ServedBot, do: str, **arguments: Any) -> dict[str, Any]:
    return await ask_bot(bot.data_dir, do, arguments, None)
