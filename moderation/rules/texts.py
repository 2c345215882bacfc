"""Which of the texts in an event a rule looks at, and how a piece of them is quoted.

Left to others: what the texts of an event are (`bot/receive.py` pulls them out of the content).
"""

from collections.abc import Iterator

from moderation.events import Text

from .port import Judged

MAX_QUOTE = 500  # characters of a person's text in a `Hit`; enough to recognise it, small in the record


def looked_at(event: Judged, where: frozenset[str]) -> Iterator[Text]:
    """The texts of `event` in the places a rule names; no place named means all."""
    return (text for text in event.texts if not where or text.where in where)


def cut(quote: str) -> str:
    """`quote`, not longer than a record should hold."""
    return quote[:MAX_QUOTE]
