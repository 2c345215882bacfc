"""After any operations in any order and a crash at any moment, a log opens, verifies, and keeps its promises."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.journal import disk
from storage.journal.journal import Journal
from storage.journal.retention.find import parts_of
from storage.journal.retention.legal_holds import holds_in_force
from storage.journal.retention.purge import Retention, plan_purge
from storage.journal.retention.targets import Targets
from storage.journal.verify.verify import verify
from tests.examples import tried
from tests.proofs import check_record

NOON, DAY_MS = 1_795_521_600_000, 86_400_000
PERSONS = ["@anna:example.org", "@ben:example.org", "@cleo:example.org"]


class Killed(BaseException):
    """The process died here."""


class Life:
    """A log, the data given to it, and simulated power cuts."""

    def __init__(self, place: Any, tools: Any) -> None:
        self.place = place
        self.tools = tools
        self.now = NOON
        self.journal: Journal = place.open(self.now)
        self.durable = 1
        self.first = 0
        self.gone: set[int] = set()  # records whose part was declared erased
        self.kept: list[str] = []  # checkpoints that somebody kept

    def append(self, person: str, count: int, minutes: int) -> None:
        self.now += minutes * 60_000
        self.journal.append([self.tools.message(f"{person} 字", self.now, person)] * count)

    def wait(self, days: int) -> None:
        self.now += days * DAY_MS
        self.journal.close_day(self.now)

    def sync(self) -> None:
        self.journal.checkpoint(self.now)
        self.durable = self.journal.size
        self.kept.append(self.journal.signed_checkpoint)

    def hold(self, person: str, days: int) -> None:
        covers = orjson.dumps({"persons": [person]}).decode()
        self.journal.append([self.tools.hold(covers, self.now + days * DAY_MS, self.now)])

    def erase(self, person: str, die: int | None) -> None:
        self.append(person, 2, 1)
        self.journal.sync()
        found = parts_of(self.place.folder, [person], holds_in_force(self.place.folder, self.now))
        if found.targets:
            self._declare(self.tools.erase(found.targets, self.now))
            self.gone |= set(found.targets.records())
            self._perhaps_die(die, lambda: self.journal.erase(found.targets, self.journal.size - 1))

    def purge(self, die: int | None, days: int) -> None:
        self.wait(days)
        self.append(PERSONS[0], 1, 0)
        self.journal.sync()
        holds = holds_in_force(self.place.folder, self.now)
        plan = plan_purge(self.place.folder, self.now, Retention(), holds)
        if plan.days and self.journal.get(self.journal.size - 1).at_ms <= self.now:
            self._declare(self.tools.purge(plan.below, self.now))
            self._perhaps_die(die, lambda: self.journal.purge(plan.below, self.journal.size - 1))

    def crash(self, cut: int) -> None:
        """Crash, and lose the end that no sync has promised, from any byte on."""
        journal = self.journal
        survivor = self.place.crash()
        days = sorted((survivor.folder / "day").glob("*.jsonl"))
        if days and journal._day.is_open:
            promised = journal._day.offset_of(journal._synced)
            data = days[-1].read_bytes()
            days[-1].write_bytes(data[: promised + cut % (len(data) - promised + 1)])
        self._go_on(survivor)

    def reopen(self) -> None:
        self.journal.close(self.now)
        self.durable = self.journal.size
        self.journal = self.place.open(self.now)

    def check(self) -> None:
        self.journal.sync()
        report = verify(self.place.folder, against=self.kept[-1] if self.kept else None)
        assert [problem for problem in report.problems if problem.code != "against_purged"] == []
        assert report.first >= self.first
        self.first = report.first
        assert report.first + report.records == self.journal.size >= self.durable

    def end(self) -> None:
        self.journal.close(self.now)
        report = verify(self.place.folder)
        assert (report.problems, report.signed) == ((), self.journal.size)
        for record in self.journal.read(self.first):
            if record.kind == "message":
                assert ("erased" in record.parts[0]) is (record.index in self.gone)
        if self.journal.size > self.first:
            line = self.journal._log.line(self.first)
            text = orjson.dumps({**line.skeleton, "x": line.parts})
            with self.place.open(self.now) as journal:
                assert check_record(text, journal.proof(self.first), journal.vkey).index == self.first

    def _declare(self, draft: Any) -> None:
        self.journal.append([draft])
        if self.journal.get(self.journal.size - 1).kind == "coverage":  # the clock was set back
            self.journal.append([draft])
        self.journal.checkpoint(self.now)
        self.durable = self.journal.size

    def _perhaps_die(self, after: int | None, work: Callable[[], object]) -> None:
        """Do it, and die before the n-th step that reaches the disk."""
        if after is None:
            work()
            return
        with pytest.MonkeyPatch.context() as patch:
            die_after(patch, after)
            try:
                work()
                return
            except Killed:
                pass
        self._go_on(self.place.crash())

    def _go_on(self, survivor: Any) -> None:
        self.journal.__exit__(None, None, None)
        self.place.keys.close()
        self.place = survivor
        self.journal = survivor.open(self.now)


def die_after(patch: pytest.MonkeyPatch, steps: int) -> None:
    left = [steps]

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return work(*args, **kwargs)

        return step

    for name in ("sync_directory", "make_folder", "create_once", "remove"):
        patch.setattr(disk, name, counted(getattr(disk, name)))
    patch.setattr(Path, "replace", counted(Path.replace))
    patch.setattr(Path, "unlink", counted(Path.unlink))


persons = st.sampled_from(PERSONS)
die = st.none() | st.integers(0, 12)
steps = st.one_of(
    st.tuples(st.just("append"), persons, st.integers(1, 300), st.integers(-30, 2000)),
    st.tuples(st.just("wait"), st.integers(1, 10)),
    st.tuples(st.just("sync")),
    st.tuples(st.just("hold"), persons, st.integers(1, 400)),
    st.tuples(st.just("erase"), persons, die),
    st.tuples(st.just("purge"), die, st.sampled_from([100, 191])),
    st.tuples(st.just("crash"), st.integers(0, 10**6)),
    st.tuples(st.just("reopen")),
)


@settings(max_examples=tried(18))
@given(st.lists(steps, min_size=8, max_size=14))
def test_any_life_of_a_log(new_place: Callable[[], Any], tools: Any, steps: list[tuple[Any, ...]]) -> None:
    life = Life(new_place(), tools)
    for name, *arguments in steps:
        getattr(life, name)(*arguments)
        life.check()
    life.end()


# Any single change


@pytest.fixture(scope="module")
def lived(new_place: Callable[[], Any], tools: Any) -> Any:
    """Provide two closed days and an open one, with an erasure, a hold and records about two people."""
    place = new_place()
    with place.open() as journal:
        for day in range(3):
            at = NOON + day * DAY_MS
            drafts = [tools.message(f"{n} 字", at, PERSONS[n % 3]) for n in range(20)]
            journal.append([*drafts, tools.two_parts(at), tools.notice(at)])
        [by] = journal.append([tools.erase(Targets.of([(2, 0), (25, 0)]), at)])
        journal.erase(Targets.of([(2, 0), (25, 0)]), by)
        journal.append([tools.hold('{"cases":[1]}', at + DAY_MS, at), tools.start(at)])
        journal.close(at)
    assert verify(place.folder).problems == ()
    return place


@settings(max_examples=tried(150))
@given(data=st.data())
def test_any_change_of_a_value_is_found(
    lived: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """The attacker spells everything as the bot does, and changes a skeleton, a shown part or a mark."""
    open_day = "day/2026-11-26.jsonl"
    lines = (lived.folder / open_day).read_bytes().splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    record = orjson.loads(lines[number])
    where = data.draw(st.sampled_from(list(places(record))))
    holder = record
    for step in where[:-1]:
        holder = holder[step]
    old = holder[where[-1]]
    new = data.draw(st.one_of(st.integers(0, 2**53 - 1), st.text(max_size=8), st.none(), st.booleans()))
    if new == old and type(new) is type(old):
        return
    holder[where[-1]] = new
    copy = tmp_path_factory.getbasetemp() / "changed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(lived.folder, copy)
    lines[number] = orjson.dumps(record)
    (copy / open_day).write_bytes(b"\n".join(lines) + b"\n")
    report = verify(copy)
    assert not report.ok
    assert {problem.line for problem in report.problems if problem.file == open_day} <= {0, number + 1}


def places(value: Any, before: tuple[Any, ...] = ()) -> Any:
    """Yield the path to each value that is not a container."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not isinstance(value, dict | list):
        yield before
    for step, inner in items:
        yield from places(inner, (*before, step))
