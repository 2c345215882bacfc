"""Long work of the console: done by another process, with progress, and ended at any moment."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.console.jobs import MOST_RUNNING, MOST_SEARCHES, Jobs, work
from moderation.values.errors import Refused
from moderation.values.ids import PersonId
from storage.journal.journal import Journal
from storage.journal.record import Draft, Part
from storage.journal.record_keys import PersonKeys

NOON = 1_795_521_600_000
ANNA = "@anna:example.org"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Provide a log of some messages."""
    keys = PersonKeys.open(tmp_path)
    with Journal.open(tmp_path, "example.org/log", keys, NOON) as journal:
        said = [Part(PersonId(ANNA), {"mxid": ANNA, "body": f"coins {each}"}) for each in range(5)]
        journal.append([Draft("message", NOON, "G-7F3K", parts=(part,)) for part in said])
        journal.close(NOON)
    keys.close()
    return tmp_path / "records"


def asked_of(records: Path, **more: Any) -> Mapping[str, Any]:
    return {"records": str(records), "witnesses": [], "against": "", "applied": 0, **more}


async def test_a_log_is_checked_in_the_background(records: Path) -> None:
    jobs = Jobs()
    job = jobs.begin("verify", asked_of(records), by="root", now_ms=NOON)
    assert (job.state, jobs.of_kind("verify"), jobs.find(job.id)) == ("running", [job], job)
    assert jobs.begin("verify", asked_of(records), by="other", now_ms=NOON) is job  # one at a time
    await jobs.finished(job)
    assert (job.state, job.result["ok"], job.result["records"]) == ("done", True, 6)
    assert jobs.begin("verify", asked_of(records), by="other", now_ms=NOON) is not job
    for number in range(MOST_RUNNING - 1):
        jobs.begin("verify", asked_of(records), by="other", now_ms=NOON, kind=f"verify {number}")
    with pytest.raises(Refused, match="busy"):
        jobs.begin("verify", asked_of(records), by="other", now_ms=NOON, kind="one too many")
    await jobs.close()
    assert [each.state for each in jobs.of_kind("verify")] == ["stopped", "done"]


async def test_a_search_tells_what_it_finds(records: Path) -> None:
    asked = asked_of(records, words="COINS", below=10**9, most=3)
    said = [each async for each in work("search", asked)]
    assert [list(each) for each in said if "at" not in each] == [["found"], ["found"], ["found"], ["done"]]
    assert said[-1] == {"done": {"count": 3}}


async def test_work_ends_when_nobody_listens_any_more(records: Path) -> None:
    async with contextlib.aclosing(work("search", asked_of(records, words="coins", below=10**9, most=3))) as said:
        await anext(said)
    with pytest.raises(StopAsyncIteration):
        await anext(said)


async def test_a_session_searches_once_at_a_time(records: Path) -> None:
    jobs = Jobs()
    first = jobs.begin_search("one")
    second = jobs.begin_search("one")
    assert first is not None
    assert second is not None
    assert (first.is_set(), second.is_set()) == (True, False)
    assert [each async for each in work("search", asked_of(records, words="c", below=9, most=9), first)] == []
    jobs.end_search("one", first)  # it has ended already
    assert not second.is_set()
    others = [jobs.begin_search(str(number)) for number in range(MOST_SEARCHES)]
    assert [each is None for each in others] == [False] * (MOST_SEARCHES - 1) + [True]
    await jobs.close()
    assert second.is_set()


async def test_damage_and_crashes_are_told(records: Path) -> None:
    day = next((records / "day").iterdir())
    day.write_bytes(day.read_bytes().replace(b'"k":"message"', b'"k":message"'))
    said = [each async for each in work("search", asked_of(records, words="coins", below=10**9, most=3))]
    assert "cannot be read" in said[-1]["failed"]["text"]
    jobs = Jobs()
    job = jobs.begin("nothing like it", {}, by="root", now_ms=NOON)
    await asyncio.wait_for(jobs.finished(job), 60)
    assert (job.state, job.problem) == ("failed", {"key": "console.job.ended"})
