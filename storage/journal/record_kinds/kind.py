"""The description of a kind of record, and fields and parts that several kinds have.

Rules kept here:
- A field is in the skeleton for ever, so it is an integer below 2^53 or a short word of printable ASCII, never a
  Matrix id, a name or a text.
- What concerns a person is data of a part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a skeleton."""

    type: Literal["int", "str"]
    doc: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: what it is, its skeleton fields, and what its parts hold (for the reader)."""

    doc: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)


def integer(doc: str) -> Field:
    """Return a field that is a number."""
    return Field("int", doc)


def word(doc: str) -> Field:
    """Return a field that is a short word."""
    return Field("str", doc)


N = integer("number of the case")
ON = integer("index of the record it is about; -1: none")
HEARD = integer("when the homeserver had last answered (ms), if this was sent while it did not answer")
RULE = word("name of the rule")
CLASS = word("minor, moderate, serious or severe; -: none applies")
REACH = word("where it counts: a community, or a group code for that room alone; left out: the whole deployment")
UNTIL = integer("until when, milliseconds since 1970; 0: no end")
EVENT = {
    "mxid": "who sent it",
    "ev": "event id",
    "ts": "the time its sender claims, milliseconds since 1970",
    "type": "event type",
}
SUBJECT = {"as": "subject, by or target: the part this person has in it", "mxid": "the person concerned"}
BY = {**SUBJECT, "reason": "the reason given by the person who did it"}
