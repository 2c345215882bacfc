"""Several machines keep one log by way of a table: the same bytes everywhere, nothing lost, nothing forked."""

import random
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from moderation.values.errors import Broken
from storage.database.fence import Superseded
from storage.journal.line_log import Forked, Incomplete
from storage.journal.record import Draft
from storage.journal.retention.targets import Targets
from storage.journal.verify.verify import verify
from tests.examples import ALL
from tests.unit.storage.journal.shared_log import DAY_MS, NOON, Machines, erasing, said, stopped


@pytest.fixture
def machines(tmp_path: Path, postgres_url: str) -> Iterator[Machines]:
    made = Machines(tmp_path, postgres_url)
    yield made
    made.close()


def test_a_follower_makes_the_same_files_day_after_day(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        follower = other.follower()
        for day in range(4):
            at = NOON + day * DAY_MS
            for turn in range(3):
                journal.append([said(f"{day} {turn} {n}", at + turn) for n in range(100)])
                journal.sync()
                while follower.step():
                    pass
                journal.checkpoint(at + turn)
                while follower.step():
                    pass
                assert other.files() == one.files()
        journal.close_day(NOON + 5 * DAY_MS)
        while follower.step():
            pass
        follower.close()
    assert other.files(packed=True) == one.files(packed=True)
    assert verify(other.folder).problems == ()


def test_a_new_machine_gets_everything_from_the_table(machines: Machines) -> None:
    one = machines.machine("one")
    with one.leads() as journal:
        for day in range(3):
            journal.append([said(str(n), NOON + day * DAY_MS) for n in range(300)])
            journal.sync()
        journal.checkpoint(NOON)
    other = machines.machine("other")
    other.follows()
    assert other.files(packed=True) == one.files(packed=True)


def test_what_the_table_had_taken_when_the_leader_died_is_in_the_log_of_the_next(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("before")])
        journal.checkpoint(NOON)
        before = one.copy("died between table and file")
        journal.append([said("written"), said("too")])
        assert [b"written" in line for line in machines.lines()[-2:]] == [True, False]
    for machine in (before, other):
        with machine.leads() as journal:
            assert [record.parts[0].get("body") for record in journal.read(1, 4)] == ["before", "written", "too"]
            assert journal.lost == 0
            journal.checkpoint(NOON)
        assert verify(machine.folder).problems == ()
    other.follows()
    before.follows()
    assert other.files() == before.files()


def test_a_torn_line_in_the_file_is_no_loss_if_the_table_has_it(machines: Machines) -> None:
    one = machines.machine("one")
    with one.leads() as journal:
        journal.append([said("whole")])
        journal.sync()
    day = one.folder / "day" / "2026-11-24.jsonl"
    day.write_bytes(day.read_bytes()[:-20])
    with one.leads() as journal:
        assert (journal.recovery, journal.get(1).parts[0]["body"]) == (None, "whole")


def test_what_a_copy_of_the_database_lost_is_put_back_from_the_files(machines: Machines) -> None:
    one = machines.machine("one")
    with one.leads() as journal:
        journal.append([said(str(n)) for n in range(10)])
        journal.checkpoint(NOON)
        journal.append([said("unsigned")])
        journal.sync()
        lines = machines.lines()
    machines.db.execute("DELETE FROM answerable_shared.log WHERE idx >= 7")
    machines.db.execute("DELETE FROM answerable_shared.checkpoints WHERE size > 7")
    with one.leads() as journal:
        assert journal.lost == 5
        journal.checkpoint(NOON)
    assert machines.lines()[: len(lines)] == lines
    assert verify(one.folder).problems == ()
    other = machines.machine("other")
    other.follows()
    assert other.files()["day/2026-11-24.jsonl"] == one.files()["day/2026-11-24.jsonl"]


@pytest.mark.parametrize("is_signed", [False, True])
def test_a_fork_is_refused_and_nothing_is_changed(machines: Machines, is_signed: bool) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("both")])
        journal.checkpoint(NOON)
        other.follows()
        journal.append([said("only here")])
        journal.checkpoint(NOON) if is_signed else journal.sync()
    size = len(machines.lines())
    machines.db.execute("DELETE FROM answerable_shared.log WHERE idx = %s", (size - 1,))
    machines.db.execute("DELETE FROM answerable_shared.checkpoints WHERE size = %s", (size,))
    with other.leads() as journal:
        journal.append([said("only there")])
        journal.checkpoint(NOON)
    before = one.files(), machines.lines()
    with pytest.raises(Forked) as caught, one.leads():
        pass
    assert caught.value.index == size - 1
    with pytest.raises(Forked):
        one.follows()
    assert (one.files(), machines.lines()) == before
    (one.data_dir / "records").rename(one.data_dir / "aside")
    one.follows()
    assert one.files() == other.files()


