"""Rooms that require verification: who is told what, what is removed, who may enter, and how all of it is undone."""

import re
from typing import Any

import pytest

from bot.config.config import parse_config
from moderation.model.builtin_rules import UNVERIFIED, UNVERIFIED_MANAGER
from moderation.model.facts import (
    CaseOpened,
    CreditChanged,
    DoorAnswered,
    LevelKept,
    SanctionEnded,
    SanctionStarted,
    VerificationAsked,
)
from moderation.values.ids import RoomId
from tests.people.client import Client, MatrixError
from tests.theatre.scene import Scene, Theatre, answer, ask, enter, on_the_roster, told
from tests.theatre.served import ServedBot, like

DAY = 86_400_000
JOIN_RULES = "m.room.join_rules"


def asking(**settings: object) -> str:
    """Return a section `[verification]` with these settings."""
    return "[verification]\n" + "".join(f"{name} = {value!r}\n".replace("'", '"') for name, value in settings.items())


async def vouched(scene: Scene, who: Client) -> None:
    (manager,) = scene.managers
    answered = await ask(manager, scene.bot, scene.desk, f"!vouch {who.user}")
    assert like("done.vouch", who=who.user).search(answered), answered


async def with_settings(bot: ServedBot, text: str) -> None:
    """Stop it, change its configuration, and start it again."""
    await bot.stop()
    head = (
        f'[homeserver]\nurl = "{bot.config.homeserver.url}"\nuser = "{bot.user}"\n'
        '[bot]\ndata_dir = "data"\nallow_invites = ["*:localhost"]\n'
    )
    bot.config = parse_config(bot.config.file, head + text, {})
    bot.start()
    policy = bot.config.policy.model_dump_json(by_alias=True)
    await bot.until(lambda: bot.rows("SELECT 1 FROM meta WHERE key = 'policy' AND value = ?", policy), "the new policy")


async def until_member(who: Client, room: str, user: Client, wanted: str) -> None:
    await who.wait_state(
        room, "m.room.member", lambda there: there.get("membership") == wanted, key=user.user, what=wanted
    )


async def until_gone(who: Client, room: str, event: str) -> None:
    await who.wait_event(
        room, lambda seen: seen.type == "m.room.redaction" and redacts(seen) == event, what="a removal"
    )


def redacts(seen: Any) -> str:
    return str(seen.content.get("redacts") or getattr(seen, "redacts", ""))


def pointers(bot: ServedBot) -> list[tuple[str, str]]:
    return [(fact.what, fact.subject) for fact in bot.facts(VerificationAsked)]


def doors(bot: ServedBot) -> list[tuple[str, str]]:
    return [(fact.what, fact.subject) for fact in bot.facts(DoorAnswered)]


# Reminding.


@pytest.mark.long
async def test_an_unverified_member_is_reminded_once_a_week_and_can_write(theatre: Theatre) -> None:
    scene = await theatre.scene(asking(write=2, below="remind"), members=2, known=["managers"])
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    await vouched(scene, ben)
    first = [await who.send_text(room, "good morning") for who in (ann, ben, ann)]
    word = await told(ann, bot, like("pointer.reminded-only"))
    assert like("pointer.next").search(word.body)
    await scene.owner.send_text(room, "good morning from me")
    bot.ahead_ms += 8 * DAY
    later = await ann.send_text(room, "a week has gone by")
    await bot.has(*first, later)
    await bot.idle()
    assert pointers(bot) == [("reminded", ann.user)] * 2
    assert not any([await ann.is_redacted(room, event) for event in (*first, later)])
    shown = await ask(ben, bot, room, "!who")
    assert f"Verified: {ben.user}" in shown.splitlines()
    assert ann.user not in shown


# Restricting.


