"""Unsigned records in the log are never signed silently."""

import json
from typing import Any

import orjson
import pytest

from storage.journal.record import Draft
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.tiles import Tiles
from storage.journal.verify.verify import verify

NOON, DAY_MS = 1_795_521_600_000, 86_400_000


def stop(at_ms: int = NOON) -> Draft:
    return Draft("stop", at_ms, fields={"why": "asked", "sealed": 1})


def forge(place: Any, index: int, kind: str = "decision") -> bytes:
    """Append a line as somebody without the key would, and return it."""
    line = {"i": index, "t": "2026-11-24T12:00:00.000Z", "k": kind, "p": [], "c": [], "x": []}
    with place.day().open("ab") as file:
        file.write(orjson.dumps(line) + b"\n")
    return orjson.dumps(line) + b"\n"


def test_after_a_crash_it_is_taken_and_told(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message()] * 3)
        journal.checkpoint(NOON)
        journal.append([tools.message()] * 5)
        journal.sync()
    with place.open() as journal:
        assert [record.kind for record in journal.read(4)] == ["message"] * 5 + ["coverage"]
        assert journal.get(9).fields == {"what": "unsigned", "count": 5, "on": 4}
        assert journal.signed == journal.size == 10
    assert verify(place.folder).problems == ()


def test_after_a_stop_in_good_order_it_is_set_aside_and_told(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message(), stop()])
        journal.close(NOON)
    lines = forge(place, 3, "start") + forge(place, 4)
    (problem,) = verify(place.folder).problems
    assert (problem.code, problem.line, problem.fields) == ("foreign", 4, {"count": 2})
    with place.open() as journal:
        assert [record.kind for record in journal.read()] == ["genesis", "message", "stop", "coverage"]
        assert journal.get(3).fields == {"what": "foreign", "count": 2, "on": -1}
        journal.append([tools.start()])
        journal.close(NOON)
    (kept,) = (place.data_dir / "set-aside").iterdir()
    assert kept.read_bytes() == lines
    assert verify(place.folder).problems == ()


@pytest.mark.parametrize(("before", "after"), [(1, 1), (249, 10), (254, 256)])
def test_a_start_that_was_killed_before_it_signed_is_no_hindrance(
    place: Any, tools: Any, before: int, after: int
) -> None:
    with place.open() as journal:
        journal.append([*[tools.message()] * before, stop()])
        journal.close(NOON)
    signed, size = (place.folder / "checkpoint").read_bytes(), before + 2
    with place.open() as journal:
        journal.append([tools.start(), *[tools.message()] * after])
        journal.sync()
    (place.folder / "checkpoint").write_bytes(signed)  # tiles come before the checkpoint
    with place.open() as journal:
        assert journal.get(size).fields == {"what": "foreign", "count": after + 1, "on": -1}
        assert journal.signed == size + 1
        assert (
            Tiles(place.folder / "tile").root(size)
            == Checkpoint.parse(signed.decode().partition("\n\n")[0] + "\n").root
        )
    assert verify(place.folder).problems == ()


def test_a_stop_of_an_older_version_says_nothing_of_what_follows(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([Draft("stop", NOON, fields={"why": "asked"})])
        journal.close(NOON)
    with place.open() as journal:
        journal.append([tools.start()])
        journal.sync()
        assert journal.signed == 2
    with place.open() as journal:
        assert [record.kind for record in journal.read(2)] == ["start", "coverage"]


def test_the_first_records_after_a_stop_are_signed_at_once(place: Any, tools: Any) -> None:
    """So records that are unsigned after a stop are not ours, even if the bot was killed right after its start."""
    with place.open() as journal:
        journal.append([stop()])
        journal.close(NOON)
    with place.open() as journal:
        journal.append([tools.start()])
        journal.sync()
        assert journal.signed == 3
        journal.append([tools.message()])
        journal.sync()
        assert journal.signed == 3
    assert [json.loads(line)["k"] for line in place.day().read_bytes().splitlines()][-2:] == ["start", "message"]
    with place.open() as journal:
        assert [record.kind for record in journal.read(2)] == ["start", "message", "coverage"]
