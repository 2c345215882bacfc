"""Servers that answer nothing: declining, entering, inviting and writing to their people hold up nobody else."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from bot.bot_rooms import create
from bot.effects import desk, join_room
from bot.outbox import dispatcher
from moderation.model.actions.rooms import Decline
from moderation.model.facts import ActionTaken
from tests.fakes.bad_line import BadLine
from tests.fakes.http_stub import Answer
from tests.people.client import Client, Seen
from tests.theatre.scene import Scene, Theatre, ask, enter, told
from tests.theatre.served import ServedBot, like, until

LEAVE = r"POST /_matrix/client/v3/rooms/[^/]*/leave"
CREATE = r"POST /_matrix/client/v3/createRoom"
INVITE = r"POST /_matrix/client/v3/rooms/[^/]*/invite"
MEMBER = "m.room.member"
JOIN = r"POST /_matrix/client/v3/(join/|rooms/[^/]*/join)"


async def test_a_decline_without_an_answer_holds_up_no_other_room(theatre: Theatre, line: BadLine) -> None:
    scene, (stranger,) = await theatre.scene(), await theatre.people("stranger")
    silent = line.silence(LEAVE)
    space = await invited_into_space(stranger, scene)
    await scene.bot.until(lambda: silent.met, "the bot to decline")
    await judges(scene)
    line.clear()
    await declined(stranger, space, scene)


async def test_a_decline_is_repeated_after_a_failure_and_a_crash(theatre: Theatre, line: BadLine) -> None:
    scene, (stranger,) = await theatre.scene(), await theatre.people("stranger")
    failing = line.trouble(LEAVE, Answer(502), always=True)
    space = await invited_into_space(stranger, scene)
    await scene.bot.until(lambda: failing.met > 1, "the bot to decline twice")
    await judges(scene)
    await scene.bot.crash()
    line.clear()
    scene.bot.start()
    await declined(stranger, space, scene)


async def test_rooms_that_cannot_be_entered_hold_up_no_other_room(theatre: Theatre, line: BadLine) -> None:
    scene, (stranger,) = await theatre.scene(), await theatre.people("stranger")
    silent = line.silence(JOIN)
    rooms = [await stranger.create_room(f"room {number}", invite=[scene.bot.user]) for number in range(4)]
    await scene.bot.until(lambda: silent.met >= 3, "the bot to enter the rooms")
    await judges(scene)
    await ask(scene.members[0], scene.bot, scene.room, "!rules")
    line.clear()
    for room in rooms:
        await scene.bot.until_condition(room, "observing")


async def test_a_decline_that_waits_does_not_undo_a_later_invitation(theatre: Theatre, line: BadLine) -> None:
    owner, stranger = await theatre.people("owner", "stranger")
    bot = await theatre.bot(invites=f'["{owner.user}"]')
    failing = line.trouble(LEAVE, Answer(502), always=True)
    room = await stranger.create_room("room", invite=[bot.user, owner.user])
    await bot.until(lambda: failing.met > 1, "the bot to decline twice")
    await owner.join(room)
    await stranger.set_power(room, {owner.user: 100})
    await owner.invite(room, bot.user)
    await bot.until_condition(room, "observing")
    line.clear()
    await bot.until(lambda: declines(bot) == ["abandoned"], "the decline to be given up")
    assert bot.condition(room) == "observing"


def declines(bot: ServedBot) -> list[str]:
    """Return what became of the declines, as recorded."""
    return [fact.result for fact in bot.facts(ActionTaken) if fact.action == Decline.NAME]


async def test_direct_messages_that_do_not_arrive_hold_up_nobody_else(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "SLOW_S", 0.1)
    scene = await theatre.scene(members=5)
    *far, near = scene.members
    silent = line.silence(CREATE)
    for person in far:
        await person.send_text(scene.room, "a purple elephant")
    await scene.bot.until(lambda: silent.met >= 3, "the bot to write to some of them")
    await ask(near, scene.bot, scene.room, "!rules")
    await scene.card(scene.managers[0], 4)
    line.clear()
    for person in far:
        await told(person, scene.bot, like("notice.violation"))


async def test_a_manager_who_cannot_be_invited_keeps_no_card_from_the_others(theatre: Theatre, line: BadLine) -> None:
    scene = await theatre.scene(members=2)
    far, author = scene.members
    silent = line.silence(INVITE)
    await scene.owner.set_power(scene.room, managers(scene, far))
    await scene.bot.until(lambda: silent.met, "the new manager to be invited")
    await author.send_text(scene.room, "a purple elephant")
    await scene.card(scene.managers[0], 1)
    assert silent.met == 1
    line.clear()
    await enter(far, scene.desk)


async def test_a_desk_whose_people_could_not_all_be_invited_is_not_left_to_the_bot(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A homeserver that cannot invite somebody makes the room all the same, and refuses."""
    monkeypatch.setattr(desk, "body", partial(body_without_invitations, create.body))
    refused = line.trouble(CREATE, Answer(403, json={"errcode": "M_FORBIDDEN", "error": "denied"}), lost=True)
    await theatre.scene(managers=2)
    assert refused.met == 1


