"""Writes and reads messages: the line of a record, and the proof that it is in the signed log.

Rules kept here:
- Of a line only the parts about the people concerned are shown, and the part that names a server. The part of the
  person who decided is shown only of an order for all rooms: without it nobody could tell in which rooms the order
  holds, and why. The part of an operator at the command line is never shown.
- A proof file is as in C2SP tlog-proof. Each message also proves that the log continues the checkpoint of the message
  before, so that a log with two histories is noticed.

Left to others: what crosses (`moderation/shards/crossing.py`), checking it (`checking.py`).
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from moderation.model.facts import OrderedEverywhere
from moderation.values.errors import Invalid
from storage.journal.journal import Journal
from storage.journal.line_format import open_line
from storage.journal.reader import Log
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.proof import Prover
from storage.journal.transparency.signed_note import decoded
from storage.journal.transparency.tiles import Tiles
from storage.journal.transparency.tlog_proof import MAX_HASHES, disclose

from .port import Message

_SHOWN = ("subject", "target")


@dataclass(frozen=True, slots=True)
class MessageProof:
    """The proof of a message: the key of its log, a proof file for each line, and a consistency proof from `before`."""

    vkey: str
    before: int
    consistency: tuple[bytes, ...]
    proofs: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return it as JSON."""
        return orjson.dumps(
            {
                "vkey": self.vkey,
                "before": self.before,
                "consistency": [base64.b64encode(each).decode() for each in self.consistency],
                "proofs": list(self.proofs),
            }
        ).decode()

    @classmethod
    def parse(cls, text: str) -> "MessageProof":
        """Read what `text` wrote. Raises `Invalid` for anything else."""
        try:
            read = orjson.loads(text)
            hashes = tuple(decoded(each) for each in read["consistency"])
            vkey, before, proofs = read["vkey"], read["before"], tuple(read["proofs"])
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Invalid("not a proof of a message") from None
        known = [each for each in hashes if each is not None]
        right = type(vkey) is str and type(before) is int and all(type(each) is str for each in proofs)
        if not right or len(known) != len(hashes) or len(hashes) > MAX_HASHES or not 1 <= len(proofs) <= 2:
            raise Invalid("not a proof of a message")
        return cls(vkey, before, tuple(known), proofs)


def enclosed(journal: Journal, era: str, index: int, needed: int, before: int) -> Message:
    """Return the message about the record at `index`, with the record at `needed`, if that is not -1.

    A checkpoint must cover both. Raises `Invalid` if the log is shorter than what was published before.
    """
    log, indexes = Log(journal.folder), [index] + ([needed] if needed >= 0 else [])
    size = Checkpoint.of_note(journal.signed_checkpoint).size
    hashes = Prover(Tiles(journal.folder / "tile")).consistency(before, size)
    proof = MessageProof(journal.vkey, before, tuple(hashes), tuple(journal.proof(each) for each in indexes))
    body = "\n".join(disclosed(log.raw(each)) for each in indexes)
    return Message(journal.origin, era, index, body, proof.text)


def size_of(message: Message) -> int:
    """Return the number of records that the checkpoint of an own message covers. Raises `Invalid`."""
    return Checkpoint.of_note(MessageProof.parse(message.proof).proofs[0].partition("\n\n")[2]).size


def disclosed(raw: bytes) -> str:
    """Return the line of a record with only the parts that others are shown."""
    line = open_line(raw.removesuffix(b"\n"))
    of_server = line.skeleton["k"] in ("list", "learnt")
    shown = (*_SHOWN, "by") if line.skeleton.get("step") == OrderedEverywhere.step else _SHOWN
    places = [
        place
        for place, part in enumerate(line.parts)
        if isinstance(part, Mapping) and (part.get("as") in shown or (of_server and "server" in part))
    ]
    return disclose(raw, places).decode()


def of_leaf(leaf: bytes) -> str:
    """Return the line that stands in place of a purged record: its leaf hash."""
    return orjson.dumps({"leaf": base64.b64encode(leaf).decode()}).decode()


def leaf_of(line: str | bytes) -> bytes | None:
    """Return the leaf hash that `of_leaf` wrote; None for any other line."""
    try:
        read = orjson.loads(line)
    except ValueError:
        return None
    leaf = read.get("leaf") if isinstance(read, dict) and len(read) == 1 else None
    return decoded(leaf) if isinstance(leaf, str) else None
