"""Waiting messages: links and media of people with low credit wait for a manager. docs/model.md, "Credit".

Rules kept here:
- The message is removed from the room at once and nothing is charged, whatever is decided.
- A case shows the message; dismissing it posts the message as a quotation, upholding it leaves the message out.
- What the same person sends within one incident while the case waits joins it.
- If words are not kept there is nothing to post, so no case is opened.
- A link is what the rule of kind `links` finds.

Left to others: whose messages wait (`moderation/rooms/slow_mode.py`), posting them (`bot/effects/quote_message.py`).
"""

from dataclasses import replace
from functools import cache

from moderation.model.builtin_rules import OWN_RULES, TIER_LINKS
from moderation.model.context import CaseView, Context
from moderation.model.facts import CaseGrew, Fact, SanctionStarted
from moderation.model.facts.cases import EXCERPT
from moderation.model.new_facts import waiting_case
from moderation.policy import Policy
from moderation.rules.check import Judged, View
from moderation.rules.links import Links, LinkSettings
from moderation.values.events import MessagePosted


def has_link_or_media(event: MessagePosted) -> bool:
    """Return whether a message has a link other than one inside Matrix, or a file."""
    return has_media(event) or has_link(event)


def has_link(event: Judged) -> bool:
    """Return whether an event has a link other than one inside Matrix."""
    return _links().check(event, View(recent_ms=(), bot=event.sender)) is not None


def has_media(event: Judged) -> bool:
    """Return whether an event has a file or picture that was sent for its own sake."""
    return any(file.is_sent for file in event.media)


@cache
def _links() -> Links:
    return Links(LinkSettings(deny=("*",)))


def facts_of_waiting(event: MessagePosted, gone: SanctionStarted, context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Return the facts of a message that waits; `gone` is its redaction."""
    if not context.keeps_words:
        return (gone,)
    known = context.subject.recent_cases.get((event.room, TIER_LINKS))
    if known is not None and _still_waits(known, context, policy):
        grew = CaseGrew(room=event.room, on=gone.on, n=known.n, subject=event.sender, event=event.event)
        return (grew, replace(gone, n=known.n, quiet=1))
    grade, excerpt = OWN_RULES[TIER_LINKS].grade, event.body[:EXCERPT]
    opened = waiting_case(context, policy, TIER_LINKS, grade, on=gone.on, event=event.event, excerpt=excerpt)
    return (opened, replace(gone, n=context.next_case))


def _still_waits(known: CaseView, context: Context, policy: Policy) -> bool:
    return not known.outcome and context.now_ms - known.opened <= policy.credit.incident_window
