"""Day files: read in bounded memory whatever they contain, and closed without a gap."""

import resource
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from moderation.values.errors import Broken
from storage.journal import days
from storage.journal.days import DamagedDay, Day, DayLines, close_day, finish_closing, list_days
from storage.journal.line_format import MAX_LINE

LINES = [b"line %d" % number for number in range(200_000)]
TEXT = b"\n".join(LINES) + b"\n"


def read(path: Path) -> tuple[list[bytes], bytes]:
    lines = DayLines(path)
    return list(lines.each()), lines.rest


def open_day(folder: Path, text: bytes = TEXT) -> Day:
    path = folder / "2026-11-24.jsonl"
    path.write_bytes(text)
    return Day("2026-11-24", path)


def test_a_closed_day_reads_as_it_did_when_open(tmp_path: Path) -> None:
    day = open_day(tmp_path)
    assert read(day.path) == (LINES, b"")
    close_day(day)
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11-24.jsonl.zst"]
    assert read(tmp_path / "2026-11-24.jsonl.zst") == (LINES, b"")
    assert read(day.path) == (LINES, b"")  # a reader that listed the folder before still finds it


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("skip", [0, 1, 99_999, len(LINES) - 1, len(LINES), len(LINES) + 1])
def test_lines_after_some_that_are_skipped(tmp_path: Path, skip: int, closed: bool) -> None:
    day = open_day(tmp_path)
    if closed:
        close_day(day)
    assert list(DayLines(day.path).each(skip)) == LINES[skip:]


def test_text_after_the_last_newline_is_not_a_line(tmp_path: Path) -> None:
    assert read(open_day(tmp_path, b"one\ntwo").path) == ([b"one"], b"two")
    assert read(open_day(tmp_path, b"").path) == ([], b"")


def test_days_in_order_the_closed_file_first(tmp_path: Path) -> None:
    for name in (
        "2026-11-25.jsonl",
        "2026-11-24.jsonl.zst",
        "2026-11-24.jsonl",
        "notes.jsonl",
        ".2026-11-26.jsonl.tmp",
    ):
        (tmp_path / name).touch()
    assert [day.path.name for day in list_days(tmp_path)] == ["2026-11-24.jsonl.zst", "2026-11-25.jsonl"]
    assert [day.closed for day in list_days(tmp_path)] == [True, False]


def test_a_crash_while_closing_is_finished(tmp_path: Path) -> None:
    day = open_day(tmp_path)
    close_day(day)
    day.path.write_bytes(TEXT)
    finish_closing(tmp_path)
    assert not day.path.exists()


def test_two_files_of_a_day_that_differ_are_kept_and_named(tmp_path: Path) -> None:
    day = open_day(tmp_path)
    close_day(day)
    day.path.write_bytes(TEXT + b"one more\n")
    with pytest.raises(Broken, match="differ"):
        finish_closing(tmp_path)
    assert day.path.exists()


@given(st.integers(0, 3000))
def test_no_piece_of_a_closed_day_passes_for_the_whole(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    data = zstandard.ZstdCompressor(write_checksum=True).compress(b"\n".join(LINES[:500]) + b"\n")
    path = tmp_path_factory.mktemp("day") / "2026-11-24.jsonl.zst"
    path.write_bytes(data[: min(length, len(data) - 1)])
    with pytest.raises(DamagedDay):
        read(path)


@pytest.mark.parametrize(
    "more", [b"x", b"\n", zstandard.ZstdCompressor().compress(b"line\n"), b"\x50\x2a\x4d\x18\0\0\0\0"]
)
def test_nothing_may_follow_the_frame(tmp_path: Path, more: bytes) -> None:
    path = tmp_path / "2026-11-24.jsonl.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(TEXT) + more)
    with pytest.raises(DamagedDay) as raised:
        read(path)
    assert raised.value.code == "trailing"


def test_a_changed_byte_in_a_closed_day_is_seen(tmp_path: Path) -> None:
    day = open_day(tmp_path)
    close_day(day)
    path = tmp_path / "2026-11-24.jsonl.zst"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedDay):
        read(path)


@pytest.mark.parametrize("filling", [b"\0", b"\n", b"{}\n"])
def test_a_bomb_is_read_in_bounded_memory(tmp_path: Path, filling: bytes) -> None:
    path = tmp_path / "2026-11-24.jsonl.zst"
    compressor = zstandard.ZstdCompressor()
    with path.open("wb") as file, compressor.stream_writer(file) as writer:
        for _ in range(512):
            writer.write(filling * ((1 << 20) // len(filling)))  # half a GiB from some 50 KiB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = 0
    try:
        for batch in DayLines(path):
            count += len(batch)
            if count > 5_000_000:
                break
    except DamagedDay as error:
        assert error.code == "long"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * 1024  # KiB


def test_an_endless_line_is_not_collected(tmp_path: Path) -> None:
    with pytest.raises(DamagedDay) as raised:
        read(open_day(tmp_path, b"x" * (MAX_LINE + days._BLOCK + 1)).path)
    assert raised.value.code == "long"


def test_a_day_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(DamagedDay) as raised:
        read(tmp_path / "2026-11-24.jsonl")
    assert raised.value.code == "missing"