async def test_after_the_grace_period_messages_are_removed_until_verification(theatre: Theatre) -> None:
    scene = await theatre.scene(asking(write=2, below="restrict", grace="1h"), members=1, known=["managers"])
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    early = await ann.send_text(room, "there is time")
    await told(ann, bot, like("pointer.reminded"))
    bot.ahead_ms += 3_600_000
    late = [await ann.send_text(room, f"late {n}") for n in range(3)]
    await told(ann, bot, like("pointer.held"))
    await bot.has(*late)
    await bot.idle()
    assert [await ann.is_redacted(room, event) for event in (early, *late)] == [False, True, True, True]
    reaction = await ann.react(room, early, "buy coins")
    await ann.request("PUT", "profile", ann.user, "displayname", json={"displayname": "Buy coins"})
    await until_gone(scene.owner, room, reaction)
    named = await scene.owner.wait_event(
        room, lambda seen: seen.state_key == ann.user and seen.content.get("displayname") == "Buy coins", what="a name"
    )
    await until_gone(scene.owner, room, named.id)
    assert await scene.owner.state(room, "m.room.member", ann.user) == {"membership": "join"}
    gone = (await ann.event(room, late[0]))["unsigned"]["redacted_because"]["content"]
    assert gone.get("reason") is None  # nobody else learns why
    assert pointers(bot) == [("reminded", ann.user), ("held", ann.user)]
    assert [(f.kind, f.rule, f.n) for f in bot.facts(SanctionStarted)] == [("redact", UNVERIFIED, 0)] * 5
    assert (bot.facts(CaseOpened), bot.facts(CreditChanged)) == ([], [])
    await vouched(scene, ann)
    free = await ann.send_text(room, "here I am")
    await bot.has(free)
    await bot.idle()
    assert not await ann.is_redacted(room, free)
    said = [e["content"].get("body", "") for e in await scene.owner.messages(room) if e["sender"] == bot.user]
    assert not [body for body in said if like("pointer.held").search(body)]


async def test_each_room_has_its_own_verification_demand(theatre: Theatre) -> None:
    bot = await theatre.bot(start=False)
    owner, ann = await theatre.people("owner", "ann")
    bot.start()
    asks, other = [await theatre.room(bot, owner, members=[ann]) for _ in range(2)]
    await with_settings(
        bot, f'[[verification.rooms]]\nrooms = ["{bot.code(asks)}"]\nwrite = 2\nbelow = "restrict"\ngrace = "1s"\n'
    )
    bot.ahead_ms += 60_000
    held, free = [await ann.send_text(room, "hello") for room in (asks, other)]
    await told(ann, bot, like("pointer.held"))
    await bot.has(held, free)
    await bot.idle()
    assert (await ann.is_redacted(asks, held), await ann.is_redacted(other, free)) == (True, False)


# The door.


async def gated(theatre: Theatre, **more: Any) -> Scene:
    scene = await theatre.scene(asking(write=2, below="gate", grace="1h"), known=["managers"], **more)
    await until_rule(scene, "knock")
    return scene


async def until_rule(scene: Scene, wanted: str) -> dict[str, Any]:
    return await scene.owner.wait_state(scene.room, JOIN_RULES, lambda c: c.get("join_rule") == wanted, what=wanted)


async def knock(who: Client, room: str) -> None:
    await who.request("POST", "knock", room, json={"reason": "may I?"})


async def lobby_of(scene: Scene) -> RoomId:
    """Wait until the desk is told of the lobby, and return it."""
    said = await scene.wait_desk(scene.owner, lambda s: like("lobby.desk").search(s.body) is not None, "the lobby")
    ((lobby,),) = scene.bot.rows("SELECT room FROM rooms WHERE purpose = 'lobby'")
    assert f"https://matrix.to/#/{lobby}?via=localhost" in said.body
    return RoomId(lobby)


async def test_a_knock_is_admitted_after_a_vouch_or_at_once_if_verified(theatre: Theatre) -> None:
    scene = await gated(theatre)
    bot, room = scene.bot, scene.room
    ann, ben = await theatre.people("ann", "ben")
    await vouched(scene, ben)
    for who in (ann, ben):
        await knock(who, room)
    await enter(ben, room)
    await told(ann, bot, like("door.knocked"))
    await bot.idle()
    assert (await scene.owner.members(room))[ann.user] == "knock"
    await vouched(scene, ann)
    await enter(ann, room)
    await told(ann, bot, like("door.admitted"))
    await bot.idle()
    assert sorted(doors(bot)) == sorted([("admitted", ben.user), ("knocked", ann.user), ("admitted", ann.user)])
    said = [e["content"].get("body", "") for e in await scene.owner.messages(room) if e["sender"] == bot.user]
    assert not [body for body in said if ann.user in body]


@pytest.mark.long
async def test_a_knock_is_refused_after_a_week_with_notice(theatre: Theatre) -> None:
    scene = await gated(theatre)
    bot, room = scene.bot, scene.room
    (ann,) = await theatre.people("ann")
    await knock(ann, room)
    await told(ann, bot, like("door.knocked"))
    bot.ahead_ms += 7 * DAY + 60_000
    await bot.restart()
    await until_member(scene.owner, room, ann, "leave")
    await told(ann, bot, like("door.refused"))
    await bot.idle()
    assert doors(bot) == [("knocked", ann.user), ("refused", ann.user)]


