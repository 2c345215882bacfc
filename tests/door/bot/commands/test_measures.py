"""Measures against people: they take effect on the homeserver, are announced, end on time, and restore the state."""

import pytest

from moderation.model.facts import LevelKept, SanctionEnded, SanctionStarted
from moderation.values.ids import UserId
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, answer, ask, told
from tests.theatre.served import like

HOUR = 3_600_000


async def test_a_warning_and_a_removed_message_are_told_with_the_reason(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    said = await ann.send_text(room, "my neighbour's number is 555")
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": said}}}
    order = await manager.send_text(room, "!redact no phone numbers", **reply)
    await told(ann, bot, like("notice.command.redact", by=manager.user))
    assert like("done.warn", who=ann.user).search(
        await ask(manager, bot, room, f"!warn {ann.user} stay on the subject")
    )
    word = await told(ann, bot, like("notice.command.warn", by=manager.user))
    assert like("notice.reason", reason="stay on the subject").search(word.body)
    await bot.idle()
    # The command is removed with it: a room stays clean.
    assert (await owner.is_redacted(room, said), await owner.is_redacted(room, order)) == (True, True)
    assert [(f.kind, f.subject, f.by, f.reason) for f in bot.facts(SanctionStarted)] == [
        ("redact", ann.user, manager.user, "no phone numbers"),
        ("warn", ann.user, manager.user, "stay on the subject"),
    ]


@pytest.mark.usefixtures("short_waits")
async def test_a_mute_ends_by_itself_and_restores_the_former_level(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    await scene.owner.set_power(room, {ben.user: 25})
    before = await scene.levels()
    for who in (ann, ben):
        assert like("done-until.mute", who=who.user).search(
            await ask(manager, bot, room, f"!mute {who.user} 1h enough")
        )
    await scene.until_level(ann.user, -1)
    await scene.until_level(ben.user, -1)
    word = await told(ben, bot, like("notice.command.mute", by=manager.user))
    assert like("notice.reason", reason="enough").search(word.body)
    assert like("error.already.mute", who=ann.user).search(await ask(manager, bot, room, f"!mute {ann.user}"))
    bot.ahead_ms += HOUR
    await scene.until_level(ann.user, None)
    await scene.until_level(ben.user, 25)
    await told(ann, bot, like("notice.ended.mute"))
    await ann.send_text(room, "here I am again")
    assert await scene.levels() == before
    assert [(f.kind, f.subject, f.why) for f in bot.facts(SanctionEnded)] == [
        ("mute", ann.user, "time"),
        ("mute", ben.user, "time"),
    ]
    await bot.until(lambda: not bot.rows("SELECT * FROM holds"), "no level to be kept any longer")


async def test_a_mute_survives_leaving_and_is_lifted_by_command(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await ask(manager, bot, room, f"!mute {ann.user}")
    await scene.until_level(ann.user, -1)
    await ann.leave(room)
    await owner.invite(room, ann.user)
    await ann.join(room)
    assert like("done.unmute", who=ann.user).search(await ask(manager, bot, room, f"!unmute {ann.user}"))
    await scene.until_level(ann.user, None)
    await told(ann, bot, like("notice.ended.mute"))
    assert like("error.not-muted", who=ann.user).search(await ask(manager, bot, room, f"!unmute {ann.user}"))


@pytest.mark.usefixtures("short_waits")
async def test_kicks_and_bans_happen_are_told_and_end(theatre: Theatre) -> None:
    scene = await theatre.scene(members=3)
    bot, room, owner, (manager,), (ann, ben, cid) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    assert like("done.kick", who=ann.user).search(
        await ask(manager, bot, room, f"!kick {ann.user} please read the rules")
    )
    await _until_membership(owner, room, ann, "leave")
    word = await told(ann, bot, like("notice.command.kick", by=manager.user))
    assert like("notice.reason", reason="please read the rules").search(word.body)
    assert await _reason_shown(owner, room, ann) == "By the managers, case 1."

    assert like("done-until.ban", who=ben.user).search(await ask(manager, bot, room, f"!ban {ben.user} 1h"))
    await _until_membership(owner, room, ben, "ban")
    assert like("done.ban", who=cid.user).search(await ask(manager, bot, room, f"!ban {cid.user}"))
    await _until_membership(owner, room, cid, "ban")
    await told(cid, bot, like("notice.command.ban", by=manager.user))
    assert like("error.already.ban", who=cid.user).search(await ask(manager, bot, room, f"!ban {cid.user}"))

    bot.ahead_ms += HOUR
    await _until_membership(owner, room, ben, "leave")
    await told(ben, bot, like("notice.ended.ban"))
    assert await _reason_shown(owner, room, cid) == "By the managers, case 3."
    assert like("done.unban", who=cid.user).search(await ask(manager, bot, room, f"!unban {cid.user}"))
    await _until_membership(owner, room, cid, "leave")
    await told(cid, bot, like("notice.ended.ban"))
    assert like("error.not-banned", who=cid.user).search(await ask(manager, bot, room, f"!unban {cid.user}"))
    await bot.idle()
    assert (bot.rows("SELECT * FROM holds"), _corrections(scene)) == ([], [])


@pytest.mark.long
async def test_a_ban_set_by_hand_is_lifted_by_command(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await owner.ban(room, ann.user)
    await bot.until(
        lambda: bot.rows("SELECT 1 FROM members WHERE user = ? AND membership = 'ban'", ann.user), "the ban"
    )
    assert like("done.unban", who=ann.user).search(await ask(manager, bot, room, f"!unban {ann.user}"))
    await _until_membership(owner, room, ann, "leave")


@pytest.mark.long
async def test_a_ban_after_leaving_takes_effect_at_once(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await ann.leave(room)
    await bot.until(lambda: bot.rows("SELECT 1 FROM members WHERE user = ? AND membership = 'leave'", ann.user), "bye")
    await ask(manager, bot, room, f"!ban {ann.user}")
    await _until_membership(owner, room, ann, "ban")
    await bot.idle()
    assert _corrections(scene) == []


@pytest.mark.long
async def test_a_level_changed_by_hand_is_set_again_twice_then_left_alone_and_told(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await ask(manager, bot, room, f"!mute {ann.user} 1h")
    await scene.until_level(ann.user, -1)
    for time in (1, 2):
        await owner.set_power(room, {ann.user: 0})
        await bot.until(lambda time=time: _corrections(scene) == [-1] * time, f"correction {time}")  # type: ignore[misc]
        await scene.until_level(ann.user, -1)
    # Even a promotion: the level that an owner sets the third time stays, also after the mute.
    await owner.set_power(room, {ann.user: 50})
    desk = await manager.wait_event(
        scene.desk, lambda seen: like("desk.overruled", who=ann.user).search(seen.body) is not None, what="a word"
    )
    assert desk.sender == bot.user
    assert (await scene.levels())[ann.user] == 50
    await ask(owner, bot, room, f"!unmute {ann.user}")
    await bot.idle()
    assert (await scene.levels())[ann.user] == 50
    steps = [(f.step, f.prior, f.held) for f in bot.facts(LevelKept) if f.subject == ann.user]
    assert [step for step, _, _ in steps if step != "intended"] == [
        "held",
        "corrected",
        "corrected",
        "overruled",
        "released",
    ]


@pytest.mark.long
async def test_a_ban_undone_by_hand_is_set_again_twice_then_left_alone_and_told(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await ask(manager, bot, room, f"!ban {ann.user}")
    await _until_membership(owner, room, ann, "ban")
    for time in (1, 2):
        await owner.request("POST", "rooms", room, "unban", json={"user_id": ann.user})
        await bot.until(lambda time=time: len(_corrections(scene, "ban")) == time, f"correction {time}")  # type: ignore[misc]
        await _until_membership(owner, room, ann, "ban")
    await owner.request("POST", "rooms", room, "unban", json={"user_id": ann.user})
    await manager.wait_event(
        scene.desk, lambda seen: like("desk.overruled", who=ann.user).search(seen.body) is not None, what="a word"
    )
    await owner.invite(room, ann.user)
    await ann.join(room)
    await bot.idle()
    assert (await owner.members(room))[ann.user] == "join"


@pytest.mark.long
async def test_the_bot_does_nothing_for_managers_beyond_their_own_level(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, room, (first, second) = scene.bot, scene.room, scene.managers
    refusals = {
        f"!mute {second.user}": "error.target.above",
        f"!kick {scene.owner.user}": "error.target.creator",
        f"!ban {first.user}": "error.target.self",
        f"!warn {bot.user}": "error.target.bot",
    }
    for command, key in refusals.items():
        assert like(key).fullmatch(await ask(first, bot, room, command)), command
    assert bot.facts(SanctionStarted) == []


@pytest.mark.long
async def test_muting_a_person_as_high_as_the_bot_is_refused_as_impossible(theatre: Theatre) -> None:
    owner, equal, manager = await theatre.people("owner", "equal", "manager")
    bot = await theatre.bot()
    room = await theatre.room(bot, owner, [manager], [equal], levels={equal.user: 100})
    desk = await theatre.enter_desk(bot, room, owner, manager)
    order = await owner.send_text(room, f"!mute {equal.user} 1h")
    assert like("done-until.mute").search((await answer(owner, bot, room, order)).body)
    await owner.wait_event(desk, lambda seen: like("desk.impossible", who=equal.user).search(seen.body) is not None)
    assert (await owner.power_levels(room))["users"][equal.user] == 100


def _corrections(scene: Scene, what: str = "level") -> list[int]:
    facts = [fact for fact in scene.bot.facts(LevelKept) if fact.step == "corrected" and fact.what == what]
    return [int(fact.held) if what == "level" else 0 for fact in facts]


async def _reason_shown(reader: Client, room: str, person: Client) -> object:
    """Return the reason that everybody in the room reads, now and later."""
    return (await reader.state(room, "m.room.member", person.user) or {}).get("reason")


async def _until_membership(who: Client, room: str, user: Client, wanted: str) -> None:
    await who.wait_state(
        room, "m.room.member", lambda content: content.get("membership") == wanted, key=UserId(user.user), what=wanted
    )
