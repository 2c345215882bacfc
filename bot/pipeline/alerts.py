"""Alerts: which facts need somebody outside Matrix to know, and where each is told.

Rules kept here:
- An alert names a case by its number and a group by its code; nobody is named, and no words of members go along.
- Alerts are queued in the transaction of the facts that ask for them, so that none is lost.
- Without `[alerts]` nothing is queued.

Left to others: the settings (`bot/config/alerts.py`), the sending (`bot/effects/alert.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import singledispatch

from bot.config.alerts import AlertSettings
from moderation.model.actions.alerts import Alert, AlertKind
from moderation.model.actions.base import NO_ROOM, Action
from moderation.model.facts import Appealed, CaseMoved, CaseStep, Fact, NotSeen, WaveNoticed

_OF_STEPS: dict[CaseStep, AlertKind] = {"reminded": "due", "overdue": "overdue", "escalated": "escalated"}
DAMAGE = ("torn", "cut")


def alerts_of(facts: Sequence[Fact]) -> list[Alert]:
    """Return the alerts that these facts of one cause ask for."""
    return [alert for fact in facts for alert in _asked(fact)]


def each_channel(actions: Sequence[Action], settings: AlertSettings) -> list[Action]:
    """Return the actions, with each alert that is wanted replaced by one for each place."""
    found: list[Action] = []
    for action in actions:
        if not isinstance(action, Alert):
            found.append(action)
        elif action.what in settings.on:
            found += [replace(action, channel=channel) for channel in settings.channels]
    return found


@singledispatch
def _asked(_fact: Fact) -> Iterator[Alert]:
    yield from ()


@_asked.register
def _(fact: CaseMoved) -> Iterator[Alert]:
    if fact.step in _OF_STEPS and fact.state not in ("decided", "affirmed"):
        yield Alert(room=fact.home, what=_OF_STEPS[fact.step], n=fact.n, due=fact.due, asked=fact.asked)


@_asked.register
def _(fact: Appealed) -> Iterator[Alert]:
    yield Alert(room=fact.home, what="appeal", n=fact.n, due=fact.due, asked=fact.asked)


@_asked.register
def _(fact: NotSeen) -> Iterator[Alert]:
    if fact.what in DAMAGE:
        yield Alert(room=fact.room or NO_ROOM, what="log", code=fact.what)


@_asked.register
def _(fact: WaveNoticed) -> Iterator[Alert]:
    yield Alert(room=fact.home, what="wave", n=fact.n)
