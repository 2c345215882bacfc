"""The output of a command: texts, JSON, and errors without a traceback.

Rules kept here:
- Results go to stdout, everything else to stderr.
- Every word stands in the message files.
- What people wrote is shown as text, never as markup or as control codes of the terminal.
- With ``--json`` nothing but JSON is on stdout.

Left to others: what is shown (the file of each command), tables (`tables.py`).
"""

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bot.texts.catalog import Catalog, cli_language
from bot.texts.catalog_words import word_key
from bot.texts.refusal import refusal_line
from moderation.values.errors import AnswerableError, Invalid, Refused
from moderation.values.notices import Span
from storage.database.fence import LedElsewhere, Superseded

if TYPE_CHECKING:
    from rich.console import Console

_ENDLESS = 10_000
FAILED, MISUSED, LED_ELSEWHERE, INTERRUPTED = 1, 2, 75, 130  # 75: EX_TEMPFAIL of sysexits.h

Cells = Mapping[str, Callable[[Any], object]]  # how values of a column are shown


def text(key: str, **fields: object) -> str:
    """Return a text of the message files in the language of the terminal."""
    return Catalog.load().text(cli_language(), key, **fields)


def shown(value: object) -> str:
    """Return a value as the reader's language writes it, on one line and without control codes."""
    return text("cli.value", value=value)


def say(key: str, **fields: object) -> None:
    """Print a text on stdout."""
    console().print(text(key, **fields), markup=False, highlight=False, soft_wrap=True)


def tell(key: str, **fields: object) -> None:
    """Print a text on stderr: progress, hints, all that is not the result."""
    console(stderr=True).print(text(key, **fields), markup=False, highlight=False, soft_wrap=True)


def worded(kind: str) -> Callable[[str], str]:
    """Return how a word of the program is shown."""
    return lambda value: word(kind, value)


def say_done(done: object, key: str, *, json: bool, **fields: object) -> None:
    """Print the result of a command: as JSON if asked for, else as a text."""
    if json:
        as_json(done)
    else:
        say(key, **fields)


def as_json(value: object) -> None:
    """Write `value` as JSON on stdout: keys in the order given, times as milliseconds since 1970 UTC."""
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def console(*, stderr: bool = False) -> "Console":
    """Return a rich console, a new one each time, so that a redirected stream is honoured.

    What goes into a file or another program is as wide as it is.
    """
    from rich.console import Console

    asked = "COLUMNS" in os.environ or (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if asked else _ENDLESS)


def report(error: AnswerableError) -> int:
    """Tell the person at the terminal what went wrong; return the matching exit code."""
    sys.stderr.write(words_of(error) + "\n")
    if isinstance(error, LedElsewhere | Superseded):
        return LED_ELSEWHERE
    return MISUSED if isinstance(error, Invalid) else FAILED


def words_of(error: AnswerableError) -> str:
    """Return what an error says to a person."""
    return _homeserver_words(error) if type(error).__module__ == "bot.matrix.errors" else why_of(error)


def why_of(error: Exception) -> str:
    """Return the words of a refusal, or what another error says of itself."""
    if isinstance(error, Superseded):
        return text("cli.error.superseded")
    if not isinstance(error, Refused):
        return str(error)
    said = refusal_line(error)
    return text(said.key, **said.fields)


def _homeserver_words(error: AnswerableError) -> str:
    from bot.matrix import errors

    detail = str(error)
    match error:
        case errors.RateLimited():
            return text("cli.error.rate_limited", wait=Span(error.retry_after_ms))
        case errors.Unreachable():
            return text("cli.error.unreachable", detail=detail)
        case errors.LoggedOut():
            return text("cli.error.logged_out")
        case _:
            return text("cli.error.homeserver", detail=detail)


def word(kind: str, value: str) -> str:
    """Return a word of the program, such as a case's state, in the reader's language; unchanged if there is none."""
    key = word_key(kind, value)
    return text(key) if Catalog.load().has(key) else value


def nearest(word: str, known: Mapping[str, str]) -> str | None:
    """Return the value of the key of `known` that is most like `word`."""
    import difflib

    lowered = {key.casefold(): value for key, value in known.items()}
    close = difflib.get_close_matches(word.casefold(), list(lowered), n=1, cutoff=0.5)
    return lowered[close[0]] if close else None
