"""The speed of the records, compared with what the same machine does without them.

    python -m bench.records [--json FILE] [--records N] [--rounds N]

Each figure is compared with a floor that is measured in turn with it, in the same rounds: writing and flushing the same
bytes, hashing them, packing them, searching them, all without records. What counts is the ratio, since machines differ
and are busy; medians of the rounds are printed. "alone" is the estimate for a machine that nobody else uses, from the
processor time of all processes together, on as many processors as they use.
"""

import argparse
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import zstandard

from moderation.values.events import Json
from moderation.values.ids import PersonId
from storage.database.place import DatabasePlace
from storage.journal.days import DayLines, list_days
from storage.journal.journal import Journal
from storage.journal.query import Query, last
from storage.journal.record import NOBODY, Draft, Part
from storage.journal.record_keys import PersonKeys
from storage.journal.retention.find import parts_of
from storage.journal.retention.legal_holds import HoldsInForce
from storage.journal.transparency.proof import Prover
from storage.journal.transparency.tiles import Tiles
from storage.journal.verify.pool import processors
from storage.journal.verify.verify import verify
from tests.proofs import verify_inclusion

from .figures import Figure, Work, at_least, at_most, in_turn, measure, timed

NOON = 1_795_521_600_000  # 2026-11-24T12:00:00Z
DAY_MS = 86_400_000
BATCH = 256
PERSONS = 50
BUDGET_S = 80
WORDS = (
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "it",
    "was",
    "for",
    "on",
    "are",
    "with",
    "they",
    "be",
    "at",
    "one",
)


class Bench:
    """A temporary folder, a number of records, and how much time is left."""

    def __init__(self, root: Path, records: int, rounds: int) -> None:
        self.root = root
        self.records = records
        self.rounds = rounds
        self.ends = time.monotonic() + BUDGET_S
        self.drafts = list(_drafts(records))
        self._made = 0

    def place(self) -> tuple[Path, Journal]:
        """Make a new log. Returns its data directory and the open journal."""
        self._made += 1
        data_dir = self.root / f"log{self._made}"
        return data_dir, Journal.open(data_dir, "bench.example.org/log", PersonKeys.open(DatabasePlace(data_dir)), NOON)

    def medians(self, ours: Work, floor: Work) -> tuple[float, float, float]:
        """Run both in turn, until the rounds or the time are over. Returns the medians (`in_turn`)."""
        return in_turn(ours, floor, self.rounds, self.ends)


