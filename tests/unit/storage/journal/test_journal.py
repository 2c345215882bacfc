"""The journal keeps its records, refuses if it cannot, and recovers from any crash."""

import errno
import json
import os
import re
import resource
import signal
from typing import Any

import pytest

from moderation.values.errors import Broken, Invalid
from moderation.values.ids import PersonId
from storage.journal.journal import Journal
from storage.journal.record import Draft, Part
from storage.journal.record_keys import pseudonym
from storage.journal.transparency.checkpoint import open_checkpoint
from storage.journal.transparency.signed_note import NoteVerifier
from storage.journal.verify.verify import verify

NOON, DAY_MS = 1_795_521_600_000, 86_400_000


def root_of(journal: Journal) -> tuple[int, bytes]:
    checkpoint = open_checkpoint(journal.signed_checkpoint, [NoteVerifier.parse(journal.vkey)])
    return checkpoint.size, checkpoint.root


def test_a_new_log_begins_with_genesis_and_is_signed(place: Any) -> None:
    with place.open() as journal:
        assert (journal.size, root_of(journal)[0], journal.recovery) == (1, 1, None)
        genesis = journal.get(0)
    assert (genesis.kind, genesis.fields, genesis.group) == ("genesis", {"format": 1}, None)
    assert genesis.parts[0]["vkey"] == (place.folder / "log.vkey").read_text().strip()


def test_records_are_numbered_and_read_back(place: Any, tools: Any) -> None:
    with place.open() as journal:
        assert journal.append([tools.start(), tools.message("one"), tools.message("two")]) == [1, 2, 3]
        assert journal.append([]) == []
        journal.sync()
        assert [(record.index, record.kind) for record in journal.read()] == [
            (0, "genesis"),
            (1, "start"),
            (2, "message"),
            (3, "message"),
        ]
        assert [record.index for record in journal.read(1, 3)] == [1, 2]
        record = journal.get(3)
        assert (record.parts[0]["body"], record.at_ms, record.group) == ("two", NOON, "G-7F3K")
        for index in (-1, 4):
            with pytest.raises(LookupError):
                journal.get(index)


def test_every_part_has_its_own_salt_and_its_persons_pseudonym(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message(), tools.message(), tools.message(person="@ben:example.org"), tools.notice()])
    lines = place.lines()[1:]
    key = place.keys.existing("@anna:example.org")
    anna = pseudonym(key, "G-7F3K", "2026-11-24")
    assert [line["p"] for line in lines[:2]] == [[anna], [anna]]
    assert lines[2]["p"] != [anna]
    assert (lines[3]["p"], "p" in lines[3]["x"][0]) == ([], False)
    assert re.fullmatch(r"p[a-z2-7]{16}", anna)
    assert len({part["s"] for line in lines for part in line["x"]}) == 4


def test_pseudonyms_differ_by_person_group_and_day() -> None:
    names = {
        pseudonym(key, group, day)
        for key in (b"1" * 32, b"2" * 32)
        for group in (None, "G-2222", "G-3333")
        for day in ("2026-11-24", "2026-11-25")
    }
    assert len(names) == 12


@pytest.mark.parametrize(
    "draft",
    [
        Draft("gossip", NOON),
        Draft("start", NOON, fields={"colour": "red"}),
        Draft("start", NOON, fields={"version": 1}),
        Draft("start", NOON, fields={"version": "x" * 65}),
        Draft("start", NOON, fields={"version": "1.0 β"}),
        Draft("start", NOON, fields={"version": "a\nb"}),
        Draft("start", NOON, fields={"version": "@anna:example.org"}),
        Draft("start", NOON, fields={"version": "$event"}),
        Draft("credit", NOON, fields={"cost": True}),
        Draft("credit", NOON, fields={"cost": 2**53}),
        Draft("credit", NOON, fields={"cost": 1.5}),  # type: ignore[dict-item]
        Draft("start", NOON, group="!room:example.org"),
        Draft("start", -1),
        Draft("start", 10**15),
        Draft("message", NOON, parts=(Part(PersonId("@a:b"), {"s": "salt"}),)),
        Draft("message", NOON, parts=(Part(PersonId("@a:b"), {"erased": "2026-11-24", "by": 1}),)),
    ],
)
def test_a_draft_that_breaks_a_rule_is_refused_and_nothing_is_written(place: Any, tools: Any, draft: Draft) -> None:
    with place.open() as journal:
        before = place.day().read_bytes()
        with pytest.raises(Broken):
            journal.append([tools.message(), draft])
        assert (place.day().read_bytes(), journal.size) == (before, 1)
        assert journal.append([tools.message()]) == [1]


