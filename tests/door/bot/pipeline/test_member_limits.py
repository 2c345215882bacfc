"""Limits in real rooms: the last to come is removed with a kind message, and the bot enters no room too many."""

import pytest

from moderation.model.builtin_rules import CAP_JOINED, CAP_MEMBERS
from moderation.model.facts import CaseOpened, CreditChanged, NoticeGiven, SanctionStarted
from tests.people.client import Client
from tests.theatre.scene import Theatre, told
from tests.theatre.served import like


async def until_membership(who: Client, room: str, user: Client, wanted: str) -> None:
    await who.wait_state(
        room, "m.room.member", lambda there: there.get("membership") == wanted, key=user.user, what=wanted
    )


async def come(owner: Client, room: str, who: Client) -> None:
    await owner.invite(room, who.user)
    await who.join(room)


@pytest.mark.long
async def test_a_newcomer_to_a_full_room_is_removed_kindly_and_members_stay(theatre: Theatre) -> None:
    scene = await theatre.scene(
        "[member_limits]\nmembers = 3\n", members=2
    )  # four with owner and manager: one too many already
    bot, owner, (manager,), (ann, _) = scene.bot, scene.owner, scene.managers, scene.members
    (late,) = await theatre.people("late")
    await ann.request("PUT", "profile", ann.user, "displayname", json={"displayname": "Ann"})
    await come(owner, scene.room, late)
    await until_membership(owner, scene.room, late, "leave")
    await told(late, bot, like("notice.own.cap_members", n="1"))
    # Somebody who runs the room is let in, however full it is.
    await manager.leave(scene.room)
    await come(owner, scene.room, manager)
    await come(owner, scene.room, late)  # again within one incident: out again, but no further case
    await bot.until(lambda: len(bot.facts(SanctionStarted)) == 2, "the second removal")
    await until_membership(owner, scene.room, late, "leave")
    await bot.idle()
    members = {user for user, there in (await owner.members(scene.room)).items() if there == "join"}
    assert members == {owner.user, bot.user, manager.user, *(each.user for each in scene.members)}
    assert [(f.rule, f.state, f.subject) for f in bot.facts(CaseOpened)] == [(CAP_MEMBERS, "decided", late.user)]
    assert [(f.kind, f.n, f.subject) for f in bot.facts(SanctionStarted)] == [("kick", 1, late.user)] * 2
    assert bot.facts(CreditChanged) == []


async def test_joining_too_many_rooms_removes_the_person_from_the_newest(theatre: Theatre) -> None:
    scene = await theatre.scene("[member_limits]\njoined = 2\n")
    bot, owner, (ann,) = scene.bot, scene.owner, scene.members
    second = await theatre.room(bot, owner, members=[ann])
    third = await theatre.room(bot, owner)
    await come(owner, third, ann)
    await until_membership(owner, third, ann, "leave")
    await told(ann, bot, like("notice.own.cap_joined"))
    await ann.leave(second)
    await bot.until(
        lambda: bot.rows(
            "SELECT 1 FROM members WHERE room = ? AND user = ? AND membership = 'leave'", second, ann.user
        ),
        "her leaving",
    )
    await come(owner, third, ann)
    await bot.idle()
    assert (await owner.members(third))[ann.user] == "join"
    assert [(f.rule, f.room) for f in bot.facts(CaseOpened)] == [(CAP_JOINED, third)]


@pytest.mark.long
async def test_a_room_beyond_the_founder_limit_is_declined_with_the_reason(
    theatre: Theatre,
) -> None:
    scene = await theatre.scene("[member_limits]\nfounded = 1\n")
    bot, owner, (manager,) = scene.bot, scene.owner, scene.managers
    for number, version in enumerate((None, "12")):
        room = await theatre.stage.room(owner, version=version)
        await owner.invite(room, bot.user)
        await until_membership(owner, room, bot, "leave")  # type: ignore[arg-type]
        await told(owner, bot, like("caps.founded", who=owner.user))
        assert bot.condition(room) is None, number
    other = await theatre.room(bot, manager, opened=False)
    await bot.until_condition(other, "protected")
    await bot.idle()
    assert [(f.what, f.subject) for f in bot.facts(NoticeGiven)] == [("caps.founded", owner.user)] * 2
