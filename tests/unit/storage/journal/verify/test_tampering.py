"""Ways of altering a log, each with the check that finds it and the place.

The story: five days, the last one open; messages, a redaction, a media hash, a case, an erasure and a purge that
removed nothing. A row says what `logs verify` reports, or what only a kept checkpoint shows. The attacker knows the
format; the row says whether they have the key.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
import zstandard

from moderation.values.events import Json
from moderation.values.ids import PersonId
from storage.journal.line_format import commitment, open_line
from storage.journal.merkle import Tree
from storage.journal.record import Draft, Part
from storage.journal.retention.targets import Targets
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.signed_note import Signer
from storage.journal.transparency.tiles import Tiles
from storage.journal.verify.verify import verify

NOON, DAY_MS = 1_795_521_600_000, 86_400_000
DAYS = ["2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27"]
SECOND, MIDDLE, OPEN = "day/2026-11-25.jsonl.zst", "day/2026-11-26.jsonl.zst", "day/2026-11-28.jsonl"
EACH = 120  # records of a closed day, but for the first, which has genesis as well
ERASED = 130  # the part that was erased
Lines = list[bytes]


class Log:
    """A copy of the log, to be altered."""

    def __init__(self, folder: Path, signer: Signer, at: dict[str, int], unerased: bytes) -> None:
        self.folder, self.signer, self.at = folder, signer, at
        self.unerased = unerased  # the second day as it was before the erasure
        self.kept = (folder / "checkpoint").read_text()  # what somebody outside has

    def lines(self, file: str = MIDDLE) -> Lines:
        data = (self.folder / file).read_bytes()
        if file.endswith(".zst"):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        return data.splitlines(keepends=True)

    def write(self, lines: Lines, file: str = MIDDLE) -> None:
        data = b"".join(lines)
        if file.endswith(".zst"):
            data = zstandard.ZstdCompressor(write_checksum=True).compress(data)
        (self.folder / file).write_bytes(data)

    def edit(self, number: int, change: Callable[[dict[str, Any]], object], file: str = MIDDLE) -> None:
        """Change a line and leave its commitments."""
        lines = self.lines(file)
        record = json.loads(lines[number - 1])
        change(record)
        lines[number - 1] = orjson.dumps(record) + b"\n"
        self.write(lines, file)

    def destroy(self, by: str, *, place: int = 0, date: str = "1999-01-01", line: int = 11) -> None:
        """Replace a part by the mark of an erasure."""
        mark = {"erased": date, "by": self.at[by]}
        self.edit(line, lambda record: record["x"].__setitem__(place, mark))

    def sign_anew(self, signer: Signer) -> None:
        """Make tiles, checkpoints and key fit the lines."""
        shutil.rmtree(self.folder / "tile")
        tree = Tree()
        for path in sorted((self.folder / "day").iterdir()):
            tree.extend([open_line(line.rstrip(b"\n")).leaf for line in self.lines(f"day/{path.name}")])
            note = Checkpoint(signer.name, tree.size, tree.root()).signed(signer)
            if path.suffix == ".zst":
                (self.folder / f"checkpoints/{path.name[:10]}.ckpt").write_text(note)
        (self.folder / "checkpoint").write_text(note)
        (self.folder / "log.vkey").write_text(f"{signer.verifier.text}\n")
        Tiles(self.folder / "tile").write(tree)

    def append_unsigned(self, kind: str, **more: Any) -> None:
        """Add a well-formed line at the end, without the key."""
        last = json.loads(self.lines(OPEN)[-1])
        index = last["i"] + 1
        parts = more.pop("x", [])
        record = {"i": index, "t": last["t"], "k": kind, "p": [], "c": [commitment(part) for part in parts]}
        self.write([*self.lines(OPEN), orjson.dumps({**record, **more, "x": parts}) + b"\n"], OPEN)
        self.at["forged"] = index


@pytest.fixture(scope="module")
def story(new_place: Callable[[], Any], tools: Any) -> Any:
    place = new_place()
    at: dict[str, int] = {}
    with place.open() as journal:
        for number in range(4):
            now = NOON + number * DAY_MS
            journal.append([tools.message(f"day {number} message {each}", now) for each in range(EACH)])
        now = NOON + 4 * DAY_MS
        digest = Part(PersonId("@anna:example.org"), {"mxid": "@anna:example.org", "sha256": "0" * 64})
        at["media"] = journal.append([Draft("media", now, "G-7F3K", {"result": "done"}, (digest,))])[0]
        target = Part(PersonId("@anna:example.org"), {"mxid": "@anna:example.org", "target": "$other"})
        for name in ("redact", "redact2", "redact3", "redact4"):
            [at[name]] = journal.append([Draft("redact", now, "G-7F3K", {}, (target,))])
        [at["purge"]] = journal.append([tools.purge(0, now)])
        targets = Targets.of([(ERASED, 0)])
        [at["erase"]] = journal.append([tools.erase(targets, now)])
        unerased = (place.folder / SECOND).read_bytes()
        journal.erase(targets, at["erase"])
        [at["second"]] = journal.append([tools.erase(Targets.of([(ERASED, 0)]), now)])
        journal.append([tools.message("the end", now)] * 5)
        journal.close(now)
    return place, at, unerased


@pytest.fixture
def log(story: Any, tmp_path: Path) -> Log:
    place, at, unerased = story
    signer = Signer.parse((place.data_dir / "keys/log.key").read_text().strip())
    return Log(Path(shutil.copytree(place.folder, tmp_path / "records")), signer, dict(at), unerased)


class Row(NamedTuple):
    """An alteration of a log; the code, file and line in `verify`'s report; and its report on the kept checkpoint."""

    alter: Callable[[Log], object]
    found: tuple[str, str, int] | None
    against: str = ""  # codes; "": no more than without


