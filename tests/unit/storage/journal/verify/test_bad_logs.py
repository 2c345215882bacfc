"""One table of all possible faults of a log: each has its own name, file and line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from storage.journal.line_format import commitment, open_line
from storage.journal.merkle import Tree
from storage.journal.retention.purge import MIN_INDEX
from storage.journal.retention.targets import Targets
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.signed_note import Signer
from storage.journal.transparency.tiles import Tiles
from storage.journal.verify.verify import verify

NOON, DAY_MS = 1_795_521_600_000, 86_400_000
CLOSED, OPEN = "day/2026-11-24.jsonl.zst", "day/2026-11-25.jsonl"
LATER = NOON + 200 * DAY_MS
Lines = list[bytes]


class Log:
    """A copy of a log, to be damaged by somebody who knows the format and, where the case says so, has the key."""

    def __init__(self, folder: Path, signer: Signer) -> None:
        self.folder = folder
        self.signer = signer
        self.against: str | None = None

    def lines(self, file: str = CLOSED) -> Lines:
        data = (self.folder / file).read_bytes()
        if file.endswith(".zst"):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        return data.splitlines(keepends=True)

    def write(self, lines: Lines, file: str = CLOSED) -> None:
        data = b"".join(lines)
        if file.endswith(".zst"):
            data = zstandard.ZstdCompressor(write_checksum=True).compress(data)
        (self.folder / file).write_bytes(data)

    def edit(self, number: int, change: Callable[[dict[str, Any]], None], file: str = CLOSED) -> None:
        """Change a line, with commitments and spelling as they should be."""
        lines = self.lines(file)
        record = json.loads(lines[number - 1])
        change(record)
        record["c"] = [
            c if "erased" in part else commitment(part) for part, c in zip(record["x"], record["c"], strict=True)
        ]
        self.write([*lines[: number - 1], orjson.dumps(record) + b"\n", *lines[number:]], file)

    def flip(self, file: str, at: int) -> None:
        data = bytearray((self.folder / file).read_bytes())
        data[at] ^= 1
        (self.folder / file).write_bytes(data)

    def sign(self, size: int, root: bytes, signer: Signer | None = None) -> str:
        return Checkpoint(self.signer.name, size, root).signed(signer or self.signer)

    def sign_all_anew(self) -> None:
        """Make tiles and checkpoints fit the lines, as only the keeper of the key can."""
        shutil.rmtree(self.folder / "tile")
        tree = Tree()
        for path in sorted((self.folder / "day").iterdir()):
            tree.extend([open_line(line.rstrip(b"\n")).leaf for line in self.lines(f"day/{path.name}")])
            note = self.sign(tree.size, tree.root())
            if path.suffix == ".zst":
                (self.folder / f"checkpoints/{path.name[:10]}.ckpt").write_text(note)
        (self.folder / "checkpoint").write_text(note)
        Tiles(self.folder / "tile").write(tree)


@pytest.fixture(scope="module")
def sound(new_place: Callable[[], Any], tools: Any) -> Any:
    """Provide a log: 0-300 in a closed day; 301-400 in an open one, of which 302 erases 1, and 400 is a start."""
    place = new_place()
    with place.open() as journal:
        journal.append([tools.message(f"message {number}") for number in range(1, 301)])
        journal.append([tools.message("tomorrow", NOON + DAY_MS)])
        targets = Targets.of([(1, 0)])
        [by] = journal.append([tools.erase(targets, NOON + DAY_MS)])
        journal.erase(targets, by)
        journal.append([tools.message("tomorrow", NOON + DAY_MS)] * 97 + [tools.start(NOON + DAY_MS)])
        journal.close(NOON)
    assert verify(place.folder).problems == ()
    return place


@pytest.fixture
def log(sound: Any, tmp_path: Path) -> Log:
    signer = Signer.parse((sound.data_dir / "keys/log.key").read_text().strip())
    return Log(Path(shutil.copytree(sound.folder, tmp_path / "records")), signer)


def body(record: dict[str, Any]) -> None:
    record["x"][0]["body"] = "another"


def mark(by: int, date: str = "2026-11-25") -> Callable[[dict[str, Any]], None]:
    return lambda record: record.update(x=[{"erased": date, "by": by}])


def replace(number: int, old: bytes, new: bytes) -> Callable[[Log], None]:
    def change(log: Log) -> None:
        lines = log.lines()
        assert old in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new, 1)
        log.write(lines)

    return change


def rearrange(change: Callable[[Lines], Lines]) -> Callable[[Log], None]:
    return lambda log: log.write(change(log.lines()))


def edit(number: int, change: Callable[[dict[str, Any]], None], *, sign: bool = False) -> Callable[[Log], None]:
    def spoil(log: Log) -> None:
        log.edit(number, change)
        if sign:
            log.sign_all_anew()

    return spoil


def write(file: str, content: Callable[[Log], bytes]) -> Callable[[Log], None]:
    def spoil(log: Log) -> None:
        (log.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (log.folder / file).write_bytes(content(log))

    return spoil


def forge(size: int, file: str = "") -> Callable[[Log], None]:
    """Return a change: somebody was given another history of the same size, signed with the right key."""

    def spoil(log: Log) -> None:
        log.against = log.sign(size, b"\1" * 32)

    return spoil


def bomb(block: bytes, count: int) -> Callable[[Log], None]:
    """Return a change that writes a few kilobytes which claim to be gigabytes."""

    def spoil(log: Log) -> None:
        packer = zstandard.ZstdCompressor(level=1).compressobj()
        data = b"".join(packer.compress(block) for _ in range(count)) + packer.flush()
        assert len(data) * 1000 < len(block) * count
        (log.folder / CLOSED).write_bytes(data)

    return spoil


def back(record: dict[str, Any]) -> None:
    record["t"] = "2026-11-24T11:49:59.999Z"


def undo(log: Log) -> None:
    """Put the part back that was erased, as a backup would."""
    log.edit(2, lambda record: record.update(x=[{"body": "back again"}]))
    log.sign_all_anew()


def foreign_tile(log: Log) -> bytes:
    tree = Tree()
    tree.extend([b"\7" * 32] * 256)
    return tree.full_tiles()[0][2]


FAULTS: dict[str, tuple[Callable[[Log], None], str, str, int]] = {
    "a bit flipped in a skeleton": (replace(9, b'"G-7F3K"', b'"G-7F3J"'), "leaf", CLOSED, 9),
    "a bit flipped in a time": (replace(9, b"T12:00:00.000Z", b"T12:00:01.000Z"), "leaf", CLOSED, 9),
    "a bit flipped in a part": (replace(9, b"message 8", b"message 9"), "part", CLOSED, 9),
    "a bit flipped in a salt": (replace(9, b'"s":"', b'"s":"A'), "part", CLOSED, 9),
    "a bit flipped in a mark": (replace(2, b'"by":302', b'"by":303'), "erased_unknown", CLOSED, 2),
    "a bit flipped in the date of a mark": (replace(2, b'"2026-11-25"', b'"2026-11-24"'), "erased_date", CLOSED, 2),
    "a bit flipped in braces": (replace(9, b"{", b"["), "line_unreadable", CLOSED, 9),
    "a bit flipped in a tile": (lambda log: log.flip("tile/0/000", 40), "tile", "tile/0/000", 0),
    "a bit flipped in a tile above": (lambda log: log.flip("tile/1/000.p/1", 4), "tile", "tile/1/000.p/1", 0),
    "a bit flipped in the checkpoint": (lambda log: log.flip("checkpoint", 20), "signature", "checkpoint", 0),
    "a bit flipped in the key": (lambda log: log.flip("log.vkey", 30), "key_damaged", "log.vkey", 0),
    "a bit flipped in a compressed day": (lambda log: log.flip(CLOSED, 900), "day_compression", CLOSED, 1),
    "a part rewritten with its commitment": (edit(9, body), "leaf", CLOSED, 9),
    "two lines swapped": (rearrange(lambda x: [*x[:8], x[9], x[8], *x[10:]]), "sequence", CLOSED, 9),
    "a line missing": (rearrange(lambda x: x[:8] + x[9:]), "sequence", CLOSED, 9),
    "a line doubled": (rearrange(lambda x: [*x[:9], *x[8:]]), "sequence", CLOSED, 10),
    "a line inserted": (rearrange(lambda x: [*x[:8], x[200], *x[8:]]), "sequence", CLOSED, 9),
    "an empty line inserted": (rearrange(lambda x: [*x[:8], b"\n", *x[8:]]), "line_unreadable", CLOSED, 9),
    "a torn last line of a closed day": (rearrange(lambda x: [*x[:-1], x[-1][:-9]]), "line_cut", CLOSED, 301),
    "a line with spaces": (replace(9, b",", b", "), "line_spelling", CLOSED, 9),
    "a line with a twin": (replace(9, b'"k":"message"', b'"k":"start","k":"message"'), "line_spelling", CLOSED, 9),
    "a line that is no record": (rearrange(lambda x: [*x[:8], b"{}\n", *x[9:]]), "line_form", CLOSED, 9),
    "a time after its day": (edit(9, lambda r: r.update(t="2026-11-25T00:00:00.000Z"), sign=True), "time", CLOSED, 9),
    "a time that is none": (edit(9, lambda r: r.update(t="yesterday"), sign=True), "time", CLOSED, 9),
    "a record dated back": (edit(9, back, sign=True), "backdated", CLOSED, 9),
    "a record dated before its day": (
        edit(1, lambda r: r.update(t="2026-11-23T23:49:59.999Z"), sign=True),
        "backdated",
        CLOSED,
        1,
    ),
    "a day cut off in the middle": (
        write(CLOSED, lambda log: (log.folder / CLOSED).read_bytes()[:-9]),
        "day_truncated",
        CLOSED,
        1,
    ),
    "something after a day": (
        write(CLOSED, lambda log: (log.folder / CLOSED).read_bytes() + b"x"),
        "day_trailing",
        CLOSED,
        302,
    ),
    "a day with two files": (
        write("day/2026-11-24.jsonl", lambda log: b"".join(log.lines()[:5])),
        "day_twins",
        CLOSED,
        0,
    ),
    "a bomb of one line": (bomb(b"x" * 1_000_000, 500), "day_long", CLOSED, 1),
    "a bomb of empty lines": (bomb(b"\n" * 1_000_000, 500), "line_unreadable", CLOSED, 1),
    "a day that is gone": (lambda log: (log.folder / CLOSED).unlink(), "sequence", OPEN, 1),
    "the end gone": (lambda log: log.write(log.lines(OPEN)[:-1], OPEN), "missing", "checkpoint", 0),
    "a truncated tile": (write("tile/0/000", lambda log: b"\0" * 8191), "tile", "tile/0/000", 0),
    "a tile that is gone": (lambda log: (log.folder / "tile/0/000").unlink(), "tile_missing", "tile/0/000", 0),
    "a tile of another log": (write("tile/0/000", foreign_tile), "tile", "tile/0/000", 0),
    "a tile of records that are not there": (write("tile/0/007", foreign_tile), "tile_beyond", "tile/0/007", 0),
    "a file that is no tile": (write("tile/0/seven", foreign_tile), "tile_name", "tile/0/seven", 0),
    "a checkpoint signed by another key": (
        write("checkpoint", lambda log: log.sign(401, b"\0" * 32, Signer.generate(log.signer.name)).encode()),
        "signature",
        "checkpoint",
        0,
    ),
    "another key": (
        write("log.vkey", lambda log: Signer.generate(log.signer.name).verifier.text.encode() + b"\n"),
        "key_differs",
        "log.vkey",
        0,
    ),
    "no key": (lambda log: (log.folder / "log.vkey").unlink(), "key_missing", "log.vkey", 0),
    "no checkpoint": (lambda log: (log.folder / "checkpoint").unlink(), "checkpoint_missing", "checkpoint", 0),
    "no closing checkpoint": (
        lambda log: (log.folder / "checkpoints/2026-11-24.ckpt").unlink(),
        "closing_missing",
        "checkpoints/2026-11-24.ckpt",
        0,
    ),
    "a closing checkpoint of another size": (
        write("checkpoints/2026-11-24.ckpt", lambda log: (log.folder / "checkpoint").read_bytes()),
        "closing_size",
        CLOSED,
        0,
    ),
    "closing checkpoints out of order": (
        write("checkpoints/2026-11-20.ckpt", lambda log: (log.folder / "checkpoint").read_bytes()),
        "closing_order",
        "checkpoints/2026-11-24.ckpt",
        0,
    ),
    "two histories, both signed": (forge(401), "fork", "against", 0),
    "another history at an earlier size": (forge(350), "root", "against", 0),
    "a longer history": (forge(999), "missing", "against", 0),
    "a log that does not begin with genesis": (edit(1, lambda r: r.update(k="start")), "genesis", CLOSED, 1),
    "a part taken away": (edit(9, mark(999)), "erased_unknown", CLOSED, 9),
    "a part taken away in the name of an erasure": (edit(9, mark(302)), "erased_other", CLOSED, 9),
    "a part taken away in the name of an older record": (edit(9, mark(3)), "part", CLOSED, 9),
    "an erased part put back": (undo, "erased_not", CLOSED, 2),
    "records removed without a word": (write(MIN_INDEX, lambda log: b"301\n"), "purge_undeclared", MIN_INDEX, 0),
    "a min_index that is no number": (write(MIN_INDEX, lambda log: b"all\n"), "purge_mismatch", MIN_INDEX, 0),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_with_its_place(log: Log, name: str) -> None:
    spoil, code, file, line = FAULTS[name]
    spoil(log)
    report = verify(log.folder, against=log.against)
    assert not report.ok
    assert (code, file, line) in {(problem.code, problem.file, problem.line) for problem in report.problems}
    first = report.problems[0]
    assert first.line in (0, line) or not line  # nothing before it is called wrong


@pytest.fixture
def purged(place: Any, tools: Any) -> Log:
    """Provide a log: 0-301 on a day long ago, purged; 302-304 LATER, of which 303 is the purge record."""
    with place.open() as journal:
        journal.append([tools.message()] * 301)
        journal.append([tools.message("now", LATER), tools.purge(302, LATER), tools.start(LATER)])
        journal.purge(302, 303)
        journal.close(LATER)
    assert verify(place.folder).problems == ()
    return Log(place.folder, Signer.parse((place.data_dir / "keys/log.key").read_text().strip()))


TODAY = "day/2027-06-12.jsonl"
OLD = "checkpoints/2026-11-24.ckpt"


def remove_more(log: Log) -> None:
    log.write(log.lines(TODAY)[1:], TODAY)
    (log.folder / MIN_INDEX).write_text("303\n")


AFTER_A_PURGE: dict[str, tuple[Callable[[Log], object], str, str, int]] = {
    "more is gone than was declared": (remove_more, "tile_lost", "tile/0/001.p/47", 0),
    "another purge than was declared": (write(MIN_INDEX, lambda log: b"303\n"), "purge_undeclared", MIN_INDEX, 0),
    "more is gone than min_index says": (
        lambda log: log.write(log.lines(TODAY)[1:], TODAY),
        "purge_mismatch",
        MIN_INDEX,
        0,
    ),
    "min_index is gone": (lambda log: (log.folder / MIN_INDEX).unlink(), "sequence", TODAY, 1),
    "the purge was too early": (
        lambda log: (log.folder / OLD).rename(log.folder / "checkpoints/2026-12-12.ckpt"),
        "purge_early",
        TODAY,
        2,
    ),
    "nothing shows that it was not": (lambda log: (log.folder / OLD).unlink(), "purge_unproved", TODAY, 2),
    "a tile that cannot be made again is gone": (
        lambda log: shutil.rmtree(log.folder / "tile/1"),
        "tile_lost",
        "tile/1/000.p/1",
        0,
    ),
    "an older checkpoint that cannot be compared": (
        lambda log: setattr(log, "against", log.sign(100, b"\0" * 32)),
        "against_purged",
        "against",
        0,
    ),
    "an older checkpoint of another history": (
        lambda log: setattr(log, "against", log.sign(256, b"\0" * 32)),
        "root",
        "against",
        0,
    ),
}


@pytest.mark.parametrize("name", AFTER_A_PURGE)
def test_each_fault_after_a_purge(purged: Log, name: str) -> None:
    spoil, code, file, line = AFTER_A_PURGE[name]
    spoil(purged)
    report = verify(purged.folder, against=purged.against)
    assert (code, file, line) in {(problem.code, problem.file, problem.line) for problem in report.problems}