def test_a_fork_before_the_newest_checkpoint_of_both_is_found_by_it(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("both")])
        journal.checkpoint(NOON)
        other.follows()
        journal.append([said(f"only here {n}") for n in range(5)])
        journal.checkpoint(NOON)
    machines.db.execute("DELETE FROM answerable_shared.log WHERE idx > 1")
    machines.db.execute("DELETE FROM answerable_shared.checkpoints WHERE size > 2")
    with other.leads() as journal:
        journal.append([said(f"only there {n}") for n in range(9)])
        journal.checkpoint(NOON)
        journal.append([said("and more")])
    with pytest.raises(Forked) as caught, one.leads():
        pass
    assert caught.value.index == 2


def test_a_leader_that_lost_writes_nothing_more(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("mine")])
        journal.sync()
        with other.leads() as after:
            after.append([said("yours", NOON + DAY_MS)])
            after.checkpoint(NOON)
            before = one.files(), machines.lines()
            with pytest.raises(Superseded):
                journal.append([said("too late")])
            with pytest.raises(Broken):
                journal.append([said("too late")])
            journal.close(NOON)
            assert (one.files(), machines.lines()) == before
    with other.leads(), pytest.raises(Superseded):
        after.closings.add_lines("2026-11-24", ["\N{EM DASH} witness.example.org AAAA\n"])


def test_a_leader_that_lost_signs_nothing_more(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("mine")])
        journal.sync()
        signed = journal.signed_checkpoint
        with other.leads(), pytest.raises(Superseded):
            journal.close(NOON)
        assert journal.signed_checkpoint == signed


def test_a_line_can_only_follow_the_last_one(machines: Machines) -> None:
    table = machines.table(machines.new_epoch())
    table.append(0, [("2026-11-24", b"0"), ("2026-11-24", b"1")])
    for start in (1, 3):
        with pytest.raises(Broken):
            table.append(start, [("2026-11-24", b"other")])
    assert machines.lines() == [b"0", b"1"]


def test_an_erasure_reaches_the_table_and_every_machine(machines: Machines) -> None:
    one, other, late = (machines.machine(name) for name in ("one", "other", "late"))
    with one.leads() as journal:
        follower = other.follower()
        journal.append([said("a secret"), said("kept")])
        journal.checkpoint(NOON)
        journal.append([said("tomorrow a secret", NOON + DAY_MS)])
        journal.sync()
        while follower.step():
            pass
        follower.close()
        (by,) = journal.append([erasing(Targets.of([(1, 0), (3, 0)]), NOON + DAY_MS)])
        declared = one.copy("killed after the declaration")
        journal.erase(Targets.of([(1, 0), (3, 0)]), by)
        journal.append([said("after", NOON + DAY_MS)])
        journal.checkpoint(NOON)
    assert not any(b"secret" in line for line in machines.lines())
    for machine in (other, late):
        machine.follows()
        assert machine.files() == one.files()
    assert not any(b"secret" in text for text in other.files().values())
    assert verify(other.folder).problems == ()
    with declared.leads():
        assert not any(b"secret" in text for text in declared.files().values())


def test_an_erasure_that_was_declared_is_carried_out_in_the_table_by_the_next_leader(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("a secret")])
        journal.append([erasing(Targets.of([(1, 0)]))])
        journal.checkpoint(NOON)
    other.follows()
    assert any(b"secret" in line for line in machines.lines())
    with other.leads():
        assert not any(b"secret" in line for line in machines.lines())


def test_a_purge_reaches_the_table_and_every_machine(machines: Machines) -> None:
    one, other, late = (machines.machine(name) for name in ("one", "other", "late"))
    now = NOON + 200 * DAY_MS
    with one.leads() as journal:
        journal.append([said(str(n)) for n in range(600)])
        journal.append([said("next day", NOON + DAY_MS)])
        journal.sync()
        other.follows()
        (by,) = journal.append([Draft("purge", now, fields={"below": 601, "what": "schedule"})])
        journal.purge(601, by)
    other.follows()
    assert other.files() == one.files()
    assert machines.table().read(0, 1)[0].index == 601
    assert "min_index" in other.files()
    with pytest.raises(Incomplete):
        late.follows()


