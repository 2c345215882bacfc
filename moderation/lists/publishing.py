"""The entries of our own policy lists: what they may rest on, and what they say.

Rules kept here:
- An entry rests on a decision here: a case that is upheld, and a ban for it that is in force. What another list says is
  passed on only once somebody here has decided it.
- It says no more than others need: whom it means (as a hash, if the list wants that), one word why, and the number of
  the case, under which the records say who decided, and why.
- State keys are those of Draupnir, so that its commands find the entry.

Pure. Left to others: who orders it (`bot/commands/publish.py`), writing it (`bot/effects/publish_entry.py`).
"""

from collections.abc import Collection

from moderation.duty.responsibility import is_operator, role
from moderation.model.builtin_rules import LISTED
from moderation.model.context import CaseView, InForce, RoomView
from moderation.policy import GRADES, Policy, PublishedList
from moderation.values.errors import Refused
from moderation.values.events import Json
from moderation.values.ids import CaseNumber, UserId

from .book import digest_of

USER_RULE = "m.policy.rule.user"
BAN = "m.ban"
CASE = "org.answerable.case"
WORDS = ("spam", "scam", "abuse", "raid", "other")  # why, for the readers of the list


def state_key(user: UserId) -> str:
    """Return the state key of an entry that recommends to ban somebody."""
    return digest_of(user + BAN)


def content(user: UserId, name: str, n: CaseNumber, word: str, *, hashed: bool) -> dict[str, Json]:
    """Return the content of an entry of the list `name`."""
    whom: dict[str, Json] = {"hashes": {"sha256": digest_of(user)}} if hashed else {"entity": user}
    return whom | {"recommendation": BAN, "reason": word, CASE: f"{name}-{n}"}


def require_publisher(wanted: PublishedList, actor: UserId, room: RoomView, policy: Policy) -> None:
    """Raise `Refused` unless `actor` may change what a list says about cases of a room."""
    if not room.is_among(wanted.rooms):
        raise Refused("error.publish.rooms", list=wanted.name)
    if is_operator(actor, policy):
        return
    if wanted.by == "operator" or (wanted.by == "owner" and role(actor, room) != "owner"):
        raise Refused(f"error.publish.for-{wanted.by}", list=wanted.name)


def require_grounds(wanted: PublishedList, case: CaseView, in_force: Collection[InForce]) -> None:
    """Raise `Refused` unless the person of a case can stand in a list for it."""
    if case.outcome != "upheld" or case.waits:
        raise Refused("error.publish.undecided", n=case.n)
    if case.rule == LISTED and not case.by:
        raise Refused("error.publish.of-list", n=case.n)
    if GRADES.index(case.grade) < GRADES.index(wanted.least):
        raise Refused("error.publish.class", list=wanted.name, n=case.n)
    if not any(each.kind == "ban" and each.n == case.n for each in in_force):
        raise Refused("error.publish.no-ban", n=case.n)
