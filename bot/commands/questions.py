"""Questions of the bot in the desk, answered by one tap: why no rule was broken.

Rules kept here:
- A reason that is chosen is told to the people concerned like one that was written.
- Anybody who may decide the case may answer, even if somebody else caused the question.

Left to others: what a decision brings (`cases.py`), asking (`bot/effects/ask_desk.py`).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from bot.texts.dismissal_reasons import usual_reasons
from moderation.cases.card_reactions import NUMBERS
from moderation.model.actions.cards import AskDesk
from moderation.model.context import CaseView
from moderation.values.notices import Code, Line, line

from .invocation import Call, Reply, said_under

_KEYCAPS = tuple(f"{number[0]}\ufe0f{number[1:]}" for number in NUMBERS)  # as clients show them
EMPTY: Mapping[int, int] = MappingProxyType({})


def ask_reason(call: Call, case: CaseView) -> Reply:
    """Ask why no rule was broken."""
    known = _reasons(call)
    lines = (
        line("question.reason", n=case.n, dismiss=Code(f"{call.setup.prefix}dismiss {case.n}")),
        *(line("question.option", number=key, reason=each) for key, each in zip(_KEYCAPS, known, strict=False)),
    )
    return asked(call, case, "reason", lines, _KEYCAPS[: len(known)])


def can_ask(call: Call) -> bool:
    """Return whether a question can be asked where this was said: in the desk of the room that it is about."""
    return call.here.purpose == "desk" and call.group.room in call.here.serves


def chosen_reason(call: Call, key: str) -> str:
    """Return the reason that a reaction chooses; "" if there is none."""
    return dict(zip(NUMBERS, _reasons(call), strict=False)).get(key.replace("\ufe0f", ""), "")


def asked(
    call: Call,
    case: CaseView,
    what: Literal["reason", "together"],
    lines: Sequence[Line],
    keys: Sequence[str],
    cases: Mapping[int, int] = EMPTY,
) -> Reply:
    """Return a question about a case, as the answer to a command or a reaction; `cases`: with their messages so far."""
    said, thread = said_under(call)
    assert said is not None, "questions are asked in a desk"
    ask = AskDesk(
        room=call.group.room,
        n=case.n,
        what=what,
        lines=tuple(lines),
        keys=" ".join(keys),
        to=call.caller,
        reply_to=said,
        thread=thread,
        cases=" ".join(f"{n}:{messages}" for n, messages in cases.items()),
    )
    return Reply(actions=(ask,))


def _reasons(call: Call) -> tuple[str, ...]:
    """Return the reasons to choose from, in the language of the room."""
    return usual_reasons(call.setup.configured, call.group.language or call.setup.language)
