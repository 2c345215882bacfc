"""The check of quotations in replies: true ones are not judged, false ones are judged as the sender's own words.

Older clients put a quotation in front of a reply; some newer ones hide it, others do not. Somebody who writes one by
hand can put anything into another person's mouth.

Rules kept here:
- A quotation is true if the message it names, as recorded here, contains all of it in one piece; the name of the
  speaker is left aside.
- If that message is not known, the quotation is judged.

Left to others: finding the quotation (`bot/events/parse_texts.py`).
"""

import re
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.rules.normalise_text import normalise
from moderation.values.events import MessagePosted, Text

from .known_event import known_event
from .message_text import Records, message_of

_WHO = re.compile(r"\s*(?:In reply to\s*)?\*?\s*<?@[^\s<>]{1,255}>?\s*")


async def with_false_quotations(db: AsyncConnection, event: MessagePosted, records: Records) -> MessagePosted:
    """Return the event with its false quotations added to its texts."""
    named = await known_event(db, event.reply_to, records) if event.reply_to else None
    said = message_of(records, event.room, named.record) if named is not None and named.room == event.room else None
    known = [_folded(text.value) for text in said.texts] if said is not None else []
    false = tuple(text for text in event.quoted if not _is_true(text, known))
    return replace(event, texts=(*event.texts, *false)) if false else event


def _is_true(quoted: Text, known: list[str]) -> bool:
    words = _folded(_WHO.sub("", quoted.value, count=1) if _WHO.match(quoted.value) else quoted.value)
    return any(words in text for text in known)


def _folded(text: str) -> str:
    return normalise(text, "literal").text
