"""Accounts and the people behind them. docs/decisions/0019.

Rules kept here:
- The links alone say which accounts are one person.
- The accounts of a person do not depend on the order of the links.
- The name of a person is the account whose person the others joined.

Pure. Left to others: how a link is proved (`bot/identity/account_linking.py`), keeping links
(`storage/projections/linked_accounts.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from moderation.values.ids import PersonId, UserId


@dataclass(frozen=True, slots=True)
class AccountLink:
    """The account `user`, with all accounts linked to it, belongs to the same person as `to`."""

    user: UserId
    to: UserId


def persons(links: Iterable[AccountLink]) -> dict[UserId, PersonId]:
    """Map accounts to their persons; an account that is left out is a person of its own name."""
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
    """Return all accounts of the person behind `user`, including `user`."""
    named = persons(links)
    person = named.get(user, PersonId(user))
    return frozenset({user, UserId(person), *(each for each, whose in named.items() if whose == person)})
