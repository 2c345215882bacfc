"""The texts of an event that a rule looks at, and quotations from them.

Left to others: extracting the texts of an event from its content (`bot/events/parse_event.py`).
"""

from collections.abc import Iterator, Sequence

from moderation.values.events import Text

from .check import Hit, Judged

MAX_QUOTE = 500  # characters of a person's text in a `Hit`; enough to recognise it, small in the record


def looked_at(event: Judged, where: frozenset[str]) -> Iterator[Text]:
    """Yield the texts of `event` in the places a rule names; no place named means all."""
    return (text for text in event.texts if not where or text.where in where)


def cut(quote: str) -> str:
    """Return `quote`, cut to the length that a record should hold."""
    return quote[:MAX_QUOTE]


def found_in(texts: Sequence[Text], hit: Hit | None, most: int) -> Text | None:
    """Return the text with the hit, `most` characters around it; else the beginning of the first text."""
    for text in texts:
        if hit is not None and hit.matched and text.where == hit.where:
            at = text.value.find(hit.matched)
            if at >= 0:
                return Text(text.where, _around(text.value, at, at + len(hit.matched), most))
    return Text(texts[0].where, _around(texts[0].value, 0, 0, most)) if texts else None


def _around(text: str, start: int, end: int, most: int) -> str:
    """Return the place from `start` to `end`, with as much around it as there is room for."""
    if len(text) <= most:
        return text
    begin = min(max(0, (start + min(end, start + most)) // 2 - most // 2), len(text) - most)
    if begin == 0:
        return text[:most]
    last = begin + most == len(text)
    return f"…{text[begin + 1 : begin + most]}" if last else f"…{text[begin + 1 : begin + most - 1]}…"
