"""Long work of the console: done by another process, with progress, and ended at any moment."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from bot.console.jobs import MOST_RUNNING, MOST_SEARCHES, TOO_LONG, Jobs, work
from moderation.values.errors import Refused
from moderation.values.ids import PersonId, group_code
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.record import Draft, Part
from storage.journal.record_keys import PersonKeys

NOON = 1_795_521_600_000
ANNA = "@anna:example.org"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Provide a log of some messages."""
    keys = PersonKeys.open(DatabasePlace(tmp_path))
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


async def test_a_search_that_never_began_keeps_no_place() -> None:
    jobs = Jobs()
    for number in range(MOST_SEARCHES + 1):
        assert jobs.begin_search(str(number)) is not None  # the page failed, and let go of it


async def test_of_each_user_the_newest_result_is_kept(records: Path) -> None:
    jobs = Jobs()
    for by in ("root", "root", "other"):
        await jobs.finished(jobs.begin("verify", asked_of(records), by=by, now_ms=NOON))
    assert [each.by for each in jobs.of_kind("verify")] == ["other", "root"]


async def test_what_nobody_expected_ends_the_work_and_frees_its_place() -> None:
    jobs = Jobs()
    for number in range(MOST_RUNNING + 1):
        job = jobs.begin("verify", {"records": {number}}, by="root", now_ms=NOON, kind=str(number))
        await jobs.finished(job)
        assert (job.state, job.problem) == ("failed", {"key": "console.job.ended"})


async def test_a_result_has_a_longest_length(records: Path) -> None:
    said = [each async for each in work("verify", asked_of(records), most=50)]
    assert said[-1] == TOO_LONG


async def test_what_was_not_seen_comes_in_rows(records: Path) -> None:
    keys = PersonKeys.open(DatabasePlace(records.parent))
    with Journal.open(records.parent, "example.org/log", keys, NOON) as journal:
        journal.append([Draft("coverage", NOON, group_code(each), {"what": "gap", "count": 1}) for each in range(120)])
        journal.close(NOON)
    keys.close()
    said = [each async for each in work("coverage", {"records": str(records)})]
    assert [len(each["rows"][1]) for each in said if each.get("rows", [""])[0] == "unseen"] == [50, 50, 20]
    jobs = Jobs()
    job = jobs.begin("coverage", {"records": str(records)}, by="root", now_ms=NOON)
    await jobs.finished(job)
    assert (len(job.result["unseen"]), [each["stopped"] for each in job.result["off"]]) == (120, [])


def test_work_gives_way_to_everything_else(records: Path) -> None:
    """On Linux a session of its own would otherwise get as much of the processors as the bot."""
    group = Path("/proc/self/autogroup")
    look = f"print(os.nice(0), {group.exists()} and open('{group}').read())"
    tells = f"import os\nfrom bot.console import worker\nworker.main()\n{look}"
    asked = orjson.dumps({"do": "verify", "with": asked_of(records)}) + b"\n"
    ended = subprocess.run([sys.executable, "-c", tells], input=asked, capture_output=True, start_new_session=True)
    own, _, session = ended.stdout.decode().strip().rpartition("\n")[2].partition(" ")
    assert int(own) >= 10
    assert session == "False" or session.endswith("nice 10")


def test_a_service_that_may_not_give_way_works_all_the_same(records: Path) -> None:
    forbids = "import os\ndef no(_): raise PermissionError\nos.nice = no\n"
    forbidden = f"{forbids}from bot.console import worker\nworker.main()"
    asked = orjson.dumps({"do": "verify", "with": asked_of(records)}) + b"\n"
    ended = subprocess.run([sys.executable, "-c", forbidden], input=asked, capture_output=True)
    assert orjson.loads(ended.stdout.splitlines()[-1])["done"]["ok"] is True


async def test_damage_and_crashes_are_told(records: Path) -> None:
    day = next((records / "day").iterdir())
    day.write_bytes(day.read_bytes().replace(b'"k":"message"', b'"k":message"'))
    said = [each async for each in work("search", asked_of(records, words="coins", below=10**9, most=3))]
    assert "cannot be read" in said[-1]["failed"]["text"]
    jobs = Jobs()
    job = jobs.begin("nothing like it", {}, by="root", now_ms=NOON)
    await asyncio.wait_for(jobs.finished(job), 120)
    assert (job.state, job.problem) == ("failed", {"key": "console.job.ended"})
