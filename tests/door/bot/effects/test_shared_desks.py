"""Rooms that the same people run share a desk; nobody reads there of a room that they do not run."""

import asyncio
import re
from functools import partial
from pathlib import Path

import pytest

from bot.config.config import parse_config
from bot.effects import desk as desks
from moderation.model.facts import DeskChosen, DutyAccepted
from moderation.rooms.desks import SETTLE_MS
from moderation.values.ids import RoomId
from tests.door.bot.pipeline.test_case_bursts import AUTO, FEW
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.theatre.scene import Scene, Theatre, ask, enter, open_direct, told
from tests.theatre.served import HEAD, RULES, ServedBot, like


def desk_of(bot: ServedBot, room: str) -> str:
    """Return the desk that shows the cases of a room; "" if there is none."""
    query = "SELECT desks.room FROM rooms JOIN rooms AS desks ON desks.code = rooms.desk WHERE rooms.room = ?"
    found = bot.rows(query, room)
    return str(found[0][0]) if found else ""


def assigned(bot: ServedBot, n: int) -> set[str]:
    """Return who was asked about a case."""
    return {user for (user,) in bot.rows("SELECT user FROM assignments WHERE n = ?", n)}


async def settled(bot: ServedBot) -> None:
    """Let the time pass for which the rooms of a desk may differ."""
    waits = "SELECT 1 FROM outbox WHERE json_extract(action, '$.settles') > 0"
    await bot.until(lambda: bot.rows(waits), "a difference that was noticed")
    bot.ahead_ms += SETTLE_MS + 60_000


async def more_rooms(theatre: Theatre, scene: Scene, count: int) -> list[RoomId]:
    """Bring the bot into more rooms of the same people, one after the other, and wait for their desk."""
    rooms = []
    for _ in range(count):
        room = await theatre.room(scene.bot, scene.owner, scene.managers, scene.members)
        await scene.bot.until(partial(desk_of, scene.bot, room), "its desk")
        rooms.append(room)
    return rooms


def bodies(said: list[dict[str, object]], bot: ServedBot) -> list[str]:
    return [str(e["content"].get("body", "")) for e in said if e["sender"] == bot.user]  # type: ignore[attr-defined]


