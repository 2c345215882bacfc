"""Links and media of people whose credit is low wait for a manager: a case that shows them. docs/model.md, "Credit".

Rules this module keeps: the message goes from the room at once and nothing is charged, whatever is decided; dismissing
the case posts the message as a quotation, upholding it leaves it out; what the same person sends within one incident
while the case waits joins it; where words are not kept there is nothing to post, so no case is opened.
What counts as a link is what the rule of kind `links` finds.
Left to others: whose messages wait (`moderation/rooms/slow_mode.py`), posting them (`bot/effects/quote_message.py`).
"""

from dataclasses import replace
from functools import cache

from moderation.model.builtin_rules import OWN_RULES, TIER_LINKS
from moderation.model.context import CaseView, Context
from moderation.model.facts import CaseGrew, CaseOpened, Fact, SanctionStarted
from moderation.model.facts.cases import EXCERPT
from moderation.policy import Policy
from moderation.rules.check import View
from moderation.rules.links import Links, LinkSettings
from moderation.values.events import MessagePosted


def has_link_or_media(event: MessagePosted) -> bool:
    """Return whether a message has a link other than one inside Matrix, or a file."""
    return event.media is not None or _links().check(event, View(recent_ms=(), bot=event.sender)) is not None


@cache
def _links() -> Links:
    return Links(LinkSettings(deny=("*",)))


def waits(event: MessagePosted, gone: SanctionStarted, context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Return the facts of a message that waits; `gone` takes it from the room."""
    if not context.keeps_words:
        return (gone,)
    known = context.subject.recent_cases.get((event.room, TIER_LINKS))
    if known is not None and _still_waits(known, context, policy):
        grew = CaseGrew(room=event.room, on=gone.on, n=known.n, subject=event.sender, event=event.event)
        return (grew, replace(gone, n=known.n, quiet=1))
    opened = CaseOpened(
        room=event.room,
        on=gone.on,
        n=context.next_case,
        rule=TIER_LINKS,
        grade=OWN_RULES[TIER_LINKS].grade,
        decide="manager",
        state="open",
        due=context.now_ms + policy.cases.deadlines.of(OWN_RULES[TIER_LINKS].grade),
        subject=event.sender,
        event=event.event,
        excerpt=event.body[:EXCERPT],
    )
    return (opened, replace(gone, n=context.next_case))


def _still_waits(known: CaseView, context: Context, policy: Policy) -> bool:
    return not known.outcome and context.now_ms - known.opened <= policy.credit.incident_window
