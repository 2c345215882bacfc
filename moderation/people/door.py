"""The door of a room that asks for verification: who is let in, and what those who knock are told."""

from moderation.model.context import Context, PersonView, RoomView
from moderation.model.facts import DoorAnswer, DoorAnswered, Fact
from moderation.policy import Policy
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId, UserId

from .verification import HELD_EVERY, REMIND_EVERY, asked_of, exempt, level_reached

KNOCK_STANDS = 7 * DAY_MS


def welcome(subject: PersonView, room: RoomView, bot: UserId, policy: Policy, now_ms: int) -> bool:
    """Return whether somebody may enter a gated room."""
    wanted = asked_of(room, policy)
    if exempt(subject.user, room, bot, policy) or room.power.role(subject.user) == "manager":
        return True
    return level_reached(subject.proofs, wanted.methods, room, now_ms) >= wanted.write


def answer_knock(context: Context, policy: Policy, *, on: int) -> tuple[Fact, ...]:
    """Answer somebody who asks to enter: invite them or tell them what to do. Repeated requests change nothing."""
    subject, room, now = context.subject, context.room.room, context.now_ms
    if welcome(subject, context.room, context.bot, policy, now):
        return (_door("admitted", room, subject.user, on=on),)
    told = subject.told.get((room, "knocked"), -HELD_EVERY)
    if now - told < HELD_EVERY:
        return ()
    return (_door("knocked", room, subject.user, now + KNOCK_STANDS, on=on),)


def answer_in_lobby(context: Context, policy: Policy, *, on: int) -> tuple[Fact, ...]:
    """Answer somebody who entered the lobby of a gated room (`context.room`)."""
    subject, room = context.subject, context.room.room
    if welcome(subject, context.room, context.bot, policy, context.now_ms):
        return (_door("admitted", room, subject.user, on=on),)
    if context.now_ms - subject.told.get((room, "waiting"), -REMIND_EVERY) < REMIND_EVERY:
        return ()
    return (_door("waiting", room, subject.user, on=on),)


def refuse_knock(room: RoomId, user: UserId) -> tuple[Fact, ...]:
    """Refuse somebody whose request has been open too long."""
    return (_door("refused", room, user),)


def admit(room: RoomId, user: UserId, *, on: int = -1) -> tuple[Fact, ...]:
    """Admit somebody who is verified."""
    return (_door("admitted", room, user, on=on),)


def _door(what: DoorAnswer, room: RoomId, user: UserId, until: int = 0, *, on: int = -1) -> DoorAnswered:
    return DoorAnswered(room=room, on=on, what=what, until=until, subject=user)
