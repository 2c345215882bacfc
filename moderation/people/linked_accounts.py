"""Accounts and the people behind them. docs/decisions/0019.

Rules kept here: who is one person follows from the links alone; the accounts of a person are the same whatever the
order of the links; the person is named by the account whose person the others joined. A pure function.
Left to others: how a link is proved (`bot/identity/account_linking.py`), keeping links
(`storage/projections/linked_accounts.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from moderation.values.ids import PersonId, UserId


@dataclass(frozen=True, slots=True)
class AccountLink:
    """The account `user`, with all that are linked to it, is of the same person as `to`."""

    user: UserId
    to: UserId


def persons(links: Iterable[AccountLink]) -> dict[UserId, PersonId]:
    """The person of each account that is named by another one; whoever is left out is named by themselves."""
    named: dict[UserId, PersonId] = {}
    members: dict[PersonId, list[UserId]] = {}
    for link in links:
        joins, stays = (named.get(user, PersonId(user)) for user in (link.user, link.to))
        if joins == stays:
            continue
        moved = members.pop(joins, [UserId(joins)])
        members.setdefault(stays, [UserId(stays)]).extend(moved)
        named.update(dict.fromkeys(moved, stays))
    return named


def accounts(links: Iterable[AccountLink], user: UserId) -> frozenset[UserId]:
    """All accounts of the person behind one, that one among them."""
    named = persons(links)
    person = named.get(user, PersonId(user))
    return frozenset({user, UserId(person), *(each for each, whose in named.items() if whose == person)})
