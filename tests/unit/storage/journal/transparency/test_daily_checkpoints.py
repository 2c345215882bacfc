"""Closing checkpoints: handed out once the day is finally closed; additions by others stay, and are checked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.journal.report import Problem
from storage.journal.transparency import timestamp
from storage.journal.transparency.cosignature import Cosigner
from storage.journal.transparency.daily_checkpoints import Closings, own_note
from storage.journal.transparency.signed_note import Signer
from storage.journal.verify.verify import verify
from tests.fakes.tsa import FakeTsa
from tests.proofs import cosign

DAY = "2026-11-24"
SEED = bytes(range(32))
WITNESS = Cosigner("witness.example.net/w1", Signer("-", SEED).verifier.key)


@pytest.fixture
def closed(place: Any, tools: Any) -> Iterator[Any]:
    """Provide a log whose first day is closed."""
    with place.open() as journal:
        journal.append([tools.message(str(n)) for n in range(3)])
        assert journal.close_day(tools.noon + tools.day_ms) == DAY
    yield place


def line(note: str, name: str = WITNESS.name) -> str:
    return cosign(name, SEED, note.rpartition("\n\n")[0] + "\n", 1_700_000_000)


def problems(place: Any, *witnesses: Cosigner, against: str | None = None) -> tuple[Problem, ...]:
    return verify(place.folder, witnesses=witnesses, against=against).problems


def test_a_closed_day_has_one_that_covers_it(closed: Any) -> None:
    closings = Closings(closed.folder)
    assert closings.days() == [DAY]
    closing = closings.read(DAY)
    assert (closing.day, closing.size, closing.as_signed) == (DAY, 4, closing.note)


def test_one_of_a_day_that_is_not_packed_yet_is_not_handed_out(closed: Any) -> None:
    closed.day(DAY).touch()
    assert Closings(closed.folder).days() == []


def test_other_files_are_no_days(closed: Any) -> None:
    for name in ("latest.ckpt", ".2026-11-25.ckpt.tmp", "2026-11-25.tsr"):
        (closed.folder / "checkpoints" / name).touch()
    assert Closings(closed.folder).days() == [DAY]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"no note\n"])
def test_one_that_cannot_be_read_is_no_closing(closed: Any, content: bytes | None) -> None:
    path: Path = closed.folder / "checkpoints" / f"{DAY}.ckpt"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LookupError):
        Closings(closed.folder).read(DAY)


def test_added_cosignature_lines_are_kept(closed: Any) -> None:
    closings = Closings(closed.folder)
    own = closings.read(DAY).note
    first, second = line(own), line(own, "other.example.net/w")
    closings.add_lines(DAY, [first])
    closings.add_lines(DAY, [first, second])
    assert closings.read(DAY).note == own + first + second
    assert closings.read(DAY).as_signed == own_note(own + first) == own
    assert problems(closed) == problems(closed, WITNESS) == ()
    assert problems(closed, WITNESS, against=own + first) == ()


def test_a_damaged_cosignature_is_reported_only_by_who_knows_the_key(closed: Any) -> None:
    closings = Closings(closed.folder)
    own = closings.read(DAY).note
    other = Cosigner("other.example.net/w", WITNESS.key)
    wrong = cosign(WITNESS.name, SEED, "another text\n", 5)
    closings.add_lines(DAY, [wrong, line(own, other.name)])
    file = f"checkpoints/{DAY}.ckpt"
    assert problems(closed) == problems(closed, other) == ()
    assert problems(closed, other, WITNESS) == (Problem("cosignature", file, fields={"name": WITNESS.name}),)
    assert problems(closed, WITNESS, against=own + wrong) == (
        Problem("cosignature", file, fields={"name": WITNESS.name}),
        Problem("cosignature", "against", fields={"name": WITNESS.name}),
    )


def test_a_cosignature_from_the_future_is_reported(closed: Any) -> None:
    own = Closings(closed.folder).read(DAY).note
    year_2200 = cosign(WITNESS.name, SEED, own.rpartition("\n\n")[0] + "\n", 7_258_118_400)
    Closings(closed.folder).add_lines(DAY, [year_2200])
    file = f"checkpoints/{DAY}.ckpt"
    assert problems(closed, WITNESS) == (Problem("cosignature_ahead", file, fields={"name": WITNESS.name}),)


def test_that_a_witness_said_nothing_is_no_fault(closed: Any) -> None:
    assert problems(closed, WITNESS) == ()


def test_a_time_stamp_is_kept_and_belongs_to_its_checkpoint(closed: Any) -> None:
    closings = Closings(closed.folder)
    note = closings.read(DAY).as_signed
    assert closings.timestamp(DAY) is None
    stamp = FakeTsa().respond(timestamp.request(note).data)
    closings.add_timestamp(DAY, stamp)
    closings.add_timestamp(DAY, b"a second one")
    closings.add_lines(DAY, [line(note)])
    assert closings.timestamp(DAY) == stamp
    assert problems(closed) == ()


@pytest.mark.parametrize("of", ["another note\n", ""])
def test_a_time_stamp_of_something_else_is_reported(closed: Any, of: str) -> None:
    stamp = FakeTsa().respond(timestamp.request(of).data) if of else b"nothing"
    Closings(closed.folder).add_timestamp(DAY, stamp)
    fields = {"other": f"checkpoints/{DAY}.ckpt"}
    assert problems(closed) == (Problem("timestamp", f"checkpoints/{DAY}.tsr", fields=fields),)
