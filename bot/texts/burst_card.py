"""The common card of a burst of cases: how many there are, about how many people, by which rules, what was done.

Left to others: which cases these are (`moderation/cases/bursts.py`), posting it (`bot/effects/burst_card.py`).
"""

from collections.abc import Iterator

from moderation.model.facts import SanctionKind
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, RuleText, line
from storage.queries import BurstView

MOST_RULES = 10
MOST_NUMBERS = 20
_DONE: tuple[SanctionKind, ...] = ("redact", "mute", "kick", "ban", "server")  # in the order in which they are shown


def burst_lines(burst: BurstView, prefix: str, *, names_room: bool) -> Iterator[Line]:
    """Yield the lines of the card; `names_room`: it stands among cards of other rooms."""
    if names_room:
        yield line("card.room", room=RoomName(burst.room))
    key = "card.burst.head" if burst.people else "card.burst.head-servers"
    yield line(key, count=burst.cases, people=burst.people, first=burst.n, last=burst.last)
    yield line("card.burst.when", since=Moment(burst.began), until=Moment(burst.until))
    for rule, grade, count in burst.rules[:MOST_RULES]:
        yield line("card.burst.rule", rule=RuleText(rule), grade=Phrase(f"grade.{grade}"), count=count)
    if len(burst.rules) > MOST_RULES:
        yield line("card.burst.rules-more", count=len(burst.rules) - MOST_RULES)
    for kind in _DONE:
        if count := burst.done.get(kind, 0):
            yield line(f"card.burst.done.{kind}", count=count)
    if burst.reversed:
        yield line("card.burst.reversed", count=burst.reversed)
    yield from _waiting(burst, prefix)
    yield line("card.burst.look", cases=Code(f"{prefix}cases {burst.n}"), case=Code(f"{prefix}case {burst.last}"))
    yield line("card.burst.undo", dismiss=Code(f"{prefix}dismiss {burst.last}"))


def _waiting(burst: BurstView, prefix: str) -> Iterator[Line]:
    if not burst.waiting:
        return
    numbers = ", ".join(map(str, burst.waiting[:MOST_NUMBERS]))
    together = Code(f"{prefix}together {burst.waiting[0]}")
    yield line("card.burst.waiting", count=len(burst.waiting), numbers=numbers, together=together)
    if len(burst.waiting) > MOST_NUMBERS:
        yield line("card.burst.waiting-more", count=len(burst.waiting) - MOST_NUMBERS, cases=Code(f"{prefix}cases"))