def body(record: dict[str, Any]) -> None:
    record["x"][0]["body"] = "another"


def body_and_commitment(record: dict[str, Any]) -> None:
    body(record)
    record["c"] = [commitment(record["x"][0])]


def rearranged(change: Callable[[Lines], Lines], file: str = MIDDLE) -> Callable[[Log], object]:
    return lambda log: log.write(change(log.lines(file)), file)


def moved(one: str, other: str) -> Callable[[Log], object]:
    def swap(log: Log) -> None:
        first, second = log.folder / one, log.folder / other
        a, b = first.read_bytes(), second.read_bytes()
        first.write_bytes(b)
        second.write_bytes(a)

    return swap


def gone(*files: str) -> Callable[[Log], object]:
    def remove(log: Log) -> None:
        for file in files:
            (log.folder / file).unlink()

    return remove


def put(file: str, data: bytes) -> Callable[[Log], object]:
    return lambda log: (log.folder / file).write_bytes(data)


def replaced(file: str, old: bytes, new: bytes) -> Callable[[Log], object]:
    def change(log: Log) -> None:
        data = (log.folder / file).read_bytes()
        assert old in data
        (log.folder / file).write_bytes(data.replace(old, new, 1))

    return change


def flipped(file: str, at: int) -> Callable[[Log], object]:
    def flip(log: Log) -> None:
        data = bytearray((log.folder / file).read_bytes())
        data[at] ^= 1
        (log.folder / file).write_bytes(data)

    return flip


def forged(signer: Callable[[Log], Signer], *, genesis: bool = False) -> Callable[[Log], object]:
    """Return an alteration: another word in the middle, with everything signed to fit."""

    def forge(log: Log) -> None:
        log.edit(11, body_and_commitment)
        key = signer(log)
        if genesis:
            first = f"day/{DAYS[0]}.jsonl.zst"
            log.edit(1, lambda r: r["x"][0].update(vkey=key.verifier.text), first)
            log.edit(1, lambda r: r.update(c=[commitment(part) for part in r["x"]]), first)
        log.sign_anew(key)

    return forge