async def test_an_invitation_that_arrives_after_a_demotion_is_taken_back(theatre: Theatre, line: BadLine) -> None:
    scene = await theatre.scene(members=1)
    (far,) = scene.members
    silent = line.silence(INVITE)
    await scene.owner.set_power(scene.room, managers(scene, far))
    await scene.bot.until(lambda: silent.met, "the new manager to be invited")
    await scene.owner.set_power(scene.room, {far.user: None})
    role = "SELECT role FROM members WHERE room = ? AND user = ?"
    await scene.bot.until(lambda: scene.bot.rows(role, scene.room, far.user) == [("member",)], "the demotion")
    line.clear()
    for membership in ("invite", "leave"):
        await scene.owner.wait_event(scene.desk, partial(makes, membership, far.user), what=membership)


def makes(membership: str, user: str, seen: Seen) -> bool:
    """Tell whether an event gives somebody this membership."""
    return (seen.type, seen.state_key, seen.content.get("membership")) == (MEMBER, user, membership)


def managers(scene: Scene, *more: Client) -> dict[str, int | None]:
    """Return the levels by which the manager of the scene and these people are managers."""
    return {scene.bot.user: 100, **{each.user: 50 for each in (*scene.managers, *more)}}


def body_without_invitations(body: Callable[..., dict[str, Any]], *args: Any, **given: Any) -> dict[str, Any]:
    return body(*args, **given | {"invite": ()})


async def test_an_inviter_learns_that_the_bot_could_not_enter(theatre: Theatre, line: BadLine) -> None:
    scene, (stranger,) = await theatre.scene(), await theatre.people("stranger")
    line.trouble(JOIN, Answer(403, json={"errcode": "M_FORBIDDEN", "error": "no"}))
    await stranger.create_room("room", invite=[scene.bot.user])
    await told(stranger, scene.bot, like("joining.not-entered"))


async def test_a_room_that_cannot_be_entered_is_given_up(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join_room, "_TRIES", 2)
    scene, (stranger,) = await theatre.scene(), await theatre.people("stranger")
    line.trouble(JOIN, Answer(502), Answer(502))
    await stranger.create_room("room", invite=[scene.bot.user])
    await told(stranger, scene.bot, like("joining.not-entered"))


async def invited_into_space(person: Client, scene: Scene) -> str:
    """Invite the bot into a space, which it declines."""
    return await person.create_room("space", creation_content={"type": "m.space"}, invite=[scene.bot.user])


async def judges(scene: Scene) -> None:
    """Wait until the bot has removed a message from the room of the scene."""
    author = scene.members[0]
    said = await author.send_text(scene.room, "a purple elephant")
    await until(lambda: author.is_redacted(scene.room, said), "the message to be removed")


async def declined(person: Client, room: str, scene: Scene) -> None:
    """Wait until the bot has declined an invitation."""
    await person.wait_state(room, MEMBER, lambda c: c.get("membership") == "leave", key=scene.bot.user)
