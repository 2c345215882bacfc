"""What a shard published and has erased since, or no longer keeps.

Rules kept here:
- What is erased in the log is not shown in the exchange.
- The order to erase what is held on somebody names them until all other shards have read it.
- No message is taken out, or those after it could not be proved to go on from there: in place of a record that is
  purged its hash in the tree is shown.
- What a log that was restored from a backup no longer has is left as it is.

Left to others: when it is done (`publisher.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from moderation.model.facts import DataAsked
from storage.journal.journal import Journal
from storage.journal.line_format import open_line
from storage.journal.reader import Log

from .envelope import disclosed, leaf_of, of_leaf
from .port import Message


@dataclass(frozen=True, slots=True)
class Tidied:
    """The messages to be replaced, and whether some must still be read by others."""

    changed: Sequence[Message]
    waits: bool


def tidied_up(own: Sequence[Message], read_by_all: int, journal: Journal) -> Tidied:
    """Compare what was published with the log; `read_by_all` is up to where all others have read it."""
    log, changed, waits = Log(journal.folder), [], False
    for message in own:
        if message.index >= journal.size:
            continue
        lines = message.body.split("\n")
        now = [_as_kept(line, log) for line in lines]
        if now == lines:
            continue
        is_kept = leaf_of(now[0]) is None
        if is_kept and orjson.loads(now[0])["k"] == DataAsked.KIND and message.index > read_by_all:
            waits = True
        else:
            changed.append(replace(message, body="\n".join(now)))
    return Tidied(changed, waits)


def _as_kept(line: str, log: Log) -> str:
    """Return what may be shown now of a record that was published."""
    if leaf_of(line) is not None:
        return line
    leaf = open_line(line.encode()).leaf
    try:
        raw = log.raw(orjson.loads(line)["i"])
    except LookupError:
        return of_leaf(leaf)
    return disclosed(raw) if open_line(raw).leaf == leaf else line