def another(log: Log) -> Signer:
    return Signer.generate(log.signer.name)


def true_key(log: Log) -> Signer:
    return log.signer


def back_to(day: str, *, other: bool = False) -> Callable[[Log], object]:
    """Put the log back to the end of a day; `other`: and go on with another history, with the true key."""

    def roll(log: Log) -> None:
        for path in [*(log.folder / "day").iterdir(), *(log.folder / "checkpoints").iterdir()]:
            if path.name[:10] > day:
                path.unlink()
        shutil.copy(log.folder / f"checkpoints/{day}.ckpt", log.folder / "checkpoint")
        (log.folder / SECOND).write_bytes(log.unerased)
        if other:
            last = json.loads(log.lines(f"day/{day}.jsonl.zst")[-1])
            line = {**last, "i": last["i"] + 1, "t": "2026-11-28T12:00:00.000Z"}
            log.write([orjson.dumps(line) + b"\n"], OPEN)
            log.sign_anew(log.signer)

    return roll


def destroyed(by: str, **more: Any) -> Callable[[Log], object]:
    return lambda log: log.destroy(by, **more)


def four_parts(log: Log) -> None:
    for line, by in enumerate(("redact", "redact2", "redact3", "redact4"), 11):
        log.destroy(by, line=line)


def hollowed(log: Log) -> None:
    """Destroy the list of an erasure in the name of a later one: how many parts it took would be all that is known."""
    mark = {"erased": "2026-11-28", "by": log.at["second"]}
    log.edit(line_of(log, "erase"), lambda record: record.update(x=[mark]), OPEN)


def self_named(log: Log) -> None:
    """Write, with the true key, an erasure that names a part of its own record, and erase that part in its name."""
    number = line_of(log, "second")
    data: dict[str, Json] = {"records": str(log.at["second"]), "s": "c2FsdHNhbHRzYWx0c2FsdA=="}
    log.edit(number, lambda record: record.update(x=[data], c=[commitment(data)]), OPEN)
    log.sign_anew(log.signer)
    log.edit(number, lambda r: r.update(x=[{"erased": "2026-11-28", "by": log.at["second"]}]), OPEN)


def unsigned_eraser(log: Log) -> None:
    """Add an erasure at the end, without the key, and destroy what it names."""
    log.append_unsigned("erase", parts=1, what="request", x=[{"records": "251", "s": "c2FsdHNhbHRzYWx0c2FsdA=="}])
    log.destroy("forged", date="2026-11-28")


def empty_packed_day(log: Log) -> None:
    log.write([], "day/2025-01-01.jsonl.zst")
    shutil.copy(log.folder / f"checkpoints/{DAYS[0]}.ckpt", log.folder / "checkpoints/2025-01-01.ckpt")


def put_back(log: Log) -> None:
    part = json.loads(log.lines(MIDDLE)[0])["x"][0]
    log.edit(ERASED - EACH, lambda record: record.update(x=[{**part, "s": "b3RoZXJzYWx0c2FsdHNhbA=="}]), SECOND)


def early_purge(log: Log) -> None:
    """Purge the first day, with the true key, by changing the declaration of the purge that removed nothing."""
    log.edit(line_of(log, "purge"), lambda record: record.update(below=EACH + 1), OPEN)
    log.sign_anew(log.signer)
    (log.folder / f"day/{DAYS[0]}.jsonl.zst").unlink()
    (log.folder / "min_index").write_text(f"{EACH + 1}\n")


def line_of(log: Log, name: str) -> int:
    return log.at[name] - 4 * EACH


ELEVENTH = (MIDDLE, 11)
PURGED = 6  # the line of the purge record in the open day


def sealed(log: Log) -> None:
    """Write a clean stop of the bot."""
    log.append_unsigned("stop", why="asked", sealed=1)
    log.sign_anew(log.signer)


def added_after_a_stop(log: Log) -> None:
    sealed(log)
    log.append_unsigned("start", version="0.1.0")
    log.append_unsigned("decision", n=1, what="upheld")