async def test_nobody_writes_in_the_lobby_and_verified_people_are_invited(theatre: Theatre) -> None:
    scene = await gated(theatre)
    bot, room = scene.bot, scene.room
    lobby = await lobby_of(scene)
    (ann,) = await theatre.people("ann")
    await ann.join(lobby)
    pinned = (await ann.state(lobby, "m.room.pinned_events") or {})["pinned"]
    word = (await ann.event(lobby, pinned[0]))["content"]["body"]
    assert like("lobby.pinned").search(word)
    try:
        await ann.send_text(lobby, "hello?")
        raise AssertionError("somebody wrote in the lobby")
    except MatrixError as error:
        assert error.status == 403
    await told(ann, bot, like("door.waiting"))
    await vouched(scene, ann)
    await enter(ann, room)
    await bot.idle()
    assert doors(bot) == [("waiting", ann.user), ("admitted", ann.user)]


@pytest.mark.long
async def test_earlier_members_have_a_grace_period_and_others_have_none(theatre: Theatre) -> None:
    scene = await gated(theatre)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    (ben,) = await theatre.people("ben")
    await scene.owner.invite(room, ben.user)
    await ben.join(room)
    early, other = await ann.send_text(room, "I was here"), await ben.send_text(room, "I was brought")
    await told(ben, bot, like("pointer.held"))
    await bot.has(early, other)
    bot.ahead_ms += 3_600_000
    late = await ann.send_text(room, "still here")
    await told(ann, bot, like("pointer.held"))
    await bot.idle()
    assert [await ann.is_redacted(room, event) for event in (early, other, late)] == [False, True, True]


@pytest.mark.long
async def test_removing_the_setting_undoes_verification_measures(theatre: Theatre) -> None:
    scene = await theatre.scene("")
    bot, room, owner = scene.bot, scene.room, scene.owner
    before = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": scene.desk}]}
    await owner.set_state(room, JOIN_RULES, before)
    await with_settings(bot, asking(write=2, below="gate"))
    assert await until_rule(scene, "knock_restricted") == {**before, "join_rule": "knock_restricted"}
    lobby = await lobby_of(scene)
    (ann,) = await theatre.people("ann")
    await ann.join(lobby)
    await bot.idle()
    await with_settings(bot, "")
    assert await until_rule(scene, "restricted") == before
    await ann.wait_event(lobby, lambda seen: like("lobby.closed").search(seen.body) is not None, what="the last word")
    await bot.until(lambda: bot.condition(lobby) == "left", "the lobby to be left")
    await bot.idle()
    assert (await ann.state(lobby, JOIN_RULES) or {})["join_rule"] == "invite"
    assert not bot.rows("SELECT * FROM holds")
    assert [(f.prior, f.held, f.step) for f in bot.facts(LevelKept) if f.step != "intended"] == [
        ("restricted+", "knock_restricted+", "held"),
        ("restricted+", "knock_restricted+", "released"),
    ]


@pytest.mark.long
async def test_a_closed_room_stays_closed_and_is_gated_again_when_it_is_reopened(theatre: Theatre) -> None:
    scene = await gated(theatre)
    await ask(scene.owner, scene.bot, scene.desk, "!close")
    await until_rule(scene, "invite")
    await ask(scene.owner, scene.bot, scene.desk, "!reopen")
    await until_rule(scene, "knock")


# Removing.


@pytest.mark.usefixtures("short_waits")
async def test_after_a_reminder_and_their_time_people_are_removed_and_invited_back_when_verified(
    theatre: Theatre,
) -> None:
    scene = await theatre.scene(asking(write=2, below="remove", grace="2m"), members=2, known=["managers"])
    bot, room, owner, (ann, ben) = scene.bot, scene.room, scene.owner, scene.members
    await vouched(scene, ben)
    await bot.pass_until(lambda: pointers(bot), "half of her time")
    await told(ann, bot, like("pointer.halfway"))
    await bot.pass_until(lambda: bot.facts(SanctionStarted), "the end of her time")
    await until_member(owner, room, ann, "leave")
    word = await told(ann, bot, like("notice.own.unverified_writes", n="1"))
    assert like("notice.foot", n="1").search(word.body)
    await vouched(scene, ann)
    await enter(ann, room)
    await bot.idle()
    assert pointers(bot) == [("halfway", ann.user)]
    assert [(f.rule, f.state, f.subject) for f in bot.facts(CaseOpened)] == [(UNVERIFIED, "decided", ann.user)]
    assert [(f.kind, f.n) for f in bot.facts(SanctionStarted)] == [("kick", 1)]
    assert bot.facts(CreditChanged) == []
    there = {user for user, membership in (await owner.members(room)).items() if membership == "join"}
    assert there == {bot.user, owner.user, scene.managers[0].user, ann.user, ben.user}


