"""Erased parts are gone from every file, nothing that was proved changes, and a crash leaves nothing half done."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from moderation.values.errors import Broken
from moderation.values.ids import PersonId
from storage.journal.query import Query, follow, last
from storage.journal.record import NOBODY, Draft, Part
from storage.journal.retention.find import parts_in, parts_of, said_of
from storage.journal.retention.legal_holds import HoldsInForce, holds_in_force
from storage.journal.retention.targets import Targets
from storage.journal.verify.verify import verify
from tests.examples import STRIDE
from tests.proofs import check_record
from tests.unit.storage.journal.killed import KILLED, killed_at

NOON, DAY_MS = 1_795_521_600_000, 86_400_000
ANNA, BEN = "@anna:example.org", "@ben:example.org"
CLOSED, OPEN = "day/2026-11-24.jsonl.zst", "day/2026-11-25.jsonl"


def fill(place: Any, tools: Any) -> None:
    """Write records about two people to a closed day and an open one; records 6 and 12 are about both."""
    with place.open() as journal:
        for at in (NOON, NOON + DAY_MS):
            messages = [tools.message(f"secret {person}", at, person) for person in (ANNA, BEN, ANNA, BEN, ANNA)]
            journal.append([*messages, tools.two_parts(at)])
        journal.close(NOON + DAY_MS)


def find(place: Any, person: str, holds: HoldsInForce | None = None) -> Targets:
    return parts_of(place.folder, [person], holds or HoldsInForce()).targets


def erase(place: Any, journal: Any, tools: Any, person: str) -> list[str]:
    targets = find(place, person)
    [by] = journal.append([tools.erase(targets, NOON + DAY_MS)])
    journal.checkpoint(NOON + DAY_MS)
    days: list[str] = journal.erase(targets, by)
    return days


def text_of(folder: Path) -> bytes:
    """Return the text of all days."""
    packed = [zstandard.ZstdDecompressor().stream_reader(path.open("rb")).read() for path in folder.glob("day/*.zst")]
    return b"".join(packed + [path.read_bytes() for path in folder.glob("day/*.jsonl")])


def test_finds_all_parts_of_a_person_in_all_days(place: Any, tools: Any) -> None:
    fill(place, tools)
    found = parts_of(place.folder, [ANNA], HoldsInForce())
    assert (found.targets.text, found.targets.count, found.held) == ("1,3,5,7,9,11;1:6,12", 8, {})
    assert found.elsewhere == 2, "the parts of Ben in records 6 and 12 name her too"
    assert found.said == {1, 3, 5, 7, 9, 11}
    ben = parts_of(place.folder, [BEN], HoldsInForce())
    assert ben.targets.text == "2,4,6,8,10,12"
    assert parts_of(place.folder, ["@an:example.org"], HoldsInForce()).targets.count == 0
    assert parts_of(place.folder, [ANNA, BEN], HoldsInForce()).targets.count == 14


def test_a_person_named_in_somebody_elses_part_is_counted_not_erased(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message('I mean "@anna:example.org"', person=BEN), tools.message("to @anna:example.org")])
    assert parts_of(place.folder, [ANNA], HoldsInForce()).elsewhere == 1, "whatever stands around her id"
    assert parts_of(place.folder, ["@anna:example"], HoldsInForce()).elsewhere == 0, "that is another's id"
    found = parts_of(place.folder, ["$" + "e" * 43], HoldsInForce())
    assert (found.targets.count, found.elsewhere) == (0, 2)


def test_erasing_removes_content_and_keeps_the_root(place: Any, tools: Any) -> None:
    fill(place, tools)
    with place.open(NOON + DAY_MS) as journal:
        signed = journal.signed_checkpoint
        assert erase(place, journal, tools, ANNA) == ["2026-11-24", "2026-11-25"]
        assert journal.signed_checkpoint.split("\n")[1] == "14"
        assert journal.get(1).parts == ({"erased": "2026-11-25", "by": 13},)
        assert [part.get("mxid") for part in journal.get(12).parts] == [BEN, None]
        assert journal.append([tools.message("after", NOON + DAY_MS)]) == [14]
        assert journal.get(14).parts[0]["body"] == "after"
        [line] = last(place.folder, Query(kinds=frozenset({"erase"})), 1)
        assert check_record(line, journal.proof(13), journal.vkey).index == 13
        journal.close(NOON + DAY_MS)
    assert b"secret @anna" not in text_of(place.folder)
    assert text_of(place.folder).count(b"secret @ben") == 4
    report = verify(place.folder, against=signed)
    assert (report.problems, report.records) == ((), 15)
    assert find(place, ANNA).count == 0 or find(place, ANNA).text == "14"


def test_only_lines_concerned_are_changed(place: Any, tools: Any) -> None:
    fill(place, tools)
    before = text_of(place.folder).splitlines()
    with place.open(NOON + DAY_MS) as journal:
        erase(place, journal, tools, BEN)
    after = text_of(place.folder).splitlines()
    changed = [number for number, (a, b) in enumerate(zip(before, after, strict=False)) if a != b]
    assert changed == [2, 4, 6, 8, 10, 12]
    assert (place.folder / CLOSED).stat().st_mode & 0o777 == (place.folder / OPEN).stat().st_mode & 0o777


def test_the_persons_key_can_be_destroyed_and_a_new_one_is_made(place: Any, tools: Any) -> None:
    fill(place, tools)
    with place.open(NOON + DAY_MS) as journal:
        erase(place, journal, tools, ANNA)
        before = place.keys.existing(ANNA)
        journal.forget(ANNA)
        assert place.keys.existing(ANNA) is None
        journal.append([tools.message("again", NOON + DAY_MS)])
        assert place.keys.existing(ANNA) not in (None, before)
        journal.close(NOON + DAY_MS)
    names = [line["p"][0] for line in place.lines("2026-11-25") if line["k"] == "message"]
    assert names[-1] != names[0]
    assert verify(place.folder).problems == ()


@pytest.mark.parametrize("declared", [Targets.of([(1, 0)]), Targets.of([(1, 0), (2, 0)])])
def test_a_record_that_does_not_name_the_parts_erases_nothing(place: Any, tools: Any, declared: Targets) -> None:
    fill(place, tools)
    with place.open(NOON + DAY_MS) as journal:
        [by] = journal.append([tools.erase(declared, NOON + DAY_MS)])
        before = text_of(place.folder)
        with pytest.raises(Broken):
            journal.erase(Targets.of([(2, 0)]), by)
        with pytest.raises(Broken):
            journal.erase(declared, 12)
        assert text_of(place.folder) == before


@pytest.mark.parametrize(
    "fields",
    [{"parts": 2}, {}, {"parts": 1, "records": "1,"}, {"parts": 1, "records": "99"}, {"parts": 2, "records": "1"}],
)
def test_a_record_that_does_not_say_it_rightly_is_named_and_stops_nothing(place: Any, tools: Any, fields: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message()])
        texts = {"records": fields["records"]} if "records" in fields else {}
        numbers = {"parts": fields["parts"]} if "parts" in fields else {}
        [by] = journal.append([Draft("erase", NOON, fields=numbers, parts=(Part(NOBODY, texts),))])
        with pytest.raises(Broken):
            journal.erase(Targets.of([(1, 0)]), by)
        journal.close(NOON)
    place.open().close(NOON)
    assert [problem.code for problem in verify(place.folder).problems] == ["erase_form"]


def test_parts_are_numbered_as_shown(place: Any, tools: Any) -> None:
    fill(place, tools)
    named = Targets.of([(0, 0), (1, 0), (2, 5), (6, 0), (6, 1), (99, 0)])
    assert parts_in(place.folder, named, HoldsInForce()).targets.text == "1,6;1:6"  # nor that of genesis
    with place.open(NOON + DAY_MS) as journal:
        erase(place, journal, tools, ANNA)
    assert parts_in(place.folder, named, HoldsInForce()).targets.text == "6"


def test_held_parts_are_excluded_and_named(place: Any, tools: Any) -> None:
    fill(place, tools)
    with place.open(NOON + DAY_MS) as journal:
        [hold] = journal.append([tools.hold('{"persons":["@anna:example.org"],"records":"3-6"}', NOON + 9 * DAY_MS)])
        holds = holds_in_force(place.folder, NOON + DAY_MS)
        found = parts_of(place.folder, [ANNA], holds)
        assert found.targets.text == "1,7,9,11;1:12"
        assert {index: held.text for index, held in found.held.items()} == {hold: "3,5;1:6"}
        journal.close(NOON)
    assert parts_of(place.folder, [ANNA], holds_in_force(place.folder, NOON + 9 * DAY_MS)).held == {}


# Crashes and backups


def erase_until(call: int, place: Any, tools: Any) -> int:
    def work(begin: Callable[[], None]) -> None:
        with place.open(NOON + DAY_MS) as journal:
            begin()
            erase(place, journal, tools, ANNA)
            os._exit(0)  # the end of the log's block is not part of it

    return killed_at(call, work)


@pytest.mark.examples
def test_killed_at_any_call_to_the_file_system(place: Any, tools: Any) -> None:
    """A declared erasure is done in the end, an undeclared one is not. Until then a check reports nothing else."""
    fill(place, tools)
    call, ended, states = 1 - STRIDE, KILLED, set()
    while ended == KILLED:
        call += STRIDE
        victim = place.crash()
        ended = erase_until(call, victim, tools)
        assert ended in (KILLED, 0)
        assert {problem.code for problem in verify(victim.folder).problems} <= {"erased_not"}
        with victim.open(NOON + DAY_MS) as journal:
            journal.close(NOON + DAY_MS)
            is_declared = any(record.kind == "erase" for record in journal.read())
        shown = text_of(victim.folder).count(b"secret @anna")
        assert shown == (0 if is_declared else 6)
        assert verify(victim.folder).problems == ()
        assert not list(victim.folder.rglob("*.tmp"))
        states.add((is_declared, shown))
        victim.keys.close()
    assert states == {(False, 6), (True, 0)}
    assert call > 25


def test_a_days_file_from_an_older_backup_is_erased_again(place: Any, tools: Any) -> None:
    fill(place, tools)
    backup = shutil.copy(place.folder / CLOSED, place.data_dir / "backup")
    with place.open(NOON + DAY_MS) as journal:
        erase(place, journal, tools, ANNA)
        journal.close(NOON + DAY_MS)
    place.open(NOON + DAY_MS).close(NOON + DAY_MS)
    shutil.copy(backup, place.folder / CLOSED)
    report = verify(place.folder)
    assert {(problem.code, problem.index) for problem in report.problems} == {("erased_not", i) for i in (1, 3, 5, 6)}
    place.open(NOON + DAY_MS).close(NOON + DAY_MS)
    assert b"secret @anna" not in text_of(place.folder)
    assert verify(place.folder).problems == ()


def test_the_erasure_index_may_be_lost_or_damaged(place: Any, tools: Any) -> None:
    fill(place, tools)
    backup = shutil.copy(place.folder / CLOSED, place.data_dir / "backup")
    with place.open(NOON + DAY_MS) as journal:
        erase(place, journal, tools, ANNA)
        journal.close(NOON + DAY_MS)
    for content in (None, b"", b"{}", b'{"format":1,"size":99999,"indices":{},"days":{}}', b"[1]"):
        shutil.copy(backup, place.folder / CLOSED)
        memory = place.data_dir / "special.json"
        memory.unlink() if content is None else memory.write_bytes(content)
        place.open(NOON + DAY_MS).close(NOON + DAY_MS)
        assert b"secret @anna" not in text_of(place.folder)


def test_a_damaged_day_is_named_and_left_as_it_was(place: Any, tools: Any) -> None:
    fill(place, tools)
    targets = find(place, ANNA)
    with place.open(NOON + DAY_MS) as journal:
        [by] = journal.append([tools.erase(targets, NOON + DAY_MS)])
        packed = (place.folder / CLOSED).read_bytes()
        (place.folder / CLOSED).write_bytes(packed[:-5])
        with pytest.raises(Broken, match=r"2026-11-24\.jsonl\.zst"):
            journal.erase(targets, by)
        assert (place.folder / CLOSED).read_bytes() == packed[:-5]
        assert journal.append([tools.message("it goes on", NOON + DAY_MS, BEN)])
        journal.close(NOON + DAY_MS)
    with place.open(NOON + DAY_MS) as journal:
        assert "2026-11-24.jsonl.zst" in journal.unfinished
        assert journal.append([tools.message("on and on", NOON + DAY_MS, BEN)])
        journal.close(NOON + DAY_MS)
    (place.folder / CLOSED).write_bytes(packed)
    place.open(NOON + DAY_MS).close(NOON + DAY_MS)
    assert b"secret @anna" not in text_of(place.folder)


def test_a_follower_of_the_open_day_continues(place: Any, tools: Any) -> None:
    fill(place, tools)
    with place.open(NOON + DAY_MS) as journal:
        coming = follow(place.folder, Query(kinds=frozenset({"message"})), after=12)
        assert next(coming) is None
        erase(place, journal, tools, ANNA)
        assert next(coming) is None
        journal.append([tools.message("new", NOON + DAY_MS)])
        assert b'"body":"new"' in (next(coming) or b"")
        assert next(coming) is None
        coming.close()


def outcome(action: str, made: str, to: str = "", **fields: Any) -> Draft:
    """Return the outcome of an action that made a message."""
    parts = (*((Part(PersonId(to), {"mxid": to}),) if to else ()), Part(NOBODY, {"made": made}))
    return Draft("outcome", NOON, fields={"action": action, "result": "done", **fields}, parts=parts)


def test_messages_about_a_person_are_known_by_case_cause_and_the_command_that_decided(place: Any) -> None:
    with place.open() as journal:
        journal.append(
            [
                outcome("card", "$card", on=93, n=7, txn="answerable.58.1"),  # read before its request was answered
                outcome("card", "$other", on=93, n=7, txn="answerable.59.1"),
                outcome("edit-card", "$edit", on=70, n=3, txn="answerable.70.0"),
                Draft("decision", NOON, fields={"on": 80, "n": 3, "what": "upheld"}),
                outcome("say", "$answer", on=80, n=0, txn="answerable.80.0", to=BEN),
                outcome("say", "$elsewhere", on=81, n=0, txn="answerable.81.0", to=BEN),
            ]
        )
        journal.close(NOON)
    assert said_of(place.folder, [ANNA], {3}, caused={58}) == ["$card", "$edit", "$answer"]