ROWS: dict[str, Row] = {
    "add lines after a stop in good order": Row(added_after_a_stop, ("foreign", OPEN, 15)),
    "untouched": Row(lambda log: None, None),
    "edit a word, closed day": Row(lambda log: log.edit(11, body), ("part", *ELEVENTH)),
    "edit a word, open day": Row(lambda log: log.edit(9, body, OPEN), ("part", OPEN, 9)),
    "edit a time": Row(
        lambda log: log.edit(11, lambda r: r.update(t=r["t"].replace("00.", "01."))), ("leaf", *ELEVENTH), "root"
    ),
    "edit a word and its commitment": Row(lambda log: log.edit(11, body_and_commitment), ("leaf", *ELEVENTH), "root"),
    "reorder two lines": Row(rearranged(lambda x: [*x[:10], x[11], x[10], *x[12:]]), ("sequence", *ELEVENTH)),
    "delete a line": Row(rearranged(lambda x: x[:10] + x[11:]), ("sequence", *ELEVENTH)),
    "delete the last lines": Row(rearranged(lambda x: x[:-3], OPEN), ("missing", "checkpoint", 0), "missing"),
    "duplicate a line": Row(rearranged(lambda x: [*x[:11], *x[10:]]), ("sequence", MIDDLE, 12)),
    "cut the open day in a line": Row(
        rearranged(lambda x: [*x[:-1], x[-1][:-9]], OPEN), ("missing", "checkpoint", 0), "missing"
    ),
    "cut a packed day": Row(lambda log: os.truncate(log.folder / MIDDLE, 900), ("day_truncated", MIDDLE, 1)),
    "swap two days": Row(moved(MIDDLE, SECOND), ("sequence", SECOND, 1)),
    "remove a day": Row(gone(MIDDLE), ("sequence", "day/2026-11-27.jsonl.zst", 1)),
    "remove the first day": Row(gone(f"day/{DAYS[0]}.jsonl.zst"), ("sequence", SECOND, 1)),
    "rename a day": Row(
        lambda log: (log.folder / MIDDLE).rename(log.folder / "day/2026-11-29.jsonl.zst"),
        ("sequence", "day/2026-11-27.jsonl.zst", 1),
    ),
    "change the size in the checkpoint": Row(replaced("checkpoint", b"\n49", b"\n59"), ("signature", "checkpoint", 0)),
    "change the root in the checkpoint": Row(flipped("checkpoint", 30), ("signature", "checkpoint", 0)),
    "delete the checkpoint": Row(gone("checkpoint"), ("checkpoint_missing", "checkpoint", 0)),
    "swap closing checkpoints": Row(
        moved(f"checkpoints/{DAYS[0]}.ckpt", f"checkpoints/{DAYS[1]}.ckpt"),
        ("closing_size", f"day/{DAYS[0]}.jsonl.zst", 0),
    ),
    "delete all closing checkpoints": Row(
        gone(*(f"checkpoints/{day}.ckpt" for day in DAYS)), ("closing_missing", f"checkpoints/{DAYS[0]}.ckpt", 0)
    ),
    "sign with another key and replace the key": Row(forged(another), ("key_differs", "log.vkey", 0), "signature"),
    "make the whole log again with another key": Row(forged(another, genesis=True), None, "signature"),
    "make the whole log again with the stolen key": Row(forged(true_key), None, "fork root"),
    "alter the key": Row(flipped("log.vkey", 30), ("key_damaged", "log.vkey", 0)),
    "delete a salt": Row(lambda log: log.edit(11, lambda r: r["x"][0].pop("s")), ("part", *ELEVENTH)),
    "drop the parts": Row(lambda log: log.edit(11, lambda r: r.update(x=[])), ("line_form", *ELEVENTH)),
    "put null for a part": Row(lambda log: log.edit(11, lambda r: r.update(x=[None])), ("part", *ELEVENTH)),
    "mark by a true erasure": Row(destroyed("erase", date="2026-11-28"), ("erased_other", *ELEVENTH)),
    "mark by a redaction": Row(destroyed("redact"), ("erased_unknown", *ELEVENTH)),
    "mark by a redaction, on its date": Row(destroyed("redact", date="2026-11-28"), ("erased_unknown", *ELEVENTH)),
    "mark four parts by four redactions": Row(four_parts, ("erased_unknown", *ELEVENTH)),
    "mark by a purge": Row(destroyed("purge", date="2026-11-28"), ("erased_unknown", *ELEVENTH)),
    "mark by a record of something else": Row(destroyed("media"), ("erased_unknown", *ELEVENTH)),
    "mark a media hash by a redaction": Row(
        lambda log: log.edit(1, lambda r: r.update(x=[{"erased": "1999-01-01", "by": log.at["redact"]}]), OPEN),
        ("erased_unknown", OPEN, 1),
    ),
    "mark an erased part again, on another date": Row(
        lambda log: log.edit(10, lambda r: r["x"][0].update(erased="1999-01-01"), SECOND), ("erased_date", SECOND, 10)
    ),
    "hollow the list of an erasure": Row(hollowed, ("erased_kept", OPEN, 7)),
    "let an erasure name itself": Row(self_named, ("part", OPEN, 8), "fork root"),
    "add an unsigned erasure and do it": Row(unsigned_eraser, ("erased_unsigned", *ELEVENTH)),
    "put erased words back": Row(put_back, ("part", SECOND, 10)),
    "roll back to an older checkpoint": Row(back_to(DAYS[2]), ("tile_beyond", "tile/0/001.p/238", 0), "missing"),
    "roll back and go on otherwise": Row(back_to(DAYS[2], other=True), None, "missing"),
    "purge without a record": Row(put("min_index", b"121\n"), ("purge_undeclared", "min_index", 0)),
    "purge too early, with the true key": Row(early_purge, ("purge_early", OPEN, PURGED), "fork root"),
    "flip a bit in a tile": Row(flipped("tile/0/000", 40), ("tile", "tile/0/000", 0)),
    "invent a tile": Row(put("tile/0/099", b"\0" * 8192), ("tile_beyond", "tile/0/099", 0)),
    "add a twin of a day": Row(put("day/2026-11-26.jsonl", b'{"i":1}\n'), ("day_twins", MIDDLE, 0)),
    "add an empty day": Row(put("day/2026-11-29.jsonl", b""), ("day_empty", "day/2026-11-29.jsonl", 0)),
    "add an empty day of long ago": Row(put("day/2025-01-01.jsonl", b""), ("day_empty", "day/2025-01-01.jsonl", 0)),
    "add an empty packed day": Row(empty_packed_day, ("day_empty", "day/2025-01-01.jsonl.zst", 0)),
    "add a skippable frame": Row(
        lambda log: (log.folder / MIDDLE).open("ab").write(b"\x50\x2a\x4d\x18\x04\0\0\0abcd"),
        ("day_trailing", MIDDLE, 121),
    ),
    "change the kind of the first record": Row(
        lambda log: log.edit(1, lambda r: r.update(k="start"), f"day/{DAYS[0]}.jsonl.zst"),
        ("genesis", f"day/{DAYS[0]}.jsonl.zst", 1),
        "root",
    ),
    "put a blank in a line": Row(
        rearranged(lambda x: [*x[:10], x[10].replace(b",", b", ", 1), *x[11:]]), ("line_spelling", *ELEVENTH)
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_each_way_of_altering_a_log_is_found(log: Log, name: str) -> None:
    row = ROWS[name]
    row.alter(log)
    places = [(problem.code, problem.file, problem.line) for problem in verify(log.folder).problems]
    if row.found is None:
        assert places == []
    else:
        assert row.found in places
    against = {problem.code for problem in verify(log.folder, against=log.kept).problems if problem.file == "against"}
    assert against == set(row.against.split())