def test_drafts_accept_any_outside_content(place: Any) -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    data: Any = {"a": float("nan"), "b": 2**200, "c": "\ud800", "d": [1e400, {"\udfff": deep}], "e": None}
    with place.open() as journal:
        journal.append([Draft("message", NOON, parts=(Part(PersonId("@a:b"), data),))])
        journal.close(NOON)
    assert verify(place.folder).problems == ()


def test_checkpoints_are_due_by_time_or_number(place: Any, tools: Any) -> None:
    with place.open() as journal:
        assert not journal.due_for_checkpoint(NOON + 10 * 60_000)  # nothing is waiting
        journal.append([tools.message()])
        assert not journal.due_for_checkpoint(NOON + 59_999)
        assert journal.due_for_checkpoint(NOON + 60_000)
        assert journal.due_for_checkpoint(NOON - 1)  # the clock was set back
        journal.append([tools.message()] * 255)
        assert journal.due_for_checkpoint(NOON)
        journal.checkpoint(NOON)
        assert not journal.due_for_checkpoint(NOON)
        assert root_of(journal)[0] == 257


def test_the_root_is_that_of_the_leaves_by_another_program(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message(str(number)) for number in range(600)])
        journal.checkpoint(NOON)
        leaves = [tools.leaf_by_json(line) for line in place.lines()]
        assert root_of(journal) == (601, tools.naive_root(leaves))


