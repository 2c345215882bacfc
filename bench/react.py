"""The time for which a violation can be seen: from the accepted message to the redaction that another member sees.

    python -m bench.react [--json FILE] [--rounds N] [--singles N] [--each N] [--plain | --encrypted]

Answerable, with everything on (records with their flushes, 10,000 terms, rules of all kinds, credit, cases with their
cards), is compared with a floor that only looks for words and redacts, in turn, on one real homeserver. Single: one
message at a time, each a case of its own, the next when the bot has sent everything. Burst: ten people write at once.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from moderation.model.actions.cards import PostCard
from moderation.model.actions.removal import Redact
from moderation.model.facts import ActionTaken, CaseOpened
from moderation.values.ids import RoomId
from tests.people.client import Client

from .figures import Figure, at_most_times, measure, percentile
from .react_world import WORDS, Member, Place, World, word

MEDIAN_TIMES, P95_TIMES, BURST_TIMES = 1.15, 1.3, 1.1
BURST_PEOPLE = 10
AFTERWARDS = 10  # single messages while the bot sends the rest


@dataclass
class Bursts:
    """The measures of the bursts."""

    ours: list[float] = field(default_factory=list)  # seconds to the last redaction
    floor: list[float] = field(default_factory=list)
    sending: list[float] = field(default_factory=list)  # seconds until all was accepted, in our room
    sending_floor: list[float] = field(default_factory=list)
    missed: int = 0
    missed_floor: int = 0
    unrecorded: int = 0
    cases: int = 0
    cards: int = 0
    spare_cases: int = 0  # cases after the first of a person
    spare_cards: int = 0  # cards after the first of a case
    early: list[int] = field(default_factory=list)  # other requests that the bot sent before the last redaction
    after: list[float] = field(default_factory=list)  # milliseconds a single message could be seen right after it
    after_floor: list[float] = field(default_factory=list)
    rest: list[float] = field(default_factory=list)  # requests a second, of all that were left to send


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--singles", type=int, default=20, help="single messages a round")
    parser.add_argument("--each", type=int, default=50, help="messages of each person in a burst")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--plain", action="store_true", help="the room that is not encrypted, only")
    which.add_argument("--encrypted", action="store_true", help="the encrypted room, only")


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part."""
    folder = Path(tempfile.mkdtemp(prefix="bench-react-"))
    try:
        yield from asyncio.run(_all(options, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _all(options: argparse.Namespace, folder: Path) -> list[Figure]:
    async with World(folder) as world:
        kinds = [False] * (not options.encrypted) + [True] * (not options.plain)
        return [figure for kind in kinds async for figure in _kind(world, options, encrypted=kind)]


async def _kind(world: World, options: argparse.Namespace, *, encrypted: bool) -> AsyncIterator[Figure]:
    place = await world.place(max(options.singles, BURST_PEOPLE), encrypted=encrypted)
    name = "encrypted" if encrypted else "plain"
    half = WORDS // 2
    assert options.rounds < half, "a round needs a word of its own"
    ours: list[float] = []
    floor: list[float] = []
    await singles(world, place, 0, options.singles, [], [])  # warm up: direct rooms are made, keys are shared
    for number in range(options.rounds):
        await singles(world, place, number + 1, options.singles, ours, floor)
    for figure in _of_singles(name, ours, floor):
        yield figure
    bursts = Bursts()
    for number in range(options.rounds):
        await burst(world, place, half + number, options.each, bursts)
    for figure in _of_bursts(name, bursts):
        yield figure


async def singles(world: World, place: Place, number: int, count: int, ours: list[float], floor: list[float]) -> None:
    """Send one message of each person in each of the two rooms, in turn."""
    for member in place.members[:count]:
        for room, into in ((place.floor, floor), (place.ours, ours)):
            event, took_ms = await seen(world, member, room, word(number))
            into.append(took_ms)
            await world.quiet(*([event] if room == place.ours else []))


def _of_singles(name: str, ours: list[float], floor: list[float]) -> Iterator[Figure]:
    for what, times, limit in (("median", median, MEDIAN_TIMES), ("p95", _p95, P95_TIMES)):
        one, other = times(ours), times(floor)
        wanted = at_most_times(limit, one, other)
        yield Figure(f"{name}, single, {what}", "ms", one, "look and redact", other, **wanted)


def _p95(values: list[float]) -> float:
    return percentile(values, 95)


# Bursts.


async def burst(world: World, place: Place, number: int, each: int, into: Bursts) -> None:
    """Send the same burst in both rooms, the floor's first in every other round."""
    people = place.members[:BURST_PEOPLE]
    for floor_turn in (True, False) if number % 2 else (False, True):
        room = place.floor if floor_turn else place.ours
        sealed = [[await who.sealed(room, f"{word(number)} {n}") for n in range(each)] for who in people]
        before = len(world.records())
        began = time.perf_counter()
        sent = await asyncio.gather(
            *(_all_of(who.client, room, mine) for who, mine in zip(people, sealed, strict=True))
        )
        accepted = time.perf_counter()
        events = [event for mine in sent for event in mine]
        gone = await world.watcher.until_gone(events)
        missed = gone.count(float("inf"))
        took = max((time for time in gone if time != float("inf")), default=began) - began
        if floor_turn:
            into.floor.append(took)
            into.sending_floor.append(accepted - began)
            into.missed_floor += missed
        else:
            into.ours.append(took)
            into.sending.append(accepted - began)
            into.missed += missed
            await _afterwards(world, place, number, into)
            await world.quiet(*events)
            _look(world, number, events, before, into)


async def _afterwards(world: World, place: Place, number: int, into: Bursts) -> None:
    """Send single messages while the bot sends the rest, and then measure how fast it does that."""
    for member in place.members[:AFTERWARDS]:
        for room, times in ((place.floor, into.after_floor), (place.ours, into.after)):
            _, took_ms = await seen(world, member, room, word(number))
            times.append(took_ms)
    waiting, began = world.waiting(), time.perf_counter()
    await world.quiet()
    into.rest.append(waiting / (time.perf_counter() - began))


async def seen(world: World, member: Member, room: RoomId, words: str) -> tuple[str, float]:
    """Send a message. Returns its id, and for how many milliseconds it could be seen."""
    kind, content = await member.sealed(room, f"so much about {words}")
    event = await member.client.send(room, kind, content)
    accepted = time.perf_counter()
    [gone] = await world.watcher.until_gone([event])
    return event, (gone - accepted) * 1000


async def _all_of(who: Client, room: str, messages: list[tuple[str, dict[str, object]]]) -> list[str]:
    return [await who.send(room, kind, content) for kind, content in messages]


def _look(world: World, number: int, events: list[str], before: int, into: Bursts) -> None:
    """Count what the bot did about a burst, by what it wrote since the record `before`."""
    records = world.records(before)
    seen = {str(part["ev"]) for record in records for part in record.parts if "ev" in part}
    into.unrecorded += len(set(events) - seen)
    facts = world.facts(records)
    cases = [fact for fact in facts if isinstance(fact, CaseOpened) and fact.rule == f"word-{number}"]
    into.cases += len(cases)
    into.spare_cases += len(cases) - len({case.subject for case in cases})
    done = [fact for fact in facts if isinstance(fact, ActionTaken) and fact.result == "done"]
    cards = Counter(fact.n for fact in done if fact.action == PostCard.NAME)
    into.cards += cards.total()
    into.spare_cards += sum(count - 1 for count in cards.values())
    removed = [number for number, fact in enumerate(done) if fact.event in events]
    into.early.append(sum(fact.action != Redact.NAME for fact in done[: max(removed, default=0)]))


def _of_bursts(name: str, found: Bursts) -> Iterator[Figure]:
    one, other = median(found.ours), median(found.floor)
    wanted = at_most_times(BURST_TIMES, one, other)
    yield Figure(f"{name}, burst, last redaction", "s", one, "look and redact", other, **wanted)
    one, other = median(found.sending), median(found.sending_floor)
    yield Figure(f"{name}, burst, all accepted", "s", one, "look and redact", other)
    one, other = median(found.after), median(found.after_floor)
    wanted = at_most_times(P95_TIMES, one, other)
    yield Figure(f"{name}, single right after, median", "ms", one, "look and redact", other, **wanted)
    yield Figure(f"{name}, burst, what is left to say", "requests/s", median(found.rest))
    yield Figure(f"{name}, burst, said before its end", "", median(found.early))
    for what, count in (
        ("missed", found.missed),
        ("missed by the floor", found.missed_floor),
        ("not recorded", found.unrecorded),
        ("second cases of a person", found.spare_cases),
        ("second cards of a case", found.spare_cards),
    ):
        yield Figure(f"{name}, burst, {what}", "", count, target="0", met=count == 0)


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
