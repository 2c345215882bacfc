"""Rights to act on others: every question of right is asked here, and answered by None or a `Refused`.

Rules kept here:
- Roles come from the room's own power levels.
- A person against whom a demotion or ban holds has no role, whatever level the room gives them.
- Nobody decides their own case.
- Nobody does more through the bot than their own level allows them (a mute counts as less than a kick, so people who
  may kick may mute: docs/decisions/0005).
- The person who decided a case may reconsider it, and so may the owner and the operator; only an operator decides again
  what an operator decided.
- All accounts of a person are that person (docs/decisions/0019).
"""

from typing import Literal

from moderation.model.builtin_rules import decided_by
from moderation.model.context import CaseView, Context, PersonView, RoomView
from moderation.model.facts import Asked
from moderation.policy import Policy
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.power_levels import SERVER_ACL, Role

Deed = Literal[
    "redact",
    "sweep",
    "mute",
    "kick",
    "ban",
    "unban",
    "warn",
    "vouch",
    "decide",
    "history",
    "language",
    "readonly",
    "slow",
    "close",
    "lockdown",
    "reopen",
    "servers",
    "roster",
    "set",
    "policy",
]
KNOWN_FOR_MS = 30 * DAY_MS  # how long managers may deal with people after they were last seen in a room
_MANAGERS_DEEDS: frozenset[Deed] = frozenset({"warn", "vouch", "decide", "history", "language", "readonly", "slow"})
_OWNERS_DEEDS: frozenset[Deed] = frozenset({"close", "lockdown", "policy", "reopen", "roster", "set"})


def is_operator(user: UserId, policy: Policy) -> bool:
    """Return whether `user` is named in the configuration as an operator of this deployment."""
    return user in policy.operators


def role(user: UserId, room: RoomView) -> Role:
    """Return the role in which somebody may act in a room."""
    return "member" if user in room.suspended else room.power.role(user)


def is_manager(user: UserId, room: RoomView, policy: Policy) -> bool:
    """Return whether `user` is manager or owner of the room, or operator."""
    return is_operator(user, policy) or role(user, room) != "member"


def can_be_removed(context: Context, policy: Policy) -> bool:
    """Return whether the bot may and can remove `context.subject`: not itself, an operator, an owner or a manager."""
    user, room = context.subject.user, context.room
    if user == context.bot or is_operator(user, policy) or room.power.role(user) != "member":
        return False
    return room.condition == "protected" and room.power.can_kick(context.bot, user)


def not_a_manager(user: UserId, room: RoomView) -> Refused:
    """Return the refusal for somebody who asks for what only managers may do."""
    return Refused("error.right.suspended" if user in room.suspended else "error.right.manager", room=room.room)


def require(deed: Deed, actor: UserId, room: RoomView, policy: Policy) -> None:
    """Raise `Refused` unless `actor` may do `deed` in `room` at all."""
    if not may(deed, actor, room, policy):
        raise not_a_manager(actor, room) if actor in room.suspended else Refused(f"error.right.{deed}", room=room.room)


def require_over(deed: Deed, actor: UserId, person: PersonView, room: RoomView, policy: Policy, bot: UserId) -> None:
    """Raise `Refused` unless `actor` may do `deed` to `person` in `room`, as by hand.

    A measure against one account holds for all of them, so the highest of their levels counts.
    """
    target = person.user
    if target == bot:
        raise Refused("error.target.bot")
    if person.is_(actor):
        raise Refused("error.target.self")
    require(deed, actor, room, policy)
    accounts = person.accounts | {target}
    if any(room.power.is_creator(each) for each in accounts):
        raise Refused("error.target.creator", who=target)
    if is_operator(actor, policy):
        return
    if deed != "redact" and max(map(room.power.level, accounts)) >= room.power.level(actor):
        raise Refused("error.target.above", who=target)