@pytest.mark.long
async def test_a_person_who_won_an_appeal_is_not_removed_again(theatre: Theatre) -> None:
    scene = await theatre.scene(asking(write=2, below="remove", grace="2s"), known=["managers"])
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    await until_member(owner, room, ann, "leave")
    await told(ann, bot, like("notice.own.unverified_writes", n="1"))
    await ask(manager, bot, scene.desk, "!dismiss 1 she is my aunt")
    await enter(ann, room)
    await bot.until(lambda: bot.rows("SELECT 1 FROM members WHERE user = ? AND membership = 'join'", ann.user), "her")
    said = await ann.send_text(room, "back again")
    await bot.has(said)
    bot.ahead_ms += DAY
    await bot.stop()
    bot.start()
    await ask(manager, bot, scene.desk, "!status")
    await bot.idle()
    assert len(bot.facts(SanctionStarted)) == 1


# Managing.


@pytest.mark.long
@pytest.mark.usefixtures("short_waits")
async def test_a_manager_below_the_level_is_told_then_loses_the_rights_and_has_them_back_when_verified(
    theatre: Theatre,
) -> None:
    scene = await theatre.scene(asking(manage=2, grace="1m"), managers=2, known=["owner"])
    bot, owner, (first, second) = scene.bot, scene.owner, scene.managers
    await told(first, bot, like("pointer.managing"))
    await bot.pass_until(lambda: len(bot.facts(SanctionStarted)) == 2, "the end of their time")
    for who in (first, second):
        await scene.until_level(who.user, None)
    await told(first, bot, like("notice.own.unverified_manages"))
    vouch = await owner.send_text(scene.desk, f"!vouch {first.user}")
    await answer(owner, bot, scene.desk, vouch)
    await scene.until_level(first.user, 50)
    await told(first, bot, like("notice.ended.demote"))
    await bot.idle()
    cases = {(f.rule, f.subject) for f in bot.facts(CaseOpened)}
    assert cases == {(UNVERIFIED_MANAGER, who.user) for who in (first, second)}
    assert [(f.subject, f.why) for f in bot.facts(SanctionEnded)] == [(first.user, "verified")]
    await with_settings(bot, "")
    await scene.until_level(second.user, 50)
    await bot.idle()
    assert [(f.subject, f.why) for f in bot.facts(SanctionEnded)][1:] == [(second.user, "settings")]


# Founding.


async def test_a_room_with_an_unverified_founder_is_declined_with_the_reason(theatre: Theatre) -> None:
    scene = await theatre.scene("")
    bot, (manager,) = scene.bot, scene.managers
    await with_settings(bot, asking(found=2))
    declined = await theatre.room(bot, manager, opened=False)
    await until_member(manager, declined, bot, "leave")  # type: ignore[arg-type]
    await told(manager, bot, like("caps.unverified", who=manager.user))
    await on_the_roster(bot, manager)
    await manager.invite(declined, bot.user)
    await bot.until_condition(declined, "protected")


# The end of a verification.


@pytest.mark.long
async def test_an_ending_verification_is_announced_and_starts_a_new_grace_period(theatre: Theatre) -> None:
    scene = await theatre.scene(asking(write=2, below="restrict", grace="2d", vouch_lasts="30d"), known=["managers"])
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    await vouched(scene, ann)
    await bot.idle()
    bot.ahead_ms += 24 * DAY
    await bot.restart()
    await told(ann, bot, like("pointer.expires"))
    bot.ahead_ms += 7 * DAY
    await bot.restart()
    await told(ann, bot, like("pointer.lapsed"))
    early = await ann.send_text(room, "there is time again")
    await told(ann, bot, like("pointer.reminded"))
    bot.ahead_ms += 2 * DAY
    late = await ann.send_text(room, "and now it is over")
    await told(ann, bot, like("pointer.held"))
    await bot.has(early, late)
    await bot.idle()
    assert (await ann.is_redacted(room, early), await ann.is_redacted(room, late)) == (False, True)
    assert pointers(bot) == [(what, ann.user) for what in ("expires", "lapsed", "reminded", "held")]


def test_verification_messages_name_no_method_and_no_level() -> None:
    for language in ("en", "zh"):
        assert re.search(r"\b[0-3]\b", like("pointer.reminded", language).pattern) is None
