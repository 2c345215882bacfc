"""Decides which records about people count in other shards, and which parts of each cross.

Rules kept here:
- Only what reaches the whole deployment crosses, since a community never spans two shards. An entry of a community
  crosses when an operator confirms it.
- Measures that follow from a balance do not cross. Each shard derives its own from the same entries, where it has the
  rooms. So there is one demotion, by the shard in whose room the person manages.
- Words, reasons, cases, rooms and deciders do not cross, since they mean something only in their own shard. An order
  for all rooms is the exception: each shard carries it out in its own rooms and tells there who gave it, and why.
- A fact that was learnt from another shard is not passed on. Its end is, in whichever shard that was decided, and names
  the record that it ends by the log where that was made. So each shard comes to the same result in any order.
- Each shard finds by itself that somebody's time is over.

Left to others: proofs and transport (`bot/exchange/`), applying (`applying.py`).
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from moderation.model.facts import (
    AccountsLinked,
    AccountUnlinked,
    CreditChanged,
    DataAsked,
    EndingKind,
    EndNamed,
    EntryConfirmed,
    Fact,
    Learnt,
    LearntKind,
    ListSpared,
    OrderedEverywhere,
    OrderRecalled,
    PersonVerified,
    RecordsRestored,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
)
from moderation.model.reach import DEPLOYMENT
from moderation.values.errors import Invalid

ERASING = ("erase-confirmed", "erase-relayed")
CROSSING = (
    CreditChanged,
    EntryConfirmed,
    PersonVerified,
    AccountsLinked,
    AccountUnlinked,
    SanctionStarted,
    SanctionExtended,
    SanctionEnded,
    ListSpared,
    OrderedEverywhere,
    OrderRecalled,
    EndNamed,
    DataAsked,
    RecordsRestored,
)
KINDS = frozenset(cls.KIND for cls in CROSSING)  # of their records
_OF_ENDS = ("until", "method", "why", "list", "subject", "target", "server")
FOUND_BY_EACH = ("credit", "standing", "list")  # bases of bans that each shard finds by itself


@dataclass(frozen=True, slots=True)
class Purged:
    """Stands for a purged record of the same log, if the tables of that shard know that it crossed."""


@dataclass(frozen=True, slots=True)
class LogPlace:
    """The place of a record in the log of another shard, and the signed checkpoint that proves it (root in hex)."""

    origin: str
    index: int
    made: int
    size: int
    root: str
    era: str = "-"


def needed(fact: Fact) -> int:
    """Return the index of the record that is needed to tell whether and how a fact crosses; -1 if none is needed."""
    match fact:
        case (
            EntryConfirmed()
            | SanctionEnded(kind="ban", room=None)
            | SanctionExtended(kind="ban", room=None)
            | AccountUnlinked()
            | OrderRecalled()
        ):
            return fact.start
        case PersonVerified(step="revoked") | ListSpared(step="unspared"):
            return fact.undoes
    return -1


def crosses(fact: Fact, about: Fact | Purged | None = None) -> bool:
    """Tell whether a fact counts in other shards. `about` is the fact recorded at `needed`, if it is still known."""
    if isinstance(about, Purged):
        return needed(fact) >= 0 and not isinstance(fact, EntryConfirmed) and getattr(fact, "why", "") != "time"
    match fact:
        case ListSpared(step="unspared"):
            return isinstance(about, Learnt | ListSpared) and _counts_in_all(about, "spared")
        case CreditChanged() | ListSpared():
            return fact.reach == DEPLOYMENT
        case EntryConfirmed():
            return isinstance(about, CreditChanged) and about.reach != DEPLOYMENT
        case PersonVerified(step="revoked") if fact.undoes >= 0:
            return isinstance(about, Learnt | PersonVerified) and _counts_in_all(about, "verified")
        case PersonVerified():
            return fact.reach == DEPLOYMENT
        case AccountsLinked() | AccountUnlinked() | EndNamed() | RecordsRestored():
            return True
        case SanctionStarted():
            return _bars(fact)
        case SanctionEnded(why="time"):
            return False
        case SanctionEnded() | SanctionExtended():
            return _is(about, "barred") or (isinstance(about, SanctionStarted) and _bars(about))
        case OrderedEverywhere():
            return fact.origin == "-"
        case OrderRecalled():
            return isinstance(about, OrderedEverywhere)
        case DataAsked():
            return fact.what in ERASING
    return False


def learnt(fact: Fact, place: LogPlace, about: Fact | Purged | None = None, about_made: int = 0) -> Learnt:
    """Return the fact that another shard learns from one recorded at `place`. Raises `Invalid` if it does not cross.

    `about` is the fact recorded at `needed`, and `about_made` its time.
    """
    if not crosses(fact, about):
        raise Invalid(f"record {place.index} of {place.origin} is not for other shards")
    of = partial(
        Learnt, origin=place.origin, index=place.index, made=place.made, size=place.size, root=place.root, era=place.era
    )
    match fact:
        case EntryConfirmed():
            assert isinstance(about, CreditChanged), "`crosses` says so"
            entry = learnt(replace(about, reach=DEPLOYMENT), replace(place, index=fact.start, made=about_made))
            return replace(entry, confirmed=place.index)
        case CreditChanged():
            return of(
                what="entry",
                subject=fact.subject,
                refers=fact.undoes,
                entry=fact.entry,
                ledger=fact.ledger,
                cost=fact.cost,
                grade=fact.grade,
                rule=fact.rule,
            )
        case PersonVerified(step="revoked"):
            return of(what="revoked", subject=fact.subject, method=fact.method, why=fact.why, **_place(fact, about))
        case PersonVerified():
            return of(what="verified", subject=fact.subject, method=fact.method, level=fact.level, until=fact.until)
        case AccountsLinked():
            return of(what="linked", subject=fact.subject, target=fact.target, method=fact.method)
        case AccountUnlinked():
            return of(what="unlinked", subject=fact.subject, target=fact.target, **_place(fact, about))
        case SanctionStarted():
            return of(what="barred", subject=fact.subject, until=fact.until, basis=fact.basis, rule=fact.rule)
        case SanctionExtended():
            return of(what="prolonged", subject=fact.subject, until=fact.until, **_place(fact, about))
        case SanctionEnded():
            return of(what="admitted", subject=fact.subject, why=fact.why, **_place(fact, about))
        case ListSpared(step="unspared"):
            return of(what="unspared", subject=fact.subject, list=fact.list, server=fact.server, **_place(fact, about))
        case ListSpared():
            return of(what="spared", subject=fact.subject, list=fact.list, server=fact.server)
        case OrderedEverywhere():
            return of(what="ordered", subject=fact.subject, until=fact.until, by=fact.by, reason=fact.reason)
        case OrderRecalled():
            return of(what="recalled", subject=fact.subject, why=fact.why, **_place(fact, about))
        case EndNamed():
            place_there: dict[str, Any] = {"refers": fact.index, "of": fact.of, "of_era": fact.of_era}
            return of(what=fact.ends, **place_there, **{name: getattr(fact, name) for name in _OF_ENDS})
        case RecordsRestored():
            return of(what="restored")
        case DataAsked(what="erase-relayed"):
            return of(what="erase-again", subject=fact.subject)
        case DataAsked():
            return of(what="erase", subject=fact.subject)
    raise AssertionError("`crosses` names a fact that is not handled here")


def named(end: Fact, place: LogPlace) -> EndNamed:
    """Return the end of a fact learnt from the log at `place`, if the record of learning it is purged here."""
    here = learnt(end, LogPlace("-", -1, 0, 0, ""), Purged())
    said = {name: getattr(here, name) for name in _OF_ENDS}
    ends = cast(EndingKind, here.what)
    return EndNamed(on=end.on, ends=ends, of=place.origin, of_era=place.era, index=place.index, **said)


def _place(fact: Fact, about: Fact | Purged | None) -> dict[str, Any]:
    """Return the place of the record that a fact changes, in the log in which that record was made."""
    if isinstance(about, Learnt) or (isinstance(about, OrderedEverywhere) and about.origin != "-"):
        return {"refers": about.index, "of": about.origin, "of_era": about.era}
    return {"refers": needed(fact)}


def _is(about: Fact | None, what: LearntKind) -> bool:
    return isinstance(about, Learnt) and about.what == what


def _counts_in_all(about: Learnt | ListSpared | PersonVerified, what: LearntKind) -> bool:
    """Tell whether a record that is taken back counted in all shards: as one of this log, or learnt as `what`."""
    return about.what == what if isinstance(about, Learnt) else about.reach == DEPLOYMENT


def _bars(fact: SanctionStarted) -> bool:
    """Tell whether a ban keeps somebody out of every room by order of an operator.

    A ban that each shard finds by itself, from a balance or from a list, does not cross.
    """
    everywhere = fact.kind == "ban" and fact.room is None and fact.reach == DEPLOYMENT
    return everywhere and fact.basis not in FOUND_BY_EACH