def require_decider(case: CaseView, actor: UserId, room: RoomView, policy: Policy) -> None:
    """Raise `Refused` unless `actor` may decide `case`, or decide it again.

    Cases about a duty are not decided among those who share it.
    """
    if case.is_about(actor):
        raise Refused("error.case.own", n=case.n)
    if case.state == "appealed" and actor in case.appellants:
        raise Refused("error.appeal.own", n=case.n)
    require("decide", actor, room, policy)
    if not _reaches(decided_by(case.rule), actor, room, policy):
        raise Refused(f"error.case.for-{decided_by(case.rule)}", n=case.n)


# How wrong a reversed decision was; one made in good faith that new facts change costs nothing.
FAULTS_OF_DECISIONS = frozenset({"error", "bad-faith"})


def require_fault(fault: str, case: CaseView, actor: UserId, room: RoomView, policy: Policy) -> None:
    """Raise `Refused` unless `actor`, who reverses a case, may say that the person who decided it was at fault.

    Only the owner or the operator may say bad faith. A rule is never at fault.
    """
    if not case.by or case.was_decided_by(actor):
        raise Refused("error.fault.nobody", n=case.n)
    if fault == "bad-faith" and not _reaches("owner", actor, room, policy):
        raise Refused("error.fault.bad-faith")


def _reaches(level: Asked, actor: UserId, room: RoomView, policy: Policy) -> bool:
    """Return whether `actor` has the rank to decide what `level` decides."""
    if level == "managers" or is_operator(actor, policy):
        return True
    return level == "owner" and role(actor, room) == "owner"


def require_other_decider(case: CaseView, actor: UserId, policy: Policy) -> None:
    """Raise `Refused` if `actor` may not decide this appeal because of who decided the case.

    Nobody decides an appeal against their own decision, nor against an operator's, except an operator: nobody is above
    operators.
    """
    if not may_undo(case, actor, policy):
        raise Refused("error.case.for-operator", n=case.n)
    if case.was_decided_by(actor) and not is_operator(actor, policy):
        raise Refused("error.appeal.own-decision", n=case.n)


def require_hearer(case: CaseView, actor: UserId, policy: Policy) -> None:
    """Raise `Refused` if an appeal goes to the operator, or `actor` is a friend of the decider and others were asked.

    If no operator is named, nobody is above those who run the room.
    """
    if is_operator(actor, policy):
        return
    if case.to_operator and policy.operators:
        raise Refused("error.case.for-operator", n=case.n)
    if actor in case.friends:
        raise Refused("error.appeal.friend", n=case.n)


def may_undo(case: CaseView, actor: UserId, policy: Policy) -> bool:
    """Return whether `actor` can take back a decision at all: their own must reach as far."""
    return case.by not in (*policy.operators, *policy.set_aside) or is_operator(actor, policy)


def may_reconsider(case: CaseView, actor: UserId, room: RoomView, policy: Policy) -> bool:
    """Return whether `actor` may change a decision.

    Any manager may change a rule's decision; a person's only that person, the owner or an operator.
    """
    if not may_undo(case, actor, policy):
        return False
    if not case.by or case.was_decided_by(actor):
        return True
    return is_operator(actor, policy) or role(actor, room) == "owner"


def may(deed: Deed, actor: UserId, room: RoomView, policy: Policy) -> bool:
    """Return whether `actor` may do `deed` in `room` at all."""
    if is_operator(actor, policy):
        return True
    if actor in room.suspended:
        return False
    level, power = room.power.level(actor), room.power
    if deed in _OWNERS_DEEDS:
        return power.role(actor) == "owner"
    if deed in _MANAGERS_DEEDS:
        return power.role(actor) != "member"
    if deed == "servers":
        return power.role(actor) != "member" and power.can_send(actor, SERVER_ACL, state=True)
    if deed in ("redact", "sweep"):
        return power.can_redact_others(actor)
    if deed in ("kick", "mute"):
        return level >= power.kick and level > power.users_default
    return level >= power.ban and level > power.users_default and (deed == "ban" or level >= power.kick)
