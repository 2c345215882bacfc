"""Somebody posts a small JPEG whose scans are repeated: opening it takes minutes to hours."""

import asyncio
import signal
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.effects import picture_process
from bot.effects.fetch_file import PER_PERSON, FileFetcher
from bot.effects.media_hash import MediaHasher
from bot.effects.picture_hash import pdq_of
from bot.effects.picture_process import hash_apart
from bot.outbox.handler import RetryLater
from moderation.model.actions.files import HashMedia
from moderation.model.facts import MediaKept
from moderation.values.ids import RoomId, UserId
from tests.unit.bot.effects.pictures import picture, written

ANNA, BEN = UserId("@anna:example.org"), UserId("@ben:example.org")
LIMIT = 3_000_000
SIDE, SCANS = 4_000, 50_000  # each scan takes some milliseconds
GOOD = written(picture(1, 160, 120))
SCAN = b"\xff\xda"


@cache
def endless() -> bytes:
    """Return a picture of one colour, with its last scan repeated."""
    data = written(Image.new("L", (SIDE, SIDE), 128), "JPEG", progressive=True, quality=30)
    last = data[data.rindex(SCAN) : -2]
    file = data[:-2] + last * SCANS + data[-2:]
    assert len(file) < LIMIT
    return file


class Files:
    """The files of a homeserver: those of Ben are pictures of nothing special."""

    def __init__(self) -> None:
        self.fetched = 0

    async def download(self, mxc: str, *, at_most: int) -> bytes:
        assert at_most == LIMIT
        self.fetched += 1
        return GOOD if "ben" in mxc else endless()


def shown(number: int, user: UserId = ANNA) -> HashMedia:
    name = user[1:].split(":")[0]
    return HashMedia(room=RoomId("!r:example.org"), url=f"mxc://example.org/{name}{number}", subject=user, on=number)


def hasher_of(files: Files) -> MediaHasher:
    return MediaHasher(FileFetcher(files, LIMIT), pictures=True)  # type: ignore[arg-type]


async def kept(hasher: MediaHasher, action: HashMedia) -> tuple[MediaKept, str]:
    done = await hasher.handle(action, "txn")
    (fact,) = done.facts
    assert isinstance(fact, MediaKept)
    return fact, done.code


class Started:
    """Every process that is started, as soon as it runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._start = asyncio.create_subprocess_exec
        self._next: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()
        self.environment: dict[str, str] = {}
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self.start)

    async def start(self, *command: str, env: dict[str, str], **how: Any) -> asyncio.subprocess.Process:
        process = await self._start(*command, env=env, **how)
        self.environment = env
        self._next.put_nowait(process)
        return process

    async def next(self) -> asyncio.subprocess.Process:
        return await asyncio.wait_for(self._next.get(), 120)


async def test_it_is_given_up_and_the_pictures_of_others_are_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_process, "SECONDS", 1)
    hasher = hasher_of(Files())
    (heavy, code), (good, plain) = await asyncio.gather(kept(hasher, shown(1)), kept(hasher, shown(1, BEN)))
    assert (heavy.result, heavy.pdq, len(heavy.sha256), code) == ("done", "", 64, "heavy")
    assert (good.pdq, plain) == (pdq_of(GOOD)[0], "-")
    assert await kept(hasher, shown(1)) == (heavy, "heavy")  # known: not tried again


async def test_one_person_makes_only_so_much_work_in_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_process, "_LONGEST_S", 0.0)
    files = Files()
    hasher = hasher_of(files)
    results = [(await kept(hasher, shown(number)))[0].result for number in range(PER_PERSON + 2)]
    assert (results[-2:], files.fetched) == (["refused"] * 2, results.count("done"))
    assert files.fetched <= PER_PERSON


async def test_a_stop_kills_the_process_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERABLE_TOKEN", "secret")
    started = Started(monkeypatch)
    task = asyncio.create_task(hash_apart(endless()))
    process = await started.next()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert process.returncode == -signal.SIGKILL
    assert "secret" not in started.environment.values()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
async def test_a_picture_whose_process_is_told_to_stop_is_hashed_later(
    monkeypatch: pytest.MonkeyPatch, told: signal.Signals
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what runs behind it ignore it
    started = Started(monkeypatch)
    task = asyncio.create_task(hasher_of(Files()).handle(shown(1), "txn"))
    (await started.next()).send_signal(told)
    signal.signal(signal.SIGINT, before)
    with pytest.raises(RetryLater) as later:
        await task
    ((lost,),) = [later.value.given_up.facts]
    assert isinstance(lost, MediaKept)
    assert (lost.result, lost.pdq, len(lost.sha256)) == ("done", "", 64)


async def test_a_picture_is_hashed_later_if_python_is_interrupted_while_it_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "interrupted.py"
    program.write_text("import sys\nsys.stderr.write('KeyboardInterrupt\\n')\nsys.exit(1)\n")
    monkeypatch.setattr(picture_process, "_HASHER", str(program))
    with pytest.raises(RetryLater):
        await hasher_of(Files()).handle(shown(1), "txn")


async def test_a_picture_waits_while_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(RetryLater):
        await hasher_of(Files()).handle(shown(1), "txn")


@pytest.mark.long
async def test_a_process_gets_no_more_memory_than_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_process, "SECONDS", 100)
    assert (await hash_apart(GOOD)).hashes == pdq_of(GOOD)[0]
    large = written(picture(1).resize((5_000, 5_000)))
    assert (await hash_apart(large)).hashes
    monkeypatch.setattr(picture_process, "MEMORY", 80_000_000)
    assert not (await hash_apart(large)).hashes
