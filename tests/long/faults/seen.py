"""The picture of a finished story, and its differences from the undisturbed run.

That is what people see on the homeserver, the records and the tables, each under names that are the same in every run.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from bot.pipeline.replay import Rooms
from moderation.model.facts import ActionTaken, CreditChanged, Fact, NoticeGiven, NotSeen, StatementGiven
from storage.journal.reader import Log
from storage.journal.verify.verify import verify
from storage.record_mapping import fact_of_record
from tests.long.faults.play import Play
from tests.long.faults.running import text_of

KINDS = frozenset({"case", "decision", "appeal", "sanction", "credit", "statement", "task"})
OTHERWISE = frozenset({"on", "start", "undoes", "due", "until", "event", "room", "txn", "made", "statement"}) | {
    "since",
    "oldest",
}
STEP = "in step with the room"
FULL = 100  # points of credit and of standing that everybody begins with
_TIME = re.compile(r"# (h|s)\b")
_IDS = re.compile(r"[!$][A-Za-z0-9_-]{20,}")
_TABLES: Mapping[str, str] = {
    "cases": "SELECT n, subject, rule, state, outcome, by, asked FROM cases",
    "credit": "SELECT user, entry, cost, rule, n, ledger FROM credit",
    "sanctions": "SELECT kind, subject, rule, n, ended > 0, why_ended FROM sanctions",
    "holds": "SELECT user, what, step, prior, held FROM holds",
}


@dataclass
class Seen:
    """The picture of a finished story: records, tables, and what people see on the homeserver."""

    deaths: int
    step: str  # at which it died
    steps: list[str]
    journal_in_order: bool
    recorded_twice: int
    facts: Counter[str] = field(default_factory=Counter)
    tables: dict[str, list[Any]] = field(default_factory=dict)
    homeserver: Counter[str] = field(default_factory=Counter)
    stands: dict[str, Any] = field(default_factory=dict)  # levels and memberships in the group and the desk
    balances: dict[str, int] = field(default_factory=dict)  # the sums of what the records charge
    misreckoned: list[str] = field(default_factory=list)  # records whose signed figure is another than the sum
    wrong: dict[str, object] = field(default_factory=dict)  # by the story itself
    problems: tuple[str, ...] = ()
    unseen: list[str] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    said: str = ""  # on stderr


def seen(play: Play) -> Seen:
    """Collect everything that can be seen."""
    running, data = play.running, play.running.place.data
    facts, recorded = _records(play)
    told = [fact for _, fact in facts]
    every = [event for events in recorded.values() for event in events]
    balances, misreckoned = reckoned(facts)
    return Seen(
        deaths=running.deaths,
        step=running.step,
        steps=(running.folder / "steps").read_text().splitlines(),
        journal_in_order=_in_order(play, recorded),
        recorded_twice=len(every) - len(set(every)),
        facts=Counter(_plain(f) for f in told if f.KIND in KINDS or isinstance(f, NoticeGiven | ActionTaken)),
        tables={
            name: sorted(json.loads(_named(json.dumps(row))) for row in running.rows(sql))
            for name, sql in _TABLES.items()
        },
        homeserver=_acts(play),
        stands=_stands(play),
        balances=balances,
        misreckoned=misreckoned,
        wrong=play.wrong(),
        problems=tuple(str(problem) for problem in verify(data / "records").problems),
        exits=running.exits,
        said=text_of(running.folder / "stderr"),
        unseen=[f"{f.what} {f.detail}" for f in told if isinstance(f, NotSeen) and f.what not in ("torn", "down")],
    )


def facts_of(play: Play) -> list[Fact]:
    """Return all that the bot recorded of its own doing, in order."""
    return [fact for _, fact in _records(play)[0]]


def _records(play: Play) -> tuple[list[tuple[int, Fact]], dict[str, list[str]]]:
    rooms = Rooms({})
    facts: list[tuple[int, Fact]] = []
    recorded: dict[str, list[str]] = {}
    codes: dict[str, str] = {code: room for room, code in play.running.rows("SELECT room, code FROM rooms")}
    for record in Log(play.running.place.data / "records").read():
        if (fact := fact_of_record(record, rooms.of)) is not None:
            rooms.learn(fact)
            facts.append((record.index, fact))
        elif record.parts and "ev" in record.parts[0] and record.group in codes:
            recorded.setdefault(codes[record.group], []).append(str(record.parts[0]["ev"]))
    return facts, recorded


def _in_order(play: Play, recorded: Mapping[str, Sequence[str]]) -> bool:
    for room in (each for each in play.world.rooms.values() if each.id in recorded):
        there = [e.id for e in room.events if e.place > play.place]
        known = set(there)
        if [e for e in recorded[room.id] if e in known] != there:
            return False
    return True


def reckoned(facts: Sequence[tuple[int, Fact]]) -> tuple[dict[str, int], list[str]]:
    """Return each balance as computed from the entries alone, and the records that say otherwise."""
    costs: dict[int, int] = {}
    left: dict[str, int] = {}
    wrong = []
    for index, fact in facts:
        if isinstance(fact, CreditChanged):
            costs[index] = fact.cost
            name = f"{fact.subject} {fact.ledger}"
            left[name] = left.get(name, FULL) - fact.cost + costs.get(fact.undoes, 0)
            if fact.left != left[name]:
                wrong.append(f"{name}, case {fact.n}: {fact.left} of {left[name]}")
    return left, wrong


def _plain(fact: Fact) -> str:
    if isinstance(fact, ActionTaken) and fact.action in ("align", "servers", "keep-desk", "enter"):
        return STEP  # looked after at each start
    values = {f.name: getattr(fact, f.name) for f in fields(fact) if f.name not in OTHERWISE}
    if isinstance(fact, StatementGiven):
        values["says"] = sorted(json.loads(fact.statement))
    return _named(f"{type(fact).__name__} {json.dumps(values, sort_keys=True, default=str)}")


def _acts(play: Play) -> Counter[str]:
    """Return what the bot did on the homeserver since the story began.

    An edit that says the same as its message or an earlier edit does not count: how many wait, and are merged, when the
    first is sent is a matter of time, and one more changes nothing for anybody.
    """
    edits: set[tuple[str, str]] = set()
    labels = {room.id: play.label(room) for room in play.world.rooms.values()}
    found = []
    for room, event in play.world.order[play.place :]:
        raw = event.raw
        if raw["sender"] != play.bot:
            continue
        target = raw.get("redacts") or (raw["content"].get("m.relates_to") or {}).get("event_id", "")
        body = _said(play.body(raw)) or str(raw["content"].get("m.relates_to", {}).get("key", ""))
        what = [
            labels[room.id],
            play.people.clear(raw)["type"],
            raw.get("state_key", "-"),
            play.called.get(target, ""),
            body,
        ]
        if (raw["content"].get("m.relates_to") or {}).get("rel_type") == "m.replace":
            if (target, body) in edits:
                continue
            edits.add((target, body))
        else:
            edits.add((raw["event_id"], f"* {body}"))
        found.append(_named(" | ".join(what)))
    return Counter(found)


def _stands(play: Play) -> dict[str, Any]:
    rooms = {"group": play.room, "desk": play.desk}
    return {
        name: {who: (room.level(user), room.membership(user)) for who, user in play.users.items()}
        for name, room in rooms.items()
    }


def _said(body: str) -> str:
    """Return words without numbers; how much of an hour is left is a matter of how long the story takes."""
    return _TIME.sub("# min", re.sub(r"\d+", "#", _named(body)))


def _named(text: str) -> str:
    return _IDS.sub("ID", text)


def different(peace: Seen, other: Seen) -> dict[str, Any]:
    """Return the differences from the undisturbed run; empty if all is well."""
    found: dict[str, Any] = dict(other.wrong)
    if not other.journal_in_order:
        found["order"] = "the journal is not in the order of the homeserver, or lacks something"
    if other.recorded_twice:
        found["twice"] = other.recorded_twice
    for name in ("facts", "homeserver"):
        if any(differs := differing(peace, other, name)):
            found[name] = dict(zip(("missing", "more"), map(dict, differs), strict=True))
    if peace.tables != other.tables:
        found["tables"] = {
            name: (rows, other.tables[name]) for name, rows in peace.tables.items() if rows != other.tables[name]
        }
    for name in ("stands", "balances"):
        if getattr(peace, name) != getattr(other, name):
            found[name] = (getattr(peace, name), getattr(other, name))
    if other.misreckoned:
        found["misreckoned"] = other.misreckoned
    if other.problems or other.unseen:
        found["records"] = [*other.problems, *other.unseen]
    return found


def differing(peace: Seen, other: Seen, name: str) -> tuple[Counter[str], Counter[str]]:
    """Return the entries that are missing, and those that are too many."""
    ours, theirs = Counter(getattr(peace, name)), Counter(getattr(other, name))
    for counted in (ours, theirs):
        counted.pop(STEP, None)
    return ours - theirs, theirs - ours
