"""Facts that one shard of a deployment learnt from the log of another (docs/decisions/0060)."""

from typing import Literal

from moderation.policy import Grade
from moderation.values.ids import UserId

from .base import Fact, person, private, unowned

HERE = "here"  # in place of the name of a log: that of this shard

LearntKind = Literal[
    "entry",
    "verified",
    "revoked",
    "linked",
    "unlinked",
    "barred",
    "prolonged",
    "admitted",
    "ordered",
    "recalled",
    "spared",
    "unspared",
    "erase",
    "erase-again",
    "restored",
]
EndingKind = Literal["revoked", "unlinked", "prolonged", "admitted", "recalled", "unspared"]


class Learnt(Fact, kind="learnt", changes="all rooms", renames=True, lean=True):
    """A record about a person in the log of another shard, as far as it counts beyond the rooms of that shard.

    "restored": that log continues from a backup, and this is the first record of its new era.
    `index` and `made` are its place and time there; `size` and `root` are of the signed checkpoint that proved it.
    `refers` is the record that it changes, in the log `of` and its era `of_era` ("-": as `origin` and `era`; `HERE`:
    this log). The other public fields are as in the fact that was recorded there (`moderation/shards/crossing.py`).
    """

    what: LearntKind
    origin: str  # the name of that log
    index: int
    made: int
    size: int
    root: str  # in hexadecimal
    era: str = "-"  # of a log that continues from a backup
    confirmed: int = -1  # of an entry of one community: the record there by which it counts everywhere
    refers: int = -1
    of: str = "-"
    of_era: str = "-"
    entry: Literal["-", "charge", "warning", "compensation"] = "-"
    ledger: Literal["credit", "standing"] = "credit"
    cost: int = 0
    grade: Grade | Literal["-"] = "-"
    rule: str = "-"
    method: Literal["-", "vouch", "roster", "email", "oidc", "confirmed"] = "-"
    level: int = 0
    until: int = 0
    basis: str = "-"
    why: str = "-"
    list: str = "-"
    over: int = 0  # 1: of an order, that its end was there to be read when it was learnt
    subject: UserId = person()
    target: UserId = person()
    by: UserId = person()  # of an order: without the person who gave it nobody can tell in which rooms it holds
    reason: str = private("by")
    server: str = unowned()

    @property
    def position(self) -> int:
        """The index in the other log before which nothing is left to be learnt."""
        return max(self.index, self.confirmed)

    @property
    def changed_log(self) -> tuple[str, str]:
        """The log, and its era, of the record that it changes."""
        return (self.origin, self.era) if self.of == "-" else (self.of, self.of_era)


class OrderedEverywhere(Fact, kind="sanction", changes="nothing"):
    """The ban of case `n` was ordered for all rooms of all shards in which `by` may give the order.

    Each shard carries it out in its own rooms, as a case of its own. `origin`, `era` and `index` name the record of the
    order in the log of the shard where it was given; "-": this is it.
    """

    step: Literal["everywhere"] = "everywhere"
    until: int = 0
    n: int
    origin: str = "-"
    era: str = "-"
    index: int = -1
    subject: UserId = person()
    by: UserId = person()
    reason: str = private("by")


class OrderRecalled(Fact, kind="sanction", changes="nothing"):
    """The order recorded at `start` ends in all shards."""

    step: Literal["recalled"] = "recalled"
    start: int
    why: Literal["command", "reversed"]
    n: int
    subject: UserId = person()
    by: UserId = person()


class EndNamed(Fact, kind="learnt", changes="nothing"):
    """The end of something that another shard began and this one had learnt; the end itself was recorded just before.

    The record of what was learnt is purged here, so no record shows any more what that end is about: it is said by this
    one, which other shards learn in its place. `index` is the record of the beginning, in the log `of` and its era
    `of_era`; `ends` says what they learn, and the other fields are as there (`Learnt`).
    """

    what: Literal["named"] = "named"
    ends: EndingKind
    of: str
    of_era: str
    index: int
    until: int = 0
    method: Literal["-", "vouch", "roster", "email", "oidc", "confirmed"] = "-"
    why: str = "-"
    list: str = "-"
    subject: UserId = person()
    target: UserId = person()
    server: str = unowned()


class ShardPinned(Fact, kind="learnt", changes="nothing"):
    """The log of another shard is checked by this key from now on: that of the first message that came from it."""

    what: Literal["pinned"] = "pinned"
    origin: str
    vkey: str = unowned()
