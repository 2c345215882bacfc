"""The bot enters a room: on whose invitation, after which messages, with which power."""

import asyncio
from pathlib import Path

from moderation.model.facts import CaseOpened, RoomEntered, SanctionStarted
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.fakes.bad_line import BadLine
from tests.theatre.scene import Theatre, told
from tests.theatre.served import like


async def test_an_invitation_is_accepted_when_a_glob_matches_and_declined_otherwise(theatre: Theatre) -> None:
    friend, stranger = await theatre.people("friend", "stranger")
    bot = await theatre.bot("", invites='["@friend-*:localhost"]')
    at_friend, at_stranger = await asyncio.gather(
        friend.create_room("A", invite=[bot.user]), stranger.create_room("B", invite=[bot.user])
    )
    await bot.until_condition(at_friend, "observing")
    await stranger.wait_state(at_stranger, "m.room.member", lambda c: c.get("membership") == "leave", key=bot.user)
    await bot.idle()
    assert {
        friend: (await friend.members(at_friend))[bot.user],
        stranger: (await stranger.members(at_stranger))[bot.user],
    } == {
        friend: "join",
        stranger: "leave",
    }
    assert [fact.room_id for fact in bot.facts(RoomEntered) if fact.purpose == "group"] == [at_friend]


async def test_the_desk_is_told_what_is_missing_and_whom_the_bot_could_never_demote(theatre: Theatre) -> None:
    owner, equal, manager = await theatre.people("owner", "equal", "manager")
    bot = await theatre.bot("")
    room = await theatre.room(bot, owner, [manager], [equal], bot_level=60, levels={equal.user: 60})
    desk = await theatre.enter_desk(bot, room, owner, equal, manager)
    told = await manager.wait_event(
        desk, lambda seen: seen.sender == bot.user and like("joining.desk").search(seen.body) is not None
    )
    vkey = (bot.data_dir / "records" / "log.vkey").read_text().strip()
    assert told.body.splitlines() == [
        "This is the desk of the room. When a message may break a rule, its owners and managers get a case here "
        "and decide it.",
        f"The records are signed with the key {vkey}. Please keep a copy of it: it proves later that nobody changed "
        "them.",
        f"To protect the room, I need more power. Please have an owner set {bot.user} to level 100 "
        "(Element: Room settings, Roles & Permissions), or allow:",
        "· changing power levels, to mute people and suspend rights (level 100)",
        f"I can't act against {equal.user}, {owner.user}, because they have as much power as I do. "
        "Cases about them still come here.",
    ]


async def test_a_room_without_enough_power_is_observed_until_the_power_is_given(theatre: Theatre) -> None:
    owner, manager, member = await theatre.people("owner", "manager", "member")
    bot = await theatre.bot()
    room = await theatre.room(bot, owner, [manager], [member], bot_level=0)
    desk = await theatre.enter_desk(bot, room, owner, manager)
    seen = await member.send_text(room, "a purple elephant")
    await manager.wait_event(desk, lambda s: s.body.startswith("Case 1 "), what="a card")
    await bot.idle()
    cases = [(fact.n, fact.state, fact.decide) for fact in bot.facts(CaseOpened)]
    assert (bot.condition(room), cases, bot.facts(SanctionStarted)) == ("observing", [(1, "open", "manager")], [])
    assert not await owner.is_redacted(room, seen)

    await owner.set_power(room, {bot.user: 100})
    await bot.until_condition(room, "protected")
    gone = await member.send_text(room, "a volcano")
    await owner.wait_event(room, lambda s: s.type == "m.room.redaction" and s.sender == bot.user, what="a redaction")
    assert await owner.is_redacted(room, gone)


async def test_a_bot_that_was_removed_has_left_and_comes_back_under_the_same_code(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, owner, (member,), room = scene.bot, scene.owner, scene.members, scene.room
    code = bot.code(room)
    await owner.kick(room, bot.user)
    await bot.until_condition(room, "left")
    unseen = await member.send_text(room, "nobody records this purple elephant")
    await owner.invite(room, bot.user)
    await bot.until_condition(room, "protected")
    seen = await member.send_text(room, "this is recorded again")
    await bot.has(seen)
    assert bot.code(room) == code
    assert {event: event in bot.recorded() for event in (unseen, seen)} == {unseen: False, seen: True}
    assert len(bot.rows("SELECT 1 FROM rooms WHERE purpose = 'desk'")) == 1


async def test_each_room_the_bot_makes_for_itself_is_recorded_under_one_code(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    for member in scene.members:
        await member.send_text(scene.room, "!help")
    bot = scene.bot
    await bot.until(lambda: len(bot.rows("SELECT 1 FROM rooms WHERE purpose = 'direct'")) == 2, "two direct rooms")
    await bot.idle()
    entered = bot.facts(RoomEntered)
    assert sorted(fact.purpose for fact in entered) == ["desk", "direct", "direct", "group"]
    assert sorted(fact.code for fact in entered) == sorted(code for (code,) in bot.rows("SELECT code FROM rooms"))


async def test_a_space_is_not_joined_and_the_inviter_is_told_why(theatre: Theatre) -> None:
    (owner,) = await theatre.people("owner")
    bot = await theatre.bot("")
    space = await owner.create_room("Club", invite=[bot.user], creation_content={"type": "m.space"})
    await told(owner, bot, like("joining.space"))
    await bot.idle()
    assert (await owner.members(space))[bot.user] == "leave"
    assert bot.condition(space) is None
    assert [event["type"] for event in await owner.messages(space) if event["sender"] == bot.user] == ["m.room.member"]
    assert [fact.purpose for fact in bot.facts(RoomEntered)] == ["direct"]


async def test_a_person_who_joins_during_entry_counts_as_joined(theatre: Theatre, tmp_path: Path) -> None:
    owner, late, gone = await theatre.people("owner", "late", "gone")
    async with BadLine(theatre.stage.server.url) as line:
        theatre.url = line.url
        bot = await theatre.bot("")
        room = await theatre.stage.room(owner, gone)
        await owner.set_power(room, {bot.user: 100})
        looking = line.silence(r"GET .*/rooms/[^/]*/(state|context/[^/]*)(\?|$)")
        await owner.invite(room, bot.user)
        await bot.until(lambda: looking.met, "the look around")
        await owner.set_power(room, {late.user: 20})
        await owner.invite(room, late.user)
        await late.join(room)
        await owner.set_power(room, {late.user: 50})
        await gone.leave(room)
        await owner.invite(room, gone.user)
        line.clear()
        await bot.until_condition(room, "protected")
        await bot.has(await late.send_text(room, "here I am"))
        rows = bot.rows("SELECT user, membership, role FROM members WHERE room = ?", room)
        there = {user: (membership, role) for user, membership, role in rows}
        assert there[late.user] == ("join", "manager")
        assert there[gone.user][0] == "invite"
        await bot.stop()
        live = {name: bot.table(name) for name in TABLES}
        assert {name for name, rows in (await rebuilt(bot, tmp_path)).items() if rows != live[name]} == set()