def test_a_later_day_closes_the_one_before(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append(
            [tools.message("one"), tools.message("two", NOON + DAY_MS), tools.message("three", NOON + DAY_MS)]
        )
        journal.append([tools.message("clock set back", NOON), tools.message("four", NOON + 3 * DAY_MS)])
        journal.close(NOON)
        names = sorted(path.relative_to(place.folder).as_posix() for path in place.folder.glob("[cd]*/*"))
        assert names == [
            "checkpoints/2026-11-24.ckpt",
            "checkpoints/2026-11-25.ckpt",
            "day/2026-11-24.jsonl.zst",
            "day/2026-11-25.jsonl.zst",
            "day/2026-11-27.jsonl",
        ]
        assert [record.index for record in journal.read()] == [0, 1, 2, 3, 4, 5, 6]
        assert [record.parts[0].get("body") for record in journal.read(1) if record.parts] == [
            "one",
            "two",
            "three",
            "clock set back",
            "four",
        ]
        assert [journal.get(index).index for index in range(7)] == list(range(7))
        assert [record.index for record in journal.read(1, 4)] == [1, 2, 3]
    assert verify(place.folder).problems == ()


def test_a_record_much_older_than_the_one_before_is_followed_by_a_note(place: Any, tools: Any) -> None:
    minute = 60_000
    with place.open() as journal:
        times = [NOON, NOON + 20 * minute, NOON + 10 * minute, NOON + 30 * minute, NOON, NOON - minute, NOON + minute]
        assert journal.append([tools.message(at_ms=at) for at in times]) == [1, 2, 3, 4, 5, 6, 7]
        note = journal.get(8)
        assert (note.kind, note.fields, note.at_ms) == ("coverage", {"what": "clock", "count": 1, "on": 5}, times[-1])
        assert journal.append([tools.message(at_ms=NOON - 10 * minute)]) == [9]  # eleven minutes back
        assert journal.get(10).fields["on"] == 9
        journal.close(NOON)
    assert verify(place.folder).problems == ()
    with place.open() as journal:
        assert (journal.size, journal.append([tools.message(at_ms=NOON - 21 * minute)])) == (11, [11])
        assert journal.get(12).fields["on"] == 11


def test_a_note_that_a_crash_cut_off_is_written_by_the_next_opening(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message(), tools.message(at_ms=NOON - DAY_MS // 2)])
    lines = place.day().read_bytes().splitlines(keepends=True)
    place.day().write_bytes(b"".join(lines[:-1]))
    assert [problem.code for problem in verify(place.folder).problems] == ["backdated"]
    with place.open() as journal:
        assert (journal.size, journal.get(3).fields["on"]) == (5, 2)
        assert journal.get(4).fields == {"what": "unsigned", "count": 2, "on": 1}
        journal.close(NOON)
    assert verify(place.folder).problems == ()


def test_a_quiet_log_is_closed_at_midnight_too(place: Any, tools: Any) -> None:
    with place.open() as journal:
        assert journal.close_day(NOON + 60_000) is None
        assert journal.close_day(NOON + DAY_MS) == "2026-11-24"
        assert journal.close_day(NOON + DAY_MS) is None
        journal.append([tools.message(at_ms=NOON + 1000)])  # received before midnight, written after
        assert [path.name for path in sorted((place.folder / "day").iterdir())] == [
            "2026-11-24.jsonl.zst",
            "2026-11-25.jsonl",
        ]
        journal.close(NOON + DAY_MS)
    assert verify(place.folder).problems == ()
    with place.open(NOON + DAY_MS) as journal:
        assert (journal.size, journal.get(2).fields["what"]) == (3, "clock")


def test_closed_days_and_no_open_one(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.close_day(NOON + DAY_MS)
    with place.open(NOON + DAY_MS) as journal:
        assert journal.append([tools.message()]) == [1]
        assert journal.get(0).kind == "genesis"


def test_a_second_process_is_refused(place: Any) -> None:
    with place.open(), pytest.raises(Invalid, match="another process"):
        place.open()
    place.open().close(NOON)


def test_the_log_keeps_the_name_it_was_begun_with(place: Any) -> None:
    place.open().close(NOON)
    with Journal.open(place.data_dir, "new.example.org/log", place.keys, NOON) as journal:
        assert journal.origin == "example.org/log"


def test_a_name_that_cannot_be_one(place: Any) -> None:
    with pytest.raises(Invalid, match="space or a plus"):
        Journal.open(place.data_dir, "not a name", place.keys, NOON)


def test_after_a_full_disk_nothing_more_is_accepted(place: Any, tools: Any) -> None:
    """A file size limit simulates a full disk: the write really fails half-way."""
    journal = place.open()
    journal.append([tools.message()] * 10)
    journal.sync()
    size = place.day().stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 700, hard))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            journal.append([tools.message()] * 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    for attempt in (
        lambda: journal.append([tools.message()]),
        journal.sync,
        lambda: journal.checkpoint(NOON),
        lambda: journal.close_day(NOON + DAY_MS),
    ):
        with pytest.raises(Broken, match="refuses"):
            attempt()
    journal.close(NOON)
    with place.open() as again:
        assert again.recovery is not None
        assert 11 <= again.size < 21
        assert again.recovery.index == again.size - 1  # what was left unsigned is told
    assert verify(place.folder).problems == ()


def test_json_of_a_line_is_what_the_journal_says(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.notice()])
        record = journal.get(1)
    line = json.loads(place.day().read_bytes().splitlines()[1])
    assert (list(line), line["x"]) == (["i", "t", "k", "g", "p", "c", "what", "x"], [dict(record.parts[0])])
