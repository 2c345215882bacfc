"""The messages to the other accounts of a person about a sanction on one of them, since it holds for all.

Rules kept here:
- Each account is told alone.
- The reason is not given: only the account that the sanction is about is told it.

Left to others: what holds where (`storage/queries/sanctions.py`).
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.texts.credit_lines import sanction_line
from moderation.model.actions.base import NO_ROOM
from moderation.model.actions.telling import Tell
from moderation.model.facts import LASTING, OF_ROOMS, Fact, SanctionStarted
from moderation.values.notices import Line, Who, line
from storage import queries


async def words_to_other_accounts(db: AsyncConnection, facts: Sequence[Fact]) -> tuple[Tell, ...]:
    """Return the messages to the other accounts of everybody on whom these facts impose a lasting sanction."""
    begun = [fact for fact in facts if isinstance(fact, SanctionStarted) and fact.kind in LASTING - OF_ROOMS]
    begun = [fact for fact in begun if fact.subject]
    if not begun:
        return ()
    people = await queries.accounts_of_all(db, [fact.subject for fact in begun])
    once = {(fact.subject, fact.kind, fact.until, fact.n): fact for fact in reversed(begun)}  # in however many rooms
    return tuple(
        Tell(room=fact.room or NO_ROOM, subject=other, lines=_words(fact), n=fact.n, alone=True)
        for fact in reversed(once.values())
        for other in people[fact.subject]
        if other != fact.subject
    )


def _words(fact: SanctionStarted) -> tuple[Line, ...]:
    return (line("notice.other-account", who=Who(fact.subject)), sanction_line(fact.kind, fact.until))
