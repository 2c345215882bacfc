"""A log recovers, at whatever moment the process died, and reports real damage."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.values.errors import Broken
from storage.journal.journal import Journal
from storage.journal.verify.verify import verify
from tests.examples import STRIDE, tried
from tests.unit.storage.journal.killed import KILLED, killed_at

NOON, DAY_MS = 1_795_521_600_000, 86_400_000


def test_a_torn_line_is_cut_off_and_reported(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message("kept")])
        journal.sync()
    whole = place.day().read_bytes()
    place.day().write_bytes(whole + whole.splitlines()[-1][:50])
    with place.open() as journal:
        recovery = journal.recovery
        assert recovery is not None
        assert (recovery.file, recovery.index, recovery.lost_bytes) == ("day/2026-11-24.jsonl", 2, 50)
        assert journal.get(2).fields == {"what": "unsigned", "count": 1, "on": 1}
        assert (journal.size, place.day().read_bytes()[: len(whole)]) == (3, whole)


def test_a_day_of_which_only_a_torn_line_was_written_goes(place: Any, tools: Any) -> None:
    place.open().close(NOON)
    place.day("2026-11-25").write_bytes(b'{"half')
    with place.open(NOON + DAY_MS) as journal:
        recovery = journal.recovery
        assert recovery is not None
        assert (recovery.file, recovery.index, recovery.lost_bytes) == ("day/2026-11-25.jsonl", 1, 6)
        journal.append([tools.message("two days later", NOON + 2 * DAY_MS)])
        journal.close(NOON + 2 * DAY_MS)
    assert verify(place.folder).problems == ()


@pytest.mark.parametrize("garbage", [b"\0" * 5000, b"garbage\n", b"\xff\n\xfe\n", b"\n\n", b"{}\n"])
def test_a_torn_end_may_have_any_form(place: Any, garbage: bytes) -> None:
    place.open().close(NOON)
    whole = place.day().read_bytes()
    place.day().write_bytes(whole + garbage)
    with place.open() as journal:
        assert (journal.size, place.day().read_bytes()) == (1, whole)


def test_a_damaged_line_with_whole_ones_after_it_is_named_and_left_alone(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message(), tools.message()])
    place.change("day/2026-11-24.jsonl", b'"k":"message"', b'"k";"message"')
    damaged = place.day().read_bytes()
    with pytest.raises(Broken, match=r"2026-11-24\.jsonl, line 2"):
        place.open()
    assert place.day().read_bytes() == damaged


def test_signed_records_are_never_cut_off(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message()])
        journal.close(NOON)
    whole = place.day().read_bytes()
    place.day().write_bytes(whole[:-10])
    with pytest.raises(Broken, match="some are missing"):
        place.open()
    assert place.day().read_bytes() == whole[:-10]


def test_records_other_than_the_signed_ones_are_refused(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message()])
        journal.close(NOON)
    place.change("day/2026-11-24.jsonl", b'"k":"message"', b'"k":"massage"')
    with pytest.raises(Broken, match="not those that were signed"):
        place.open()


def test_tiles_and_checkpoint_are_made_again_from_the_days(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message(at_ms=NOON + DAY_MS * (number // 200)) for number in range(700)])
        journal.close(NOON)
    for path in [*place.folder.glob("tile/**/*"), place.folder / "checkpoint"]:
        if path.is_file():
            path.unlink()
    with place.open() as journal:
        assert journal.get(701).fields == {"what": "unsigned", "count": 701, "on": 0}
        journal.close(NOON)
    assert verify(place.folder).problems == ()


def test_a_wrong_tile_is_named(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message()] * 300)
        journal.close(NOON)
    tile = place.folder / "tile/0/000"
    tile.write_bytes(b"\0" * 8192)
    with pytest.raises(Broken, match="tile/0/000"):
        place.open()


def test_a_damaged_checkpoint_is_named(place: Any) -> None:
    place.open().close(NOON)
    place.change("checkpoint", b"example.org/log\n1", b"example.org/log\n2")
    with pytest.raises(Broken, match="checkpoint"):
        place.open()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 40), st.integers(-1, 1)),
        st.tuples(st.just("many"), st.integers(200, 300), st.just(0)),
        st.sampled_from([("sync", 0, 0), ("checkpoint", 0, 0), ("reopen", 0, 0), ("midnight", 0, 0)]),
        st.tuples(st.just("crash"), st.integers(0, 10**6), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=tried(40))
@given(steps)
def test_any_crash_sequence_reopens_and_verifies(
    new_place: Callable[[], Any], tools: Any, steps: list[tuple[str, int, int]]
) -> None:
    """Any sequence of writing and dying, with the unsynced end cut at any byte."""
    place = new_place()
    journal, now, durable = place.open(), NOON, 1
    for step, number, days in steps:
        match step:
            case "append" | "many":
                now += days * DAY_MS + 1000
                journal.append([tools.message(f"{number} 字", now)] * number)
            case "sync":
                journal.sync()
            case "checkpoint":
                journal.checkpoint(now)
            case "midnight":
                now += DAY_MS
                journal.close_day(now)
            case "reopen":
                journal.close(now)
                journal = place.open(now)
            case "crash":
                survivor = cut_unsynced(place.crash(), journal, number)
                journal.__exit__(None, None, None)
                place = survivor
                journal = place.open(now)
                assert journal.size >= durable
        durable = max(durable, journal._synced) if step != "crash" else journal.size
        assert verify(place.folder).problems == ()
    journal.close(now)
    report = verify(place.folder)
    assert (report.problems, report.records, report.signed) == ((), journal.size, journal.size)
    assert [record.index for record in journal.read()] == list(range(journal.size))


def cut_unsynced(place: Any, journal: Journal, number: int) -> Any:
    """Cut the open day at some byte that no sync has promised."""
    days = sorted((place.folder / "day").glob("*.jsonl"))
    if days and journal._day.is_open:
        promised = journal._day.offset_of(journal._synced)
        data = days[-1].read_bytes()
        keep = promised + number % (len(data) - promised + 1)
        days[-1].write_bytes(data[:keep])
    return place


@pytest.mark.parametrize("stage", ["signed", "kept", "packed", "both"])
def test_a_crash_at_each_step_of_closing_a_day(place: Any, tools: Any, stage: str) -> None:
    with place.open() as journal:
        journal.append([tools.message()] * 5)
        journal.checkpoint(NOON)
        before = place.crash()
        journal.close_day(NOON + DAY_MS)
    after = place.folder
    text = before.day().read_bytes()
    if stage != "signed":
        name = "checkpoints/2026-11-24.ckpt"
        (before.folder / name).write_bytes((after / name).read_bytes())
    if stage in ("packed", "both"):
        name = "day/2026-11-24.jsonl.zst"
        (before.folder / name).write_bytes((after / name).read_bytes())
    if stage == "packed":
        before.day().unlink()
    (before.folder / "day" / ".2026-11-24.jsonl.zst.0badcafe.tmp").write_bytes(text[:7])
    assert verify(before.folder).problems == ()
    with before.open(NOON + DAY_MS) as journal:
        assert journal.append([tools.message(at_ms=NOON), tools.message(at_ms=NOON + DAY_MS)]) == [6, 7]
        journal.close(NOON)
    assert verify(before.folder).problems == ()


def run_until(call: int, place: Any, tools: Any) -> int:
    def work(begin: Callable[[], None]) -> None:
        begin()
        journal = place.open()
        journal.append([tools.message("before")] * 10)
        journal.sync()
        journal.checkpoint(NOON)
        journal.append([tools.message("after", NOON + DAY_MS)] * 5)
        journal.close(NOON + DAY_MS)

    return killed_at(call, work)


@pytest.mark.examples
def test_killed_at_any_call_to_the_file_system(place: Any, tools: Any) -> None:
    """The records fill a tile and the next day closes the first, so every step is interrupted at every call."""
    with place.open() as journal:
        journal.append([tools.message()] * 249)
        journal.close(NOON)
    call, ended = 1 - STRIDE, KILLED
    while ended == KILLED:
        call += STRIDE
        victim = place.crash()
        ended = run_until(call, victim, tools)
        assert ended in (KILLED, 0)
        assert verify(victim.folder).problems == ()
        with victim.open(NOON + DAY_MS) as journal:
            assert journal.size in (250, 260, 265, 261, 266)  # with a word on what was not signed
            journal.append([tools.message("on", NOON + DAY_MS)])
            journal.close(NOON + DAY_MS)
        report = verify(victim.folder)
        assert (report.problems, report.signed) == ((), report.records)
        assert not list(victim.folder.rglob("*.tmp"))
        victim.keys.close()
    assert call > 50
