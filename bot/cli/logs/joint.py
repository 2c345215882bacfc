"""The part of `logs verify --against` about a joint checkpoint: which shards it covers, and what is here of them.

Of the shard whose records are verified these decide; of others on this machine, the closing checkpoint of the day.

Rules kept here:
- The keys that count are those of the logs on this machine and of the settings, not what the database says. If the
  root was kept, no key is needed for the closing checkpoints: what the database has must lead to it. Day and missing
  shards are not bound by the root, so it is said if none of those keys signed them.
- Nothing is written.

Left to others: the check of the records (`storage/journal/verify/verify.py`).
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bot.cli.terminal.output import say, text
from bot.cli.terminal.tables import list_rows
from moderation.values.errors import Invalid, Refused

if TYPE_CHECKING:
    from bot.config.config import Config
    from storage.database.place import DatabasePlace
    from storage.journal.report import VerifyReport
    from storage.journal.transparency.joint_checkpoint import JointCheckpoint
    from storage.journal.transparency.signed_note import NoteVerifier
    from storage.journal.verify.signed import KeptCheckpoint

ROOT = re.compile(r"[A-Za-z0-9+/]{43}=")
State = Literal["verified", "same", "other", "gone", "purged", "elsewhere", "without", "unnamed"]
Stored = Literal["same", "other", "none", "unasked"]
_WRONG = frozenset({"other", "gone"})  # shards may have been added since, so one that is unnamed is not


@dataclass(frozen=True, slots=True)
class ShardState:
    """A shard: how many records the joint checkpoint covers (0: none), and how that fits what is here."""

    shard: str
    records: int
    state: State


@dataclass(frozen=True, slots=True)
class JointReport:
    """The outcome for a joint checkpoint. `stored`: how it fits the one of that day in the database, if one was asked.

    `signed`: a key that is known here signed its text. A root binds neither the day nor which shards are missing.
    """

    day: str
    root: str
    signed: bool
    stored: Stored
    shards: tuple[ShardState, ...]

    @property
    def ok(self) -> bool:
        """True if nothing contradicts it."""
        return self.stored != "other" and not any(each.state in _WRONG for each in self.shards)

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return asdict(self)


def is_root(typed: str) -> bool:
    """Tell whether what was given is the root of a checkpoint and not the name of a file."""
    return ROOT.fullmatch(typed) is not None and not Path(typed).exists()


def note_of_root(place: "DatabasePlace", root: str) -> str:
    """Return the joint checkpoint with this root that the database has. Raises `Refused` if there is none."""
    from storage.journal.joint_table import JointTable

    if place.url is None:
        raise Refused("cli.logs.joint.no_database")
    note = JointTable(place).of_root(root)
    joint = _parsed(note) if note is not None else None
    if note is None or joint is None or joint.root_text != root:
        raise Refused("cli.logs.joint.no_root", root=root)
    return note


def keys_of(place: "DatabasePlace", config: "Config | None", note: str) -> "tuple[NoteVerifier, ...]":
    """Return the keys of the logs that a joint checkpoint covers, as far as settings and this machine have them."""
    from storage.journal.transparency.log_key import read_verifier
    from storage.journal.transparency.signed_note import NoteVerifier

    joint = _parsed(note)
    found: dict[str, NoteVerifier] = {}
    for name in joint.names if joint is not None else ():
        with suppress(OSError, Invalid):
            found[name] = read_verifier(_records_of(place, name))
    stated = {each.name: each.vkey for each in config.shards if each.vkey} if config is not None else {}
    return tuple({**found, **{name: NoteVerifier.parse(vkey) for name, vkey in stated.items()}}.values())


def joint_report(
    place: "DatabasePlace", config: "Config | None", kept: "KeptCheckpoint", report: "VerifyReport"
) -> JointReport | None:
    """Return how a joint checkpoint fits what is here; None if it cannot be read or nobody we know signed it."""
    joint = _parsed(kept.note)
    if joint is None or any(problem.code == "joint_signature" for problem in report.problems):
        return None
    unnamed = {each.name for each in config.shards} - set(joint.names) if config is not None else set()
    states = [*_states(place, joint, report), *(ShardState(name, 0, "unnamed") for name in sorted(unnamed))]
    signed = not kept.by_root or _is_signed(place, kept)
    return JointReport(joint.day, joint.root_text, signed, _stored(place, joint), tuple(states))


def tell_joint(found: JointReport) -> None:
    """Print it."""
    say("cli.logs.joint.title", day=found.day, root=found.root)
    if not found.signed:
        say("cli.logs.joint.unsigned")
    rows = [{"shard": each.shard, "records": each.records, "state": each.state} for each in found.shards]
    show = {"state": lambda state: text(f"cli.logs.joint.state.{state}")}
    list_rows(rows, ("shard", "records", "state"), show, json=False, none="")
    say(f"cli.logs.joint.stored.{found.stored}")


def _states(place: "DatabasePlace", joint: "JointCheckpoint", report: "VerifyReport") -> Iterator[ShardState]:
    from storage.journal.transparency.checkpoint import Checkpoint
    from storage.journal.transparency.daily_checkpoints import Closings
    from storage.journal.transparency.log_key import read_verifier

    own = ""
    with suppress(OSError, Invalid):
        own = read_verifier(place.data_dir / "records").name
    for closing in joint.closings:
        name = joint.name_of(closing)
        folder = _records_of(place, name)
        state: State = "elsewhere"
        if closing.origin == own:
            found = {problem.code for problem in report.problems if problem.file == "against"}
            state = "verified" if not found else "purged" if found == {"against_purged"} else "other"
        elif folder.is_dir():
            state = "gone"
            with suppress(LookupError, Invalid):
                here = Checkpoint.of_note(Closings(folder).read(joint.day).note)
                state = "same" if here == closing else "other"
        yield ShardState(name, closing.size, state)
    for name in joint.without:
        yield ShardState(name, 0, "without")


def _is_signed(place: "DatabasePlace", kept: "KeptCheckpoint") -> bool:
    from storage.journal.transparency.joint_checkpoint import open_joint
    from storage.journal.transparency.log_key import read_verifier

    try:
        open_joint(kept.note, [read_verifier(place.data_dir / "records"), *kept.keys])
    except (OSError, Invalid):
        return False
    return True


def _stored(place: "DatabasePlace", joint: "JointCheckpoint") -> Stored:
    from storage.journal.joint_table import JointTable

    if place.url is None:
        return "unasked"
    note = JointTable(place).of_day(joint.day)
    if note is None:
        return "none"
    return "same" if _parsed(note) == joint else "other"


def _records_of(place: "DatabasePlace", shard: str) -> Path:
    return place.data_dir.parent / shard / "records"


def _parsed(note: str) -> "JointCheckpoint | None":
    from storage.journal.transparency.joint_checkpoint import joint_in

    try:
        return joint_in(note)
    except Invalid:
        return None
