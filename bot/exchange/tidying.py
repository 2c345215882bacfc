"""What a shard published and has erased since, or no longer keeps.

Rules kept here:
- What is erased in the log is not shown in the exchange.
- The order to erase what is held on somebody names them until all other shards have read it.

Left to others: when it is done (`publisher.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from moderation.model.facts import DataAsked
from storage.journal.journal import Journal
from storage.journal.reader import Log

from .envelope import disclosed
from .port import Message


@dataclass(frozen=True, slots=True)
class Tidied:
    """The messages to be replaced, those to be removed, and whether some must still be read by others."""

    changed: Sequence[Message]
    gone: Sequence[Message]
    waits: bool


def tidied_up(own: Sequence[Message], read_by_all: int, journal: Journal) -> Tidied:
    """Compare what was published with the log; `read_by_all` is up to where all others have read it."""
    log, changed, gone, waits = Log(journal.folder), [], [], False
    for message in own:
        if message.index >= journal.size:
            continue
        lines = message.body.split("\n")
        try:
            now = "\n".join(disclosed(log.raw(orjson.loads(line)["i"])) for line in lines)
        except LookupError:  # purged
            gone.append(message)
            continue
        if now == message.body:
            continue
        if orjson.loads(lines[0])["k"] == DataAsked.KIND and message.index > read_by_all:
            waits = True
        else:
            changed.append(replace(message, body=now))
    return Tidied(changed, gone, waits)