def main() -> None:
    measure(__doc__, add_arguments, run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--records", type=int, default=200_000, help="how many records the large log has")
    parser.add_argument("--rounds", type=int, default=5)


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part, the quick ones first."""
    root = Path(tempfile.mkdtemp(prefix="bench-records-"))
    try:
        bench = Bench(root, options.records, options.rounds)
        yield append_batches(bench)
        yield append_single(bench)
        data_dir = large_log(bench)
        yield size(bench, data_dir)
        yield inclusion(bench, data_dir)
        yield search(bench, data_dir)
        yield check(bench, data_dir)
        yield erase(bench, data_dir)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def append_batches(bench: Bench) -> Figure:
    """Measure appending batches of 256, each flushed, as for a full sync response."""
    drafts = bench.drafts[: min(25_600, bench.records)]
    lines = b""

    def ours() -> float:
        nonlocal lines
        data_dir, journal = bench.place()
        began = time.perf_counter()
        for at in range(0, len(drafts), BATCH):
            journal.append(drafts[at : at + BATCH])
            journal.sync()
        took = time.perf_counter() - began
        journal.close(NOON)
        lines = next((data_dir / "records/day").glob("*.jsonl")).read_bytes()
        shutil.rmtree(data_dir)
        return took

    def floor() -> float:
        return _write(bench.root / "raw", lines, len(drafts) // BATCH)

    count = len(drafts)
    one, other, busy = bench.medians(ours, floor)
    wanted = at_least(60_000, count / one, "/s")
    floor_is = ("write + fsync", count / other)
    return Figure("append, batches of 256", "records/s", count / one, *floor_is, alone=count / busy, **wanted)


def append_single(bench: Bench) -> Figure:
    """Measure appending records one by one, each flushed."""
    drafts = bench.drafts[: min(1000, bench.records)]

    def ours() -> float:
        data_dir, journal = bench.place()
        began = time.perf_counter()
        for draft in drafts:
            journal.append([draft])
            journal.sync()
        took = time.perf_counter() - began
        journal.close(NOON)
        shutil.rmtree(data_dir)
        return took

    count = len(drafts)
    one, other, busy = bench.medians(ours, lambda: _write(bench.root / "raw", b"x" * 400 * count, count))
    return Figure("append, one by one", "records/s", count / one, "write + fsync", count / other, "", count / busy)


def large_log(bench: Bench) -> Path:
    """Write all records on one day, which is closed, then one record on the next day, so that a day is open."""
    data_dir, journal = bench.place()
    for at in range(0, bench.records, BATCH):
        journal.append(bench.drafts[at : at + BATCH])
    journal.append([Draft("start", NOON + DAY_MS, fields={"version": "0.1.0"})])
    journal.close(NOON + DAY_MS)
    return data_dir


def size(bench: Bench, data_dir: Path) -> Figure:
    """Measure the bytes on disk, all included, against the bare text of the messages packed in the same way."""
    files = [path.stat().st_size for path in (data_dir / "records").rglob("*") if path.is_file()]
    texts = "\n".join(str(draft.parts[0].data["body"]) for draft in bench.drafts).encode()
    packed = len(zstandard.ZstdCompressor(level=6).compress(texts))
    return Figure("size", "bytes/record", sum(files) / bench.records, "zstd of the texts", packed / bench.records)


def inclusion(bench: Bench, data_dir: Path) -> Figure:
    """Measure making one proof, from tiles in memory, against the hashes that checking it takes."""
    prover = Prover(Tiles(data_dir / "records/tile"))
    size = bench.records + 2
    root = prover.root(0, size, size)
    chosen = [random.Random(1).randrange(bench.records // 8) for _ in range(2000)]
    proofs = [prover.inclusion(index, size) for index in chosen]

    def ours() -> float:
        return timed(lambda: [prover.inclusion(index, size) for index in chosen]) / len(chosen)

    def floor() -> float:
        pairs = list(zip(chosen, proofs, strict=True))
        return timed(lambda: [verify_inclusion(root, i, size, proof, root) for i, proof in pairs]) / len(chosen)

    one, other, busy = bench.medians(ours, floor)
    alone = busy / len(chosen) * 1e6
    return Figure(f"proof of {len(proofs[0])} hashes", "us", one * 1e6, "checking it", other * 1e6, "", alone)


def search(bench: Bench, data_dir: Path) -> Figure:
    """Measure the search for a word that is in few records, in a closed day."""
    folder = data_dir / "records"
    day = list_days(folder / "day")[0]
    text = b"\n".join(DayLines(day.path).blocks())
    query = Query(text=b"needle 77,")

    def ours() -> float:
        return timed(lambda: last(folder, query, 0))

    one, other, busy = bench.medians(ours, lambda: timed(lambda: text.find(b"not in it, never")))
    size = len(text) / 1e6
    wanted = at_least(100, size / one, "MB/s")
    return Figure("search a text", "MB/s", size / one, "bytes.find", size / other, alone=size / busy, **wanted)


def check(bench: Bench, data_dir: Path) -> Figure:
    """Measure checking everything against hashing the same bytes."""
    folder = data_dir / "records"
    lines = [line for batch in DayLines(list_days(folder / "day")[0].path) for line in batch]

    def ours() -> float:
        began = time.perf_counter()
        assert verify(folder).ok
        return time.perf_counter() - began

    one, other, busy = bench.medians(ours, lambda: timed(lambda: [sha256(line).digest() for line in lines]))
    count = bench.records
    alone = count / busy * processors()
    wanted = at_least(200_000, count / one, "/s")
    return Figure("verify", "records/s", count / one, "sha256 of each line", count / other, alone=alone, **wanted)


def erase(bench: Bench, data_dir: Path) -> Figure:
    """Measure erasing one of fifty persons, from finding their parts to the new file, against packing the day once."""
    text = b"\n".join(DayLines(list_days(data_dir / "records/day")[0].path).blocks())
    persons = iter(range(PERSONS))

    def ours() -> float:
        journal = Journal.open(
            data_dir, "bench.example.org/log", PersonKeys.open(DatabasePlace(data_dir)), NOON + DAY_MS
        )
        began = time.perf_counter()
        targets = parts_of(journal.folder, [_person(next(persons))], HoldsInForce()).targets
        parts = (Part(NOBODY, {"records": targets.text}),)
        [by] = journal.append([Draft("erase", NOON + DAY_MS, fields={"parts": targets.count}, parts=parts)])
        journal.erase(targets, by)
        took = time.perf_counter() - began
        journal.close(NOON + DAY_MS)
        return took

    def floor() -> float:
        return timed(lambda: zstandard.ZstdCompressor(level=6).compress(text))

    one, other, busy = bench.medians(ours, floor)
    return Figure("erase one person", "s", one, "zstd of the day", other, alone=busy, **at_most(2, one, "s"))


def _drafts(count: int) -> Iterator[Draft]:
    chance = random.Random(7)
    for number in range(count):
        person = _person(number % PERSONS)
        body = f"needle {number}, " + " ".join(chance.choices(WORDS, k=chance.randrange(3, 20)))
        event = f"${chance.getrandbits(258):065x}"[:44]
        data: dict[str, Json] = {"mxid": person, "ev": event, "ts": NOON + number // 10 - 5, "body": body}
        yield Draft("message", NOON + number // 10, "G-7F3K", parts=(Part(PersonId(person), data),))


def _person(number: int) -> str:
    return f"@user{number}:example.org"


def _write(path: Path, data: bytes, pieces: int) -> float:
    """Return the seconds to write `data` in pieces, each flushed."""
    step = max(1, len(data) // pieces)
    began = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for at in range(0, len(data), step):
            file.write(data[at : at + step])
            os.fdatasync(file.fileno())
    took = time.perf_counter() - began
    path.unlink()
    return took


if __name__ == "__main__":
    main()
