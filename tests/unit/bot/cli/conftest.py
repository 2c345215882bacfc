"""A deployment on disk with some history, and the command run on it as a person would."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Table, insert

from bot.cli.access.lookup import now_ms
from bot.cli.main import run
from moderation.values.durations import DAY_MS
from storage import schema
from storage.database.database import Database
from storage.database.place import FILE, DatabasePlace
from storage.database.sqlite import migrate

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'
GARDEN, KITCHEN, DESK = "!garden:example.org", "!kitchen", "!desk"
ANNA, BEN, CLEO = "@anna:example.org", "@ben:example.org", "@cleo:example.org"
NOW = now_ms()
REPOSITORY = str(Path(__file__).parents[4])


@dataclass(frozen=True)
class Result:
    """The result of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


Answerable = Callable[..., Result]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith("ANSWERABLE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANSWERABLE_LANG", "en")
    monkeypatch.setenv("COLUMNS", "200")
    umask = os.umask(0o022)  # of this process, which `run` changes
    yield
    os.umask(umask)


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide a configuration in the current folder."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "config.toml"
    file.write_text(HEAD)
    return file


@pytest.fixture
def answerable(config_file: Path, capsys: pytest.CaptureFixture[str]) -> Answerable:
    """Provide a function that runs `answerable` with its arguments."""

    def answer(*arguments: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(arguments)
        code = ended.value.code
        assert isinstance(code, int | None)
        out, err = capsys.readouterr()
        return Result(code or 0, out, err)

    return answer


@pytest.fixture
def environ() -> dict[str, str]:
    """Provide the environment of a program of ours that runs in a process of its own."""
    return {**os.environ, "PYTHONPATH": REPOSITORY, "ANSWERABLE_LANG": "en"}


def make_database(data_dir: Path) -> None:
    """Make a data directory with an empty database."""
    data_dir.mkdir(mode=0o700, exist_ok=True)
    migrate(data_dir / FILE)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide data directories to copy, since migrating a database takes longer than most tests."""
    folder = tmp_path_factory.mktemp("templates")
    for name, rows in (("empty", {}), ("history", _history())):
        (folder / name).mkdir(mode=0o700)
        asyncio.run(_fill(folder / name, rows))
    return folder


@pytest.fixture
def empty(config_file: Path, templates: Path) -> Path:
    """Provide a data directory in which nothing has happened yet."""
    return shutil.copytree(templates / "empty", config_file.parent / "data")


@pytest.fixture
def data_dir(config_file: Path, templates: Path) -> Path:
    """Provide a data directory with two rooms, three people and three cases."""
    return shutil.copytree(templates / "history", config_file.parent / "data")


async def _fill(data_dir: Path, rows: dict[Table, list[dict[str, Any]]]) -> None:
    database = await Database.open(DatabasePlace(data_dir))
    async with database.write() as connection:
        for table, values in rows.items():
            await connection.execute(insert(table), values)
    await database.close()


def _history() -> dict[Table, list[dict[str, Any]]]:
    return {
        schema.rooms: [
            _room(GARDEN, "G-7F3K", 1, name="The [bold]garden\u202e", condition="protected", desk="G-3333"),
            _room(KITCHEN, "G-2222", 2, name="Kitchen", condition="observing", desk=""),
            _room(DESK, "G-3333", 3, purpose="desk", served="G-7F3K", condition="protected", desk=""),
        ],
        schema.members: [
            {"room": GARDEN, "user": CLEO, "membership": "join", "display_name": "Cleo", "role": "member"},
            {"room": GARDEN, "user": ANNA, "membership": "join", "display_name": "Anna", "role": "owner"},
            {"room": GARDEN, "user": BEN, "membership": "leave", "display_name": "Ben", "role": "member"},
        ],
        schema.verifications: [
            {"record": 4, "person": CLEO, "user": CLEO, "method": "vouch", "level": 2, "at": NOW, "until": NOW + DAY_MS}
        ],
        schema.credit: [
            _entry(10, BEN, NOW - 2 * DAY_MS, cost=50, grade="severe"),
            _entry(11, BEN, NOW - DAY_MS, cost=25, grade="serious"),
            _entry(12, CLEO, NOW - DAY_MS, entry="warning", cost=0, grade="minor"),
        ],
        schema.sanctions: [
            {"record": 13, "kind": "mute", "room": GARDEN, "subject": BEN, "person": BEN, "at": NOW,
             "until": NOW + DAY_MS, "n": 1, "basis": "credit", "rule": "-"}
        ],
        schema.cases: [
            _case(1, GARDEN, BEN, state="decided", outcome="upheld", decided=NOW, by=ANNA),
            _case(2, GARDEN, CLEO, state="open", due=NOW + DAY_MS),
            _case(3, KITCHEN, BEN, state="overdue", due=NOW - DAY_MS),
        ],
        schema.reports: [
            {"record": 22 + number, "n": 1, "message": 20, "subject": BEN, "by": by, "reason": "private", "at": NOW}
            for number, by in enumerate((ANNA, CLEO, CLEO))
        ],
        schema.evidence: [{"record": 20, "n": 1, "event": "$one"}, {"record": 21, "n": 1, "event": "$two"}],
    }  # fmt: skip


def _room(room: str, code: str, entered: int, **more: Any) -> dict[str, Any]:
    return {"room": room, "code": code, "purpose": "group", "served": "-", "name": "", "entered": entered, **more}


def _entry(record: int, user: str, at: int, **more: Any) -> dict[str, Any]:
    return {"record": record, "person": user, "user": user, "at": at, "entry": "charge", "rule": "calm", "n": 1, **more}


def _case(n: int, room: str, subject: str, **more: Any) -> dict[str, Any]:
    shared = {"record": 20 + n, "person": subject, "rule": "calm", "grade": "minor", "decide": "manager", "manages": 0}
    times = {"opened": NOW - 2 * DAY_MS, "due": NOW}
    ending = {"outcome": "", "decided": 0, "by": ""}
    return {"n": n, "room": room, "subject": subject, "excerpt": "private words", **shared, **times, **ending, **more}
