"""The removal of what somebody wrote, with a ban by an entry that asks for it (MSC4204, `m.takedown`).

Rules kept here:
- Only lists with `takedown = "redact"` remove anything, and only with a ban that begins.
- A removal belongs to the case of the ban, and is made in the rooms where the ban holds.
- What was written before the time that `[sweep] within` says stays, and so does more than `at_most` in one room.

Pure. Left to others: what was written (`bot/pipeline/takedowns.py`), doing it (`bot/effects/sweep.py`).
"""

from collections.abc import Collection

from moderation.model.builtin_rules import LISTED
from moderation.model.facts import Fact, SanctionStarted, Swept
from moderation.policy import ListSettings

from .manager_orders import SweepRange


def is_ban_by_entry(fact: Fact) -> bool:
    """Return whether a ban begins because of an entry: by itself, or as people uphold what it proposed."""
    return isinstance(fact, SanctionStarted) and fact.kind == "ban" and fact.rule == LISTED and fact.n > 0


def removes_messages(lists: Collection[str], settings: ListSettings) -> bool:
    """Return whether a ban removes messages, too, if entries of `lists` ask for it."""
    return any(each.takedown == "redact" and each.name in lists for each in settings.watch)


def removal(ban: SanctionStarted, written: SweepRange, until_ms: int) -> Swept:
    """Return the removal of what the person of a ban by an entry wrote in one room."""
    return Swept(
        room=written.room,
        on=ban.on,
        since=written.since,
        until=until_ms,
        oldest=written.oldest,
        count=written.count,
        n=ban.n,
        rule=LISTED,
        subject=ban.subject,
        by=ban.by,
    )
