"""Removes from the exchange what this shard has erased or purged since it was published.

Rules kept here:
- What is erased in the log is not shown in the exchange.
- The order to erase data of a person names that person until all other shards have read it.
- No message is removed, since the next one proves that the log continues from it. A purged record is replaced by its
  leaf hash.
- A record that a restored log no longer has is treated as purged once all other shards have read it.

Left to others: when this is done (`publisher.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from moderation.model.facts import DataAsked
from storage.journal.journal import Journal
from storage.journal.line_format import BadLine, open_line
from storage.journal.reader import Log

from .envelope import disclosed, leaf_of, of_leaf
from .port import Message


@dataclass(frozen=True, slots=True)
class Tidied:
    """The messages to replace, and those to look at again once others have read them."""

    changed: Sequence[Message]
    waits: Sequence[Message]


def tidied_up(own: Sequence[Message], is_read: Callable[[Message], bool], era: str, journal: Journal) -> Tidied:
    """Compare published messages with the log, which is in `era` now. `is_read` tells whether all others have read one.

    Each day is read once. The log may grow meanwhile. Raises `Broken`.
    """
    changed, waits, size = [], [], journal.size
    named = [
        (each, each.body.split("\n")) for each in own if (each.index < size or each.era != era) and _is_readable(each)
    ]
    indexes = (_index(each) for _, lines in named for each in lines if leaf_of(each) is None)
    raws = dict(Log(journal.folder).raws(index for index in indexes if index < size))
    for message, lines in named:
        now = [_as_kept(line, raws, is_over=message.era != era) for line in lines]
        if now == lines:
            continue
        is_order = leaf_of(now[0]) is None and orjson.loads(now[0])["k"] == DataAsked.KIND
        if (is_order or (message.era != era and _is_lost(lines, raws))) and not is_read(message):
            waits.append(message)
        else:
            changed.append(replace(message, body="\n".join(now)))
    return Tidied(changed, waits)


def _is_readable(message: Message) -> bool:
    """Tell whether a message consists of lines of a log. Somebody else may have written it."""
    lines = message.body.encode().split(b"\n")
    try:
        return all(leaf_of(line) is not None or isinstance(open_line(line).skeleton["i"], int) for line in lines)
    except (BadLine, KeyError, TypeError):
        return False


def _is_lost(lines: Sequence[str], raws: Mapping[int, bytes]) -> bool:
    """Tell whether a log that was restored from a backup lacks a record of a message."""
    shown = [(open_line(line.encode()).leaf, raws.get(_index(line))) for line in lines if leaf_of(line) is None]
    return any(raw is None or _leaf(raw) != leaf for leaf, raw in shown)


def _as_kept(line: str, raws: Mapping[int, bytes], *, is_over: bool) -> str:
    """Return the line that may be shown now of a record that was published as `line`.

    `is_over`: a restore ended the era of the message. A record of it that the log does not have is shown as its hash.
    """
    if leaf_of(line) is not None:
        return line
    leaf, raw = open_line(line.encode()).leaf, raws.get(_index(line))
    if raw is None:
        return of_leaf(leaf)
    raw = raw.removesuffix(b"\n")
    if _leaf(raw) == leaf:
        return disclosed(raw)
    return of_leaf(leaf) if is_over else line


def _leaf(raw: bytes) -> bytes:
    return open_line(raw.removesuffix(b"\n")).leaf


def _index(line: str) -> int:
    return int(orjson.loads(line)["i"])
