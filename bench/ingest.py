"""The rate at which the bot takes in everything that happens in 200 rooms, and that of matrix-nio's parser alone.

    python -m bench.ingest [--json FILE] [--events N] [--rooms N] [--rounds N]

The simulated homeserver has many mixed events ready and releases them at one instant, in answers of 500. Ours: from
then until the real bot, a process of its own, asks for what follows the last one: everything is in the journal and
flushed, judged, and committed. The floor: matrix-nio parsing the same answers, in turn with it, in the same rounds. To
compare this with the work of a homeserver itself, a real Synapse takes a thousand messages, and the processor time of
both is shown.
"""

import argparse
import asyncio
import itertools
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nio
import orjson

from bench.figures import Figure, at_least, measure
from bench.simulated import BAD, Deployment, deployment, person, processor_s
from bot.demo.synapse import Synapse
from tests.people.client import Client

ANSWER = 500  # events in one answer of `/sync`
PEOPLE = 20  # in each room
HEAP = 2_000  # events in one order to the simulated homeserver
WORDS = re.findall(
    "[a-z]+", "the of and to in is that it was for on are with they be at one have this from word but what"
)

Say = tuple[str, str, str, dict[str, Any], str | None]


class Heap:
    """A source of mixed events, the same for the same seed but for the ids of events that they refer to."""

    def __init__(self, rooms: Sequence[str], seed: int = 8) -> None:
        self._rooms = rooms
        self._chance = random.Random(seed)
        self._said: dict[str, list[tuple[str, str]]] = {room: [] for room in rooms}
        self._numbers = itertools.count()

    def events(self, count: int) -> list[Say]:
        """Return the next events: mostly text, and everything else that is common in groups."""
        return [self._event(next(self._numbers)) for _ in range(count)]

    def learn(self, events: Sequence[Say], ids: Sequence[str]) -> None:
        """Note the messages that were said, so that later events can answer, edit and redact them."""
        for (room, sender, type, _, _), id in zip(events, ids, strict=True):
            if type == "m.room.message":
                self._said[room] = [*self._said[room][-20:], (sender, id)]

    def _event(self, number: int) -> Say:
        room = self._chance.choice(self._rooms)
        who = person(self._rooms.index(room) * PEOPLE + self._chance.randrange(PEOPLE))
        dice = self._chance.random() * 100
        said = self._said[room]
        if number % 2_000 == 1_999:
            return room, who, "m.room.message", {"msgtype": "m.text", "body": BAD}, None
        if dice < 76 or not said:
            return room, who, "m.room.message", self._text(), None
        sender, about = self._chance.choice(said)
        if dice < 84:
            relation = {"rel_type": "m.annotation", "event_id": about, "key": self._chance.choice("👍🎉❤")}
            return room, who, "m.reaction", {"m.relates_to": relation}, None
        if dice < 89:
            return room, sender, "m.room.message", self._edit(about), None
        if dice < 92:
            return room, who, "m.room.message", self._file(number), None
        if dice < 95:
            content = {"membership": "join", "displayname": f"{who[1:9]} {number}"}
            return room, who, "m.room.member", content, who
        if dice < 97:
            return room, sender, "m.room.redaction", {"redacts": about}, None
        if dice < 98:
            return room, who, "m.room.topic", {"topic": " ".join(self._words())}, ""
        if dice < 99:
            return room, who, "m.sticker", {"body": "a wave", "url": f"mxc://{number}/s", "info": {}}, None
        return room, who, "org.example.game", {"move": number, "board": [[0, 1], [1, 0]]}, None

    def _words(self) -> list[str]:
        return self._chance.choices(WORDS, k=self._chance.randrange(3, 25))

    def _text(self) -> dict[str, Any]:
        body = " ".join(self._words())
        if self._chance.random() < 0.3:
            html = {"format": "org.matrix.custom.html", "formatted_body": f"<p>{body} <b>indeed</b></p>"}
            return {"msgtype": "m.text", "body": body, **html, "m.mentions": {}}
        return {"msgtype": "m.text", "body": body, "m.mentions": {}}

    def _edit(self, about: str) -> dict[str, Any]:
        text = self._text()
        relation = {"rel_type": "m.replace", "event_id": about}
        return {**text, "body": f"* {text['body']}", "m.new_content": text, "m.relates_to": relation}

    def _file(self, number: int) -> dict[str, Any]:
        info = {"mimetype": "image/png", "size": 20_000 + number, "w": 800, "h": 600}
        return {"msgtype": "m.image", "body": f"picture{number}.png", "url": f"mxc://x/{number}", "info": info}