def test_lines_put_into_the_files_after_a_clean_stop_are_set_aside(machines: Machines) -> None:
    one = machines.machine("one")
    with one.leads() as journal:
        journal.append([stopped()])
        journal.close(NOON)
    day = one.folder / "day" / "2026-11-24.jsonl"
    forged = day.read_bytes().splitlines()[-1].replace(b'"i":1', b'"i":2')
    day.write_bytes(day.read_bytes() + forged + b"\n")
    before = machines.lines()
    with one.leads() as journal:
        assert [record.kind for record in journal.read(1)] == ["stop", "coverage"]
    assert machines.lines()[: len(before)] == before
    assert forged not in machines.lines()


def test_another_key_cannot_have_signed_the_table(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("one")])
        journal.checkpoint(NOON)
    note = machines.db.execute("SELECT note FROM answerable_shared.checkpoints LIMIT 1").fetchone()
    assert note is not None
    other.follower().close()
    machines.db.execute("UPDATE answerable_shared.checkpoints SET note = %s", (note[0][:-10] + "AAAAAAAA=\n",))
    with pytest.raises(Broken):
        other.follows()


def test_errors_of_the_server_are_those_of_the_state_tables(machines: Machines) -> None:
    from sqlalchemy.exc import DBAPIError

    one = machines.machine("one")
    with one.leads() as journal:
        machines.db.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$"
        )
        machines.db.execute(
            "CREATE TRIGGER full_disk BEFORE INSERT ON answerable_shared.log EXECUTE FUNCTION full_disk()"
        )
        before = one.files()
        with pytest.raises(DBAPIError) as caught:
            journal.append([said("no room")])
        assert isinstance(caught.value.orig, psycopg.errors.DiskFull)
        assert one.files() == before
        with pytest.raises(Broken):
            journal.append([said("no room")])


@pytest.mark.examples
@pytest.mark.parametrize("seed", range(6 if ALL else 2))
def test_machines_that_take_turns_and_die_anywhere_keep_one_log(machines: Machines, seed: int) -> None:
    chance = random.Random(seed)
    names = ["a", "b", "c"]
    now, written = NOON, []
    for turn in range(12):
        leader = machines.machine(chance.choice(names))
        followers = [machines.machine(name) for name in names if name != leader.data_dir.name]
        now += chance.choice([0, 1000, DAY_MS // 2])
        with leader.leads(now) as journal:
            following = [each.follower() for each in followers if chance.random() < 0.7]
            for step in range(chance.randrange(1, 6)):
                now += chance.choice([0, 100, DAY_MS // 3])
                texts = [f"{turn} {step} {n}" for n in range(chance.choice([1, 2, 300]))]
                journal.append([said(text, now) for text in texts])
                written += texts
                if chance.random() < 0.6:
                    journal.sync()
                if chance.random() < 0.4:
                    journal.checkpoint(now)
                for each in following:
                    for _ in range(chance.randrange(3)):
                        each.step()
            for each in following:
                each.close()
        if chance.random() < 0.5:  # it dies without its last lines on its disk
            day = max(path for path in (leader.folder / "day").iterdir())
            if day.suffix == ".jsonl":
                keep = leader.folder / "checkpoint"
                signed = int(keep.read_text().split("\n")[1])
                text = day.read_bytes().splitlines(keepends=True)
                cut = chance.randrange(len(text) + 1)
                if _index(text[0]) + cut >= signed:
                    day.write_bytes(b"".join(text[:cut]))
    last = machines.machine("a")
    with last.leads(now) as journal:
        journal.checkpoint(now)
        bodies = [record.parts[0].get("body") for record in journal.read() if record.kind == "message"]
    for name in names[1:]:
        machines.machine(name).follows()
    assert bodies == written
    days = {name: text for name, text in last.files().items() if name.startswith(("day/", "checkpoint"))}
    for copy in map(machines.machine, names):
        assert {n: t for n, t in copy.files().items() if n.startswith(("day/", "checkpoint"))} == days
        assert verify(copy.folder).problems == ()


def _index(line: bytes) -> int:
    return int(line.split(b",", 1)[0].split(b":")[1])
