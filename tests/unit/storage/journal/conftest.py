"""Shared helpers for the tests of the records: a deployment in a temporary folder, and independent second opinions."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from moderation.values.events import Json
from moderation.values.ids import PersonId
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.record import NOBODY, Draft, Part
from storage.journal.record_keys import PersonKeys

NOON = 1_795_521_600_000  # 2026-11-24T12:00:00Z
DAY_MS = 86_400_000


class Place:
    """One data directory, with methods to open, copy and damage its contents."""

    def __init__(self, data_dir: Path, origin: str = "example.org/log") -> None:
        self.data_dir = data_dir
        self.origin = origin
        self.folder = data_dir / "records"
        self.keys = PersonKeys.open(DatabasePlace(data_dir))

    def open(self, now_ms: int = NOON) -> Journal:
        return Journal.open(self.data_dir, self.origin, self.keys, now_ms)

    def crash(self) -> "Place":
        """Return a copy of the files without a process, as after a power cut at this moment."""
        copy = Path(tempfile.mkdtemp(dir=self.data_dir.parent)) / "data"
        shutil.copytree(self.data_dir, copy)
        return Place(copy)

    def day(self, name: str = "2026-11-24") -> Path:
        return self.folder / "day" / f"{name}.jsonl"

    def lines(self, name: str = "2026-11-24") -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.day(name).read_text("utf-8").splitlines()]

    def change(self, path: str, old: bytes, new: bytes) -> None:
        file = self.folder / path
        data = file.read_bytes()
        assert old in data
        file.write_bytes(data.replace(old, new, 1))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "data")
    yield place
    place.keys.close()


@pytest.fixture
def place_in() -> Iterator[Callable[[Path, str], Place]]:
    """Provide a function that makes the place of a log with this name in this data directory."""
    places: list[Place] = []

    def make(data_dir: Path, origin: str) -> Place:
        places.append(Place(data_dir, origin))
        return places[-1]

    yield make
    for place in places:
        place.keys.close()


@pytest.fixture(scope="session")
def new_place() -> Iterator[Callable[[], Place]]:
    """Provide a function that makes new places within one test, for hypothesis."""
    root = Path(tempfile.mkdtemp())
    places: list[Place] = []

    def make() -> Place:
        places.append(Place(root / str(len(places)) / "data"))
        return places[-1]

    yield make
    for place in places:
        place.keys.close()
    shutil.rmtree(root)


def message(text: str = "hello", at_ms: int = NOON, person: str = "@anna:example.org") -> Draft:
    data: dict[str, Json] = {"mxid": person, "ev": "$" + "e" * 43, "ts": at_ms - 5, "body": text}
    return Draft("message", at_ms, "G-7F3K", parts=(Part(PersonId(person), data),))


def start(at_ms: int = NOON) -> Draft:
    return Draft("start", at_ms, fields={"version": "0.1.0"})


def notice(at_ms: int = NOON) -> Draft:
    return Draft("notice", at_ms, "G-7F3K", {"what": "joined"}, (Part(NOBODY, {"text": "你好 \U0001f600"}),))


def two_parts(at_ms: int = NOON) -> Draft:
    """Return a record about two people, of whom one removed the other."""
    by = Part(PersonId("@ben:example.org"), {"mxid": "@ben:example.org", "ev": "$two", "key": "@anna:example.org"})
    target = Part(PersonId("@anna:example.org"), {"as": "target", "mxid": "@anna:example.org"})
    return Draft("leave", at_ms, "G-7F3K", {"membership": "leave"}, (by, target))


def erase(targets: Any, at_ms: int = NOON) -> Draft:
    """Return the record that declares an erasure."""
    parts = (Part(NOBODY, {"records": targets.text}),)
    return Draft("erase", at_ms, fields={"parts": targets.count, "what": "request"}, parts=parts)


def hold(covers: str, until_ms: int, at_ms: int = NOON) -> Draft:
    """Return the record that places a hold."""
    parts = (Part(NOBODY, {"duty": "a claim in court", "covers": covers}),)
    return Draft("hold", at_ms, fields={"step": "placed", "until": until_ms}, parts=parts)


def purge(below: int, at_ms: int) -> Draft:
    """Return the record that declares a purge."""
    return Draft("purge", at_ms, fields={"below": below, "what": "schedule"})


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root exactly as RFC 6962, 2.1, defines it; `leaves` are leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def leaf_by_json(line: dict[str, Any]) -> bytes:
    """Return the leaf hash computed with Python's own json, which shares nothing with the product."""
    skeleton = {key: value for key, value in line.items() if key != "x"}
    text = json.dumps(skeleton, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(b"\x00" + text.encode()).digest()


@pytest.fixture(scope="session")
def tools() -> Any:
    """Provide the functions above, since test files cannot import each other under importlib mode."""

    class Tools:
        noon = NOON
        day_ms = DAY_MS

    for function in (message, start, notice, two_parts, erase, hold, purge, naive_root, leaf_by_json):
        setattr(Tools, function.__name__, staticmethod(function))
    return Tools
