"""Days and their closing checkpoints on several machines that share a table."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moderation.values.errors import Broken
from storage.journal.transparency.daily_checkpoints import Closings
from storage.journal.verify.verify import verify
from tests.unit.storage.journal.shared_log import DAY_MS, NOON, Machine, Machines, said


@pytest.fixture
def machines(tmp_path: Path, postgres_url: str) -> Iterator[Machines]:
    made = Machines(tmp_path, postgres_url)
    yield made
    made.close()


def test_a_day_that_was_begun_in_the_future_moves_on_every_machine(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    ahead = NOON + 900 * DAY_MS
    with one.leads() as journal:
        follower = other.follower()
        journal.append([said("today")])
        journal.append([said("ahead", ahead)])
        journal.sync()
        while follower.step():
            pass
        between = one.copy("killed before the file was moved")
        assert journal.mend_future(NOON + DAY_MS) == "2026-11-25"
        journal.append([said("back", NOON + DAY_MS)])
        journal.append([said("later", NOON + 3 * DAY_MS)])
        journal.checkpoint(NOON)
        while follower.step():
            pass
        follower.close()
    assert other.files() == one.files()
    between.follows()
    assert {name: text for name, text in between.files().items() if name.startswith("day/")} == {
        name: text for name, text in one.files().items() if name.startswith("day/")
    }


def test_a_day_that_was_being_closed_is_closed(machines: Machines) -> None:
    one = machines.machine("one")
    with one.leads() as journal:
        journal.append([said("today")])
        journal.checkpoint(NOON)
        between = one.copy("between")
        journal.close_day(NOON + DAY_MS)
    with between.leads(NOON) as journal:
        journal.append([said("the clock of this machine is behind")])
        journal.checkpoint(NOON)
        assert [day.name for day in journal._log.days()] == ["2026-11-24", "2026-11-25"]
    assert verify(between.folder).problems == ()


def test_what_witnesses_add_to_a_closing_checkpoint_reaches_every_machine(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        follower = other.follower()
        journal.append([said("today")])
        journal.close_day(NOON + DAY_MS)
        while follower.step():
            pass
        journal.closings.add_lines("2026-11-24", ["\N{EM DASH} witness.example.org " + "A" * 100 + "\n"])
        journal.closings.add_timestamp("2026-11-24", b"stamped")
        while follower.step():
            pass
        follower.close()
        assert "witness" in Closings(other.folder).read("2026-11-24").note
    assert other.files() == one.files()


@pytest.mark.parametrize("is_late", [False, True])
def test_a_machine_that_was_away_when_a_closed_day_was_witnessed_follows(machines: Machines, is_late: bool) -> None:
    one, other, new = (machines.machine(name) for name in ("one", "other", "new"))
    witness = "\N{EM DASH} witness.example.org " + "A" * 100 + "\n"
    with one.leads() as journal:
        journal.append([said("first day")])
        journal.checkpoint(NOON)
        other.follows()
        before = other.copy("leads afterwards")
        journal.close_day(NOON + DAY_MS)
        journal.append([said("second day", NOON + DAY_MS)])
        journal.checkpoint(NOON)
        if is_late:
            journal.close_day(NOON + 2 * DAY_MS)
            journal.append([said("third day", NOON + 2 * DAY_MS)])
            journal.checkpoint(NOON)
        journal.closings.add_lines("2026-11-24", [witness])
        journal.closings.add_timestamp("2026-11-24", b"stamped")
    for machine in (other, new):
        machine.follows()
        assert _without_tiles(machine) == _without_tiles(one)
    with before.leads(NOON + 2 * DAY_MS) as journal:
        assert journal.closings.timestamp("2026-11-24") == b"stamped"
        assert witness in journal.closings.read("2026-11-24").note


def test_a_large_gap_is_followed_in_steps_though_an_old_day_was_stamped(machines: Machines) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        for day in range(4):
            journal.append([said(f"{day} {n}", NOON + day * DAY_MS) for n in range(700)])
            journal.checkpoint(NOON)
        for name in ("2026-11-26", "2026-11-24"):
            journal.closings.add_timestamp(name, b"stamped")
        other.follows()
        assert _without_tiles(other) == _without_tiles(one)


@pytest.mark.parametrize("day", ["../../out", "2026-11-24\n", "", "x", "\u0662026-11-24"])
def test_a_day_of_the_table_that_is_none_names_no_file(machines: Machines, day: str) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("first day")])
        journal.close_day(NOON + DAY_MS)
    other.follower().close()
    before = _names(other.data_dir.parent)
    machines.db.execute("UPDATE answerable_shared.log SET day = %s", (day,))
    with pytest.raises(Broken):
        other.follows()
    assert _names(other.data_dir.parent) == before
    machines.db.execute("UPDATE answerable_shared.log SET day = '2026-11-24'")
    machines.db.execute("UPDATE answerable_shared.checkpoints SET day = %s WHERE day <> ''", (day or "y",))
    with pytest.raises(Broken):
        other.follows()
    assert not [name for name in _names(other.data_dir.parent) - before if "out" in name or "ckpt" in name]


@pytest.mark.parametrize("follows_before", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        "SET note = replace(note, E'log\\n', E'log\\n1')",
        "SET note = (SELECT note FROM answerable_shared.checkpoints WHERE day = '' ORDER BY size LIMIT 1)",
        "SET day = '2026-11-23'",
    ],
)
def test_a_closing_checkpoint_is_kept_only_if_it_closes_the_day(
    machines: Machines, change: str, follows_before: bool
) -> None:
    one, other = machines.machine("one"), machines.machine("other")
    with one.leads() as journal:
        journal.append([said("first day")])
        journal.checkpoint(NOON)
        journal.append([said("more of it")])
        journal.close_day(NOON + DAY_MS)
        if follows_before:
            other.follows()
        else:
            other.follower().close()
        closings = other.folder / "checkpoints"
        before = {path: path.read_bytes() for path in closings.iterdir()}
        machines.db.execute(f"UPDATE answerable_shared.checkpoints {change} WHERE day <> ''")
        with pytest.raises(Broken):
            other.follows()
    assert {path: path.read_bytes() for path in closings.iterdir()} == before


def _without_tiles(machine: Machine) -> dict[str, bytes]:
    """Return the files without tiles: a machine has no partial ones of checkpoints that were gone before it came."""
    return {name: text for name, text in machine.files().items() if not name.startswith("tile/")}


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