async def said(bot: Deployment, heap: Heap, count: int) -> int:
    """Have events said while the homeserver holds them back. Returns the place where they end."""
    await bot.server.order("hold")
    for begin in range(0, count, HEAP):
        events = heap.events(min(HEAP, count - begin))
        heap.learn(events, await bot.server.order("say", events=events))
    return int(await bot.server.order("place"))


async def ours(bot: Deployment, place: int) -> float:
    """Release the events. Returns the seconds until the bot has taken in everything."""
    began = await bot.server.order("let_go")
    return float(await bot.server.order("acknowledged", user=bot.user, place=place)) - float(began)


def floor(answers: Sequence[dict[str, Any]]) -> float:
    """Return the seconds that matrix-nio takes to parse the answers, which are decoded already."""
    began = time.perf_counter()
    for answer in answers:
        assert isinstance(nio.SyncResponse.from_dict(answer), nio.SyncResponse)
    return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Round:
    """The measures of one round."""

    events: int
    took_s: float  # ours
    used_s: float  # processor time of the bot, until it had sent everything
    parsed_s: float  # the floor
    missing: int  # events that are not recorded exactly once


async def rounds(options: argparse.Namespace, folder: Path) -> list[Round]:
    """Return all rounds but a first one, which warms up."""
    each = options.events // options.rounds
    people = [[person(room * PEOPLE + n) for n in range(PEOPLE)] for room in range(options.rooms)]
    async with deployment(folder) as bot:
        heap = Heap(await bot.enter(people))
        await bot.server.order("at_most", count=ANSWER)
        await _round(bot, heap, min(each, 5_000))
        return [await _round(bot, heap, each) for _ in range(options.rounds)]


async def _round(bot: Deployment, heap: Heap, count: int) -> Round:
    begins = await bot.server.order("place")
    place = await said(bot, heap, count)
    answers = await bot.server.order("answers", user=bot.user, since=begins, upto=place)
    before = processor_s(bot.pid)
    took = await ours(bot, place)
    await bot.idle()
    used = processor_s(bot.pid) - before
    parsed = floor([orjson.loads(answer) for answer in answers])
    return Round(count, took, used, parsed, await bot.missing(begins, place))


async def ingest(options: argparse.Namespace) -> list[Figure]:
    """Return the figures of all rounds."""
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        seen = await rounds(options, Path(folder) / "bot")
    if missing := sum(each.missing for each in seen):
        raise RuntimeError(f"{missing} events were not recorded exactly once")
    rate = statistics.median(each.events / each.took_s for each in seen)
    nio_rate = statistics.median(each.events / each.parsed_s for each in seen)
    cpu = statistics.median(each.used_s / each.events * 1000 for each in seen)
    return [
        Figure("ingest", "events/s", rate, "nio's parser alone", nio_rate, **at_least(nio_rate, rate, "events/s")),
        Figure("processor time of 1,000 events", "s", cpu, "Synapse, sending them", await synapse_s()),
    ]


async def synapse_s() -> float:
    """Return the processor time (s) that a real Synapse takes for a thousand messages sent to it."""
    with tempfile.TemporaryDirectory(prefix="bench-synapse-") as folder:
        synapse = await Synapse.start(Path(folder))
        try:
            account = await synapse.register("ann", "bench")
            async with Client(synapse.url, account.user, account.token) as ann:
                room = await ann.create_room("bench")
                assert synapse.pid is not None
                before = processor_s(synapse.pid)
                for number in range(1_000):
                    await ann.send_text(room, f"message {number}")
                return processor_s(synapse.pid) - before
        finally:
            await synapse.stop()


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures of this part."""
    yield from asyncio.run(ingest(options))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--events", type=int, default=200_000, help="in all rounds together")
    parser.add_argument("--rooms", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
