"""The end of entries in lists of ours: with the decision that they rest on, or with the last ban for it.

Left to others: what may be published (`moderation/lists/publishing.py`).
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import CaseDecided, Fact, ListPublished, SanctionEnded, SanctionStarted
from storage import queries


def may_withdraw(facts: Sequence[Fact]) -> bool:
    """Return whether facts may end an entry."""
    return any(map(_dismisses, facts)) or any(map(_ends_ban, facts))


async def withdrawn_entries(db: AsyncConnection, facts: Sequence[Fact]) -> list[ListPublished]:
    """Return the withdrawals that follow from these facts, which are not applied yet."""
    causes = {fact.n: fact.on for fact in facts if _dismisses(fact) or _ends_ban(fact)}  # type: ignore[attr-defined]
    reversed_ = {fact.n for fact in facts if isinstance(fact, CaseDecided) and _dismisses(fact)}
    known = {(fact.list, fact.key) for fact in facts if isinstance(fact, ListPublished)}
    found: list[ListPublished] = []
    for entry in await queries.published_of_cases(db, causes):
        over = entry.n in reversed_ or not await _is_banned(db, facts, entry)
        if over and (entry.list, entry.key) not in known:
            found.append(entry.withdrawal(on=causes[entry.n]))
    return found


async def _is_banned(db: AsyncConnection, facts: Sequence[Fact], entry: queries.PublishedEntry) -> bool:
    """Return whether a ban for the case of an entry is in force after these facts."""
    ended = {fact.start for fact in facts if isinstance(fact, SanctionEnded)}
    held = await queries.sanctions_of_accounts(db, [entry.subject])
    begun = (fact for fact in facts if isinstance(fact, SanctionStarted) and (fact.kind, fact.n) == ("ban", entry.n))
    left = (each for each in held if (each.kind, each.n) == ("ban", entry.n) and each.record not in ended)
    return any(True for _ in begun) or any(True for _ in left)


def _dismisses(fact: Fact) -> bool:
    return isinstance(fact, CaseDecided) and fact.what == "dismissed"


def _ends_ban(fact: Fact) -> bool:
    return isinstance(fact, SanctionEnded) and fact.kind == "ban" and bool(fact.n)