async def test_four_rooms_of_the_same_people_have_one_desk_in_which_each_thing_is_said_once(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, owner, (mark, mina), (ann,) = scene.bot, scene.owner, scene.managers, scene.members
    rooms = [scene.room, *await more_rooms(theatre, scene, 3)]
    assert {desk_of(bot, room) for room in rooms} == {scene.desk}
    assert [(f.room, f.why, f.desk) for f in bot.facts(DeskChosen)] == [
        (room, "same", bot.code(scene.desk)) for room in rooms[1:]
    ]
    await scene.wait_desk(mina, lambda s: like("desk.joined.same").search(s.body) is not None, "the word")
    # Being away is said once, though it is about all four.
    direct = await open_direct(mark, bot)
    assert like("away.until").search(await ask(mark, bot, direct, "!away 3d moving house"))
    await scene.wait_desk(mina, lambda s: like("desk.away", who=mark.user).search(s.body) is not None, "away")
    await bot.idle()
    said = bodies(await mina.messages(scene.desk, 200), bot)
    assert sum("is away until" in each for each in said) == 1
    # A card names its room; under it the room is clear, else it is asked for only where it can be more than one.
    await ann.send_text(rooms[2], "forbidden 7")
    card = await scene.wait_desk(mina, lambda s: "Case 1 " in s.body and bot.code(rooms[2]) in s.body, "the card")
    assert like("error.group.which").search(await ask(mina, bot, scene.desk, "!status"))
    assert like("error.group.which").search(await ask(mina, bot, scene.desk, f"!history {ann.user}"))
    assert bot.code(rooms[1]) in await ask(mina, bot, scene.desk, f"!status {bot.code(rooms[1])}")
    thread = {"m.relates_to": {"rel_type": "m.thread", "event_id": card.id}}
    under = await ask(mina, bot, scene.desk, "!status", **thread)
    assert bot.code(rooms[2]) in under and not like("error.group.which").search(under)
    assert like("cases.head-all").search(await ask(mina, bot, scene.desk, "!cases"))
    assert like("card.head", n="1").search(await ask(mina, bot, scene.desk, "!case 1"))
    # Duty there is taken on, not given: so far only the owner has.
    assert assigned(bot, 1) == {owner.user}
    assert like("duty.accepted").search(await ask(mina, bot, scene.desk, f"!duty yes {bot.code(rooms[2])}"))
    assert [(f.room, f.subject) for f in bot.facts(DutyAccepted)] == [(rooms[2], mina.user)]
    await mina.react(scene.desk, card.id, "❌")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE outcome = 'dismissed'"), "the decision")


@pytest.mark.long
async def test_a_person_in_one_room_of_a_desk_makes_the_room_of_an_order_clear(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, (mark,) = scene.bot, scene.managers
    (ben,) = await theatre.people("ben")
    room = await theatre.room(bot, scene.owner, scene.managers, [ben])
    await bot.until(lambda: desk_of(bot, room) == scene.desk, "the same desk")
    assert like("done-until.mute").search(await ask(mark, bot, scene.desk, f"!mute {ben.user} 1h enough"))
    await scene.owner.wait_state(
        room, "m.room.power_levels", lambda c: c["users"].get(ben.user, 0) < 0, what="the mute in their room"
    )


async def test_a_manager_of_one_room_only_never_comes_into_the_desk_of_several(
    theatre: Theatre, short_waits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "POLL_MS", 200)
    scene = await theatre.scene()
    bot, owner, (mark,), (ann,) = scene.bot, scene.owner, scene.managers, scene.members
    (other,) = await more_rooms(theatre, scene, 1)
    (eve,) = await theatre.people("eve")
    await owner.invite(other, eve.user)
    await eve.join(other)
    await owner.set_power(other, {eve.user: 50})
    await ann.send_text(other, "forbidden 7")  # meanwhile nobody is in the desk who may not read this
    await scene.wait_desk(mark, lambda s: "Case 1 " in s.body, "the card")
    await settled(bot)
    await bot.until(lambda: desk_of(bot, other) not in ("", scene.desk), "a desk of its own")
    own = desk_of(bot, other)
    await asyncio.gather(enter(eve, own), enter(mark, own))
    await eve.wait_event(own, lambda s: s.body.startswith("Case 1 "), what="the card in the new desk")
    await eve.wait_event(own, lambda s: like("desk.parted.differ").search(s.body) is not None, what="why")
    await scene.wait_desk(mark, lambda s: like("card.moved").search(s.body) is not None, "the old card put aside")
    await ann.send_text(scene.room, "forbidden 8")
    await scene.card(mark, 2)
    there = await owner.members(scene.desk)
    assert eve.user not in there
    assert [(f.room, f.why, f.desk) for f in bot.facts(DeskChosen)][1:] == [(other, "differ", "-")]
    assert desk_of(bot, scene.room) == scene.desk
    seen = " ".join(bodies(await eve.messages(own, 100), bot))
    assert bot.code(scene.room) not in seen


async def test_who_is_no_manager_in_one_room_any_more_is_shown_nothing_of_it(
    theatre: Theatre, short_waits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "POLL_MS", 200)
    scene = await theatre.scene(managers=2)
    bot, owner, (mark, mina), (ann,) = scene.bot, scene.owner, scene.managers, scene.members
    (other,) = await more_rooms(theatre, scene, 1)
    await owner.set_power(other, {mark.user: 0})
    await bot.until(
        lambda: bot.rows("SELECT 1 FROM members WHERE room = ? AND user = ? AND role = 'member'", other, mark.user),
        "it",
    )
    await ann.send_text(other, "forbidden 7")
    await bot.until(
        lambda: bot.rows("SELECT 1 FROM outbox WHERE attempts > 0 AND action LIKE '%\"card\"%'"), "it waits"
    )
    # What another manager asks about it there, she is told alone.
    await mina.send_text(scene.desk, "!case 1")
    await told(mina, bot, re.compile("forbidden 7"))
    listed = await ask(mina, bot, scene.desk, "!cases")
    assert "forbidden 7" not in " ".join([listed, *bodies(await mark.messages(scene.desk, 100), bot)])
    assert like("cases.due-in").search(listed) is None
    await settled(bot)
    await bot.until(lambda: desk_of(bot, other) not in ("", scene.desk), "a desk of its own")
    own = desk_of(bot, other)
    await enter(mina, own)
    await mina.wait_event(own, lambda s: s.body.startswith("Case 1 "), what="the card")
    members = await owner.members(scene.desk)
    assert (members[mark.user], members[mina.user]) == ("join", "join")  # they still run the other room
    assert mark.user not in await mina.members(own)
    assert "forbidden 7" not in " ".join(bodies(await mark.messages(scene.desk, 100), bot))


@pytest.mark.long
async def test_a_change_made_in_one_room_after_the_other_parts_nobody(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, owner, (mark,) = scene.bot, scene.owner, scene.managers
    (other,) = await more_rooms(theatre, scene, 1)
    (mina,) = await theatre.people("mina")
    for room in (scene.room, other):
        await owner.invite(room, mina.user)
        await mina.join(room)
        await owner.set_power(room, {mina.user: 50})
    await enter(mina, scene.desk)
    for room in (scene.room, other):
        await owner.set_power(room, {mark.user: 0})
    await owner.wait_state(scene.desk, "m.room.member", lambda c: c["membership"] == "leave", key=mark.user)
    assert {desk_of(bot, room) for room in (scene.room, other)} == {scene.desk}
    assert len(bot.facts(DeskChosen)) == 1


async def test_an_owner_elsewhere_gets_into_nobodys_desk(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, owner, (mark,) = scene.bot, scene.owner, scene.managers
    (eve,) = await theatre.people("eve")
    # The people of the room manage that of Eve as well, and she even makes its owner one of hers.
    theirs = await theatre.room(bot, eve, [owner, mark], levels={owner.user: 99})
    await bot.until(lambda: desk_of(bot, theirs), "a desk")
    assert desk_of(bot, theirs) != scene.desk
    code = bot.code(scene.room)
    await enter(eve, desk_of(bot, theirs))
    theirs_desk = desk_of(bot, theirs)
    assert like("error.group.unknown").search(await ask(eve, bot, theirs_desk, f"!desk join {code}"))
    await owner.invite(scene.room, eve.user)
    await eve.join(scene.room)
    await eve.send_text(theirs_desk, f"!desk join {code}")
    await told(eve, bot, like("error.right.manager"))  # in private: the others there may know nothing of it
    # As a manager of both, she cannot bring her room into the desk either: its owner is somebody else.
    await owner.set_power(scene.room, {eve.user: 50})
    await enter(eve, scene.desk)
    await bot.until(
        lambda: len(bot.rows("SELECT 1 FROM members WHERE room = ? AND membership = 'join'", scene.desk)) == 4, "her"
    )
    await eve.send_text(theirs_desk, f"!desk join {code}")
    await told(eve, bot, like("error.desk.owners"))
    assert bot.facts(DeskChosen) == []


@pytest.mark.long
async def test_an_owner_chooses_a_desk_of_its_own_and_a_common_one_again(theatre: Theatre, tmp_path: Path) -> None:
    scene = await theatre.scene()
    bot, owner, (mark,), (ann,) = scene.bot, scene.owner, scene.managers, scene.members
    (other,) = await more_rooms(theatre, scene, 1)
    code = bot.code(other)
    await ann.send_text(other, "forbidden 7")
    await scene.wait_desk(mark, lambda s: "Case 1 " in s.body, "the card")
    assert like("error.right.desk").search(await ask(mark, bot, scene.desk, f"!desk own {code}"))
    assert like("error.group.which").search(await ask(owner, bot, scene.desk, "!desk own"))
    assert like("desk.done.own").search(await ask(owner, bot, scene.desk, f"!desk own {code}"))
    await bot.until(lambda: desk_of(bot, other) not in ("", scene.desk), "a desk of its own")
    own = desk_of(bot, other)
    await asyncio.gather(enter(owner, own), enter(mark, own))
    await mark.wait_event(own, lambda s: s.body.startswith("Case 1 "), what="the card")
    assert like("desk.shown.could").search(await ask(mark, bot, own, "!desk"))
    await bot.until(
        lambda: len(bot.rows("SELECT 1 FROM members WHERE room = ? AND membership = 'join'", own)) == 3, "them"
    )
    assert like("desk.done.join").search(await ask(owner, bot, own, f"!desk join {bot.code(scene.room)}"))
    await mark.wait_event(own, lambda s: like("desk.parted.asked").search(s.body) is not None, what="goodbye")
    await bot.until_condition(own, "left")
    assert desk_of(bot, other) == scene.desk
    card = await bot.until(lambda: bot.rows("SELECT card FROM cases WHERE card <> ''"), "it again")
    await mark.react(scene.desk, card[0][0], "❌")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE outcome = 'dismissed'"), "the decision")
    assert like("desk.shown.shared").search(await ask(mark, bot, scene.desk, "!desk"))
    assert "!leave" in await ask(owner, bot, scene.desk, "!help all")
    assert "!leave" not in await ask(mark, bot, scene.desk, "!help all")
    assert like("duty.accepted").search(await ask(mark, bot, scene.desk, f"!duty yes {code}"))
    await bot.idle()
    await bot.stop()
    tables = (*TABLES, "desk_groups", "duty_accepted")
    live = {name: bot.table(name) for name in tables}
    assert len(live["desk_groups"]) == 3
    assert {name for name, rows in (await rebuilt(bot, tmp_path, tables)).items() if rows != live[name]} == set()


@pytest.mark.long
async def test_the_desk_stays_when_the_bot_leaves_one_of_its_rooms(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, owner, (mark,), (ann,) = scene.bot, scene.owner, scene.managers, scene.members
    (other,) = await more_rooms(theatre, scene, 1)
    said = await ask(owner, bot, scene.desk, f"!leave {bot.code(scene.room)}")
    number = said.rsplit("!leave ", 1)[1].split()[0]
    await ask(owner, bot, scene.desk, f"!leave {number} {bot.code(scene.room)}")
    await bot.until_condition(scene.room, "left")
    await scene.wait_desk(mark, lambda s: like("leave.shared-desk").search(s.body) is not None, "the goodbye")
    await ann.send_text(other, "forbidden 7")
    await scene.wait_desk(mark, lambda s: "Case 1 " in s.body, "a card of the other room")
    assert like("status.room").search(await ask(mark, bot, scene.desk, "!status"))  # only one is left


@pytest.mark.long
async def test_an_operator_can_keep_a_desk_for_each_room(theatre: Theatre) -> None:
    scene = await theatre.scene(rules="[groups]\nshare_desks = false\n")
    bot = scene.bot
    room = await theatre.room(bot, scene.owner, scene.managers, scene.members)
    await bot.until(lambda: desk_of(bot, room), "a desk")
    assert desk_of(bot, room) != scene.desk
    assert bot.facts(DeskChosen) == []


@pytest.mark.long
async def test_the_operator_brings_rooms_of_the_same_people_that_had_two_desks_into_one(theatre: Theatre) -> None:
    club = '\n[groups]\nshare_desks = false\n[communities]\n[[communities.named]]\nname = "club"\nrooms = ["*"]\n'
    scene = await theatre.scene(RULES + club)
    bot, owner, (mark,), (ann,) = scene.bot, scene.owner, scene.managers, scene.members
    [second] = await more_rooms(theatre, scene, 1)
    other = await theatre.room(bot, owner, members=[mark, ann])  # run by the owner alone
    await bot.until(partial(desk_of, bot, other), "its desk")
    old = await theatre.enter_desk(bot, second, owner, mark)
    await ann.send_text(second, "forbidden 7")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE card != ''"), "the card")
    apart = desk_of(bot, other)
    assert len({scene.desk, desk_of(bot, second), apart}) == 3
    await bot.stop()
    head = HEAD.format(url=theatre.url, user=bot.user, bot="")
    bot.config = parse_config(bot.config.file, head + RULES + club + 'desk = "one"\n', {})
    bot.start()
    await bot.until(lambda: desk_of(bot, second) == scene.desk, "the common desk")
    await scene.wait_desk(mark, lambda s: like("desk.joined.one").search(s.body) is not None, "the word")
    await scene.wait_desk(mark, lambda s: "Case 1 " in s.body, "the card")
    await bot.idle()
    assert (desk_of(bot, scene.room), desk_of(bot, other)) == (scene.desk, apart)
    assert [(f.room, f.why, f.desk) for f in bot.facts(DeskChosen)] == [(second, "one", bot.code(scene.desk))]
    assert like("error.desk.one").search(await ask(owner, bot, scene.desk, f"!desk own {bot.code(second)}"))
    await mark.wait_event(old, lambda s: like("desk.parted.one").search(s.body) is not None, what="where it went")


async def test_in_a_shared_desk_reasons_are_hidden_from_the_person_they_are_about(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, (mark, mina), (ann,) = scene.bot, scene.managers, scene.members
    (other,) = await more_rooms(theatre, scene, 1)
    said = await mark.send_text(other, "you are all fools")
    await bot.has(said)
    reply = {"m.relates_to": {"m.in_reply_to": {"event_id": said}}}
    await ann.send_text(other, "!report rude words to everybody", **reply)
    card = await scene.wait_desk(mina, lambda s: "Case 1 " in s.body, "the card")
    assert like("card.report-alone").search(card.body) and "rude words" not in card.body
    assert bot.code(other) in card.body


@pytest.mark.long
async def test_an_encrypted_room_comes_into_a_plain_desk_only_if_its_owner_says_so(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, owner, (mark,) = scene.bot, scene.owner, scene.managers
    secret = await theatre.stage.room(owner, mark)
    await owner.set_power(secret, {mark.user: 50, bot.user: 100})
    encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
    await owner.set_state(secret, "m.room.encryption", encryption)
    await owner.invite(secret, bot.user)
    await bot.until(partial(desk_of, bot, secret), "a desk")
    assert desk_of(bot, secret) != scene.desk
    await owner.send_text(scene.desk, f"!desk join {bot.code(scene.room)} {bot.code(secret)}")
    await owner.wait_state(scene.desk, "m.room.encryption", lambda content: content == encryption)
    await bot.until(lambda: desk_of(bot, secret) == scene.desk, "the same desk")


@pytest.mark.long
async def test_under_a_common_card_the_room_is_clear(theatre: Theatre) -> None:
    scene = await theatre.scene(AUTO + FEW, members=4)
    bot, (mark,) = scene.bot, scene.managers
    (other,) = await more_rooms(theatre, scene, 1)
    for member in scene.members:
        await member.send_text(other, "an elephant")
    card = await scene.wait_desk(mark, lambda s: bot.code(other) in s.body and "case 3" in s.body, "the common card")
    assert like("error.group.which").search(await ask(mark, bot, scene.desk, "!status"))
    thread = {"m.relates_to": {"rel_type": "m.thread", "event_id": card.id}}
    under = await ask(mark, bot, scene.desk, "!status", **thread)
    assert bot.code(other) in under and not like("error.group.which").search(under)
    listed = await ask(mark, bot, scene.desk, "!cases 3")
    assert like("cases.burst").search(listed) and bot.code(other) in listed
