"""The removal of published messages that the shard has erased since, or no longer keeps.

Rules kept here:
- What is erased in the log is not shown in the exchange.
- The order to erase what is held on somebody names them until all other shards have read it.
- No message is removed, since the next one is proved to continue from it: a purged record is replaced by its hash in
  the tree.
- What a log that was restored from a backup no longer has is left as it is.

Left to others: when it is done (`publisher.py`).
"""

from collections.abc import Mapping, Sequence
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
    """The messages to be replaced, and to be looked at again once others have read them."""

    changed: Sequence[Message]
    waits: Sequence[Message]


def tidied_up(own: Sequence[Message], read_by_all: int, journal: Journal) -> Tidied:
    """Compare what was published with the log; `read_by_all` is up to where all others have read it.

    Each day is read once. Others may write meanwhile. Raises `Broken`.
    """
    changed, waits, size = [], [], journal.size
    named = [(each, each.body.split("\n")) for each in own if each.index < size]
    raws = dict(Log(journal.folder).raws(_index(each) for _, lines in named for each in lines if leaf_of(each) is None))
    for message, lines in named:
        now = [_as_kept(line, raws) for line in lines]
        if now == lines:
            continue
        is_kept = leaf_of(now[0]) is None
        if is_kept and orjson.loads(now[0])["k"] == DataAsked.KIND and message.index > read_by_all:
            waits.append(message)
        else:
            changed.append(replace(message, body="\n".join(now)))
    return Tidied(changed, waits)


def _as_kept(line: str, raws: Mapping[int, bytes]) -> str:
    """Return what may be shown now of a record that was published."""
    if leaf_of(line) is not None:
        return line
    leaf, raw = open_line(line.encode()).leaf, raws.get(_index(line))
    if raw is None:
        return of_leaf(leaf)
    raw = raw.removesuffix(b"\n")
    return disclosed(raw) if open_line(raw).leaf == leaf else line


def _index(line: str) -> int:
    return int(orjson.loads(line)["i"])
