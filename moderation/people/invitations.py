"""Invitations that the bot declines because of the people behind them, or because of the room.

Rules kept here:
- A person who is barred, or whose credit is in tier E, brings the bot into no room, by any of their accounts.
- Neither does the owner of a group that the operator or neglect closed, unless the level was only given to them
  (`moderation/duty/duty.py`).
- A group that the operator named may not come back under another room either.
- Nothing is asked of operators.

Pure. Left to others: reading who they are (`bot/sync/invitations.py`), who may invite at all (`[bot] allow_invites`).
"""

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from moderation.credit.ledger import account
from moderation.model.context import PersonView
from moderation.policy import Policy
from moderation.values.ids import GroupCode, UserId, is_named

from .barred_list import is_entry

Why = Literal["barred", "credit", "closed"]


@dataclass(frozen=True, slots=True)
class Declined:
    """The reason why somebody brings the bot into no room.

    `until` 0: unknown; `group`: the code of a closed group.
    """

    why: Why
    person: PersonView
    until: int = 0
    group: str = ""


def reason_to_decline(
    person: PersonView, closed: Mapping[GroupCode, Set[UserId]], policy: Policy, now_ms: int
) -> Declined | None:
    """Return why this person brings the bot into no room, if so; `closed` maps closed groups to their owners."""
    if person.user in policy.operators:
        return None
    barred = [each for each in person.in_force if is_entry(each)]
    if barred:
        return Declined("barred", person, until=max(each.until for each in barred))
    if account(person, "credit", None, policy).balance(now_ms) < policy.tiers.d:
        return Declined("credit", person)
    accounts = person.accounts | {person.user}
    owned = next((code for code, owners in closed.items() if owners & accounts), None)
    return Declined("closed", person, group=owned) if owned is not None else None


def is_refused(names: Collection[str], policy: Policy) -> bool:
    """Return whether a room has a name (id, alias, group code) that may not come back."""
    return is_named(policy.groups.refused, *names)
