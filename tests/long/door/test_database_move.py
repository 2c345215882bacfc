"""`answerable database move`, there and back, with the data of a deployment that has everything in it."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from bot.account.kept_session import keep_session
from bot.cli.main import app, run
from bot.config.config import load_config
from bot.crypto.store import Store, place_of, places_of
from bot.crypto.store_key import StoreKey
from bot.crypto.tables import ALL as CRYPTO_TABLES
from bot.exchange.parts import shard_parts
from bot.matrix.login import Session
from moderation.values.errors import Refused
from moderation.values.ids import PersonId, UserId
from storage.database.database import Database
from storage.database.fence import Epoch
from storage.database.moved import COMPLETE, STAGE
from storage.database.moved import FILE as MOVED
from storage.database.place import FILE, DatabasePlace
from storage.database.postgresql import migrate
from storage.database.refusals import DatabaseRefused
from storage.identity.store import IdentityStore
from storage.journal.record_keys import PersonKeys
from storage.moving import to_files
from storage.moving.stores import DeviceStores, stores_of
from storage.schema import metadata
from tests.archives import unpack
from tests.door.bot.cli.test_older_version import ARCHIVE
from tests.door.offline import offline

DEVICES = DeviceStores(places_of, CRYPTO_TABLES)
KEY = StoreKey(bytes(range(32)))
Tables = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide the data directory of a deployment in files: cases, an outbox, keys of people and of a device."""
    unpack(ARCHIVE, tmp_path)
    monkeypatch.chdir(tmp_path / "deployment")
    monkeypatch.setenv("ANSWERABLE_LANG", "en")
    folder = tmp_path / "deployment" / "data"
    asyncio.run(_grown(folder))
    return folder


async def _grown(folder: Path) -> None:
    await (await Database.open(DatabasePlace(folder))).close()
    keys = PersonKeys.open(DatabasePlace(folder))
    keys.key_of(PersonId("@anna:example.org"))
    keys.close()
    IdentityStore.open(DatabasePlace(folder), None).close()
    store = await Store.open(place_of(DatabasePlace(folder), "DEVICE"), KEY, "@bot:example.org", "DEVICE")
    await store.run(lambda db: store.put_secret(db, "account", b"\0secret"))
    await store.close()


def move(*arguments: str) -> Any:
    ran = CliRunner().invoke(app, ["database", "move", "--json", *arguments])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return json.loads(ran.stdout)


def refused(*arguments: str) -> str:
    ran = CliRunner().invoke(app, ["database", "move", *arguments])
    assert ran.exit_code != 0
    return str(getattr(ran.exception, "key", ran.exception))


def configure(url: str) -> None:
    """Write the address into the settings, or take it out."""
    file = Path("config.toml")
    kept = [
        line
        for line in file.read_text("utf-8").splitlines()
        if line not in ("[database]",) and 'url = "postgres' not in line
    ]
    file.write_text("\n".join([*kept, *(["[database]", f'url = "{url}"'] if url else [])]) + "\n", "utf-8")


def in_files(data: Path) -> Tables:
    found: Tables = {}
    place = DatabasePlace(data)
    with closing(sqlite3.connect(data / FILE)) as database:
        for table in metadata.sorted_tables:
            found[f"state.{table.name}"] = _rows(database, table.name, [each.name for each in table.columns])
    for store in stores_of(place, DEVICES):
        with closing(sqlite3.connect(store.where.path)) as database:
            for small in store.tables:
                found[f"{store.where.name}.{small.name}"] = _rows(database, small.name, list(small.names))
            found[f"{store.where.name}: version"] = database.execute("PRAGMA user_version").fetchall()
    return found


def on_server(data: Path, url: str) -> Tables:
    found: Tables = {}
    place = DatabasePlace(data, SecretStr(url))
    stores = stores_of(place, DEVICES)
    with psycopg.connect(url) as database:
        for table in metadata.sorted_tables:
            found[f"state.{table.name}"] = _rows(database, f"answerable.{table.name}", [c.name for c in table.columns])
        for store in stores:
            for small in store.tables:
                name = f'"{store.where.schema}"."{small.name}"'
                found[f"{store.where.name}.{small.name}"] = _rows(database, name, list(small.names))
            version = database.execute(f'SELECT number FROM "{store.where.schema}".version').fetchall()
            found[f"{store.where.name}: version"] = version
    return found


def _rows(database: Any, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
    named = ", ".join(f'"{name}"' for name in columns)
    return sorted(database.execute(f"SELECT {named} FROM {table}").fetchall(), key=repr)


def opens(place: DatabasePlace) -> str:
    """Return "" if a bot may start from this place, else why not."""

    async def tried() -> None:
        await (await Database.open(place)).close()

    try:
        asyncio.run(tried())
    except DatabaseRefused as error:
        return error.key.removeprefix("database.")
    return ""


def verified(*options: str) -> bool:
    ran = CliRunner().invoke(app, ["logs", "verify", *options, "--data-dir", "data"])
    return ran.exit_code == 0


def test_everything_goes_there_and_back(data: Path, postgres_url: str) -> None:
    before = in_files(data)
    assert before["state.outbox"] and before["state.cases"] and before["identity.person_keys"]
    made = move("--to", postgres_url)
    there = on_server(data, postgres_url)
    assert there == before
    assert made["tables"].keys() == {name for name in before if "version" not in name}
    assert made["rows"] == sum(len(rows) for name, rows in before.items() if "version" not in name)
    assert "postgres@" not in made["to"]

    # The files stay as they are, and are not used.
    assert in_files(data) == before
    assert opens(DatabasePlace(data)) == "moved_to_server"
    assert opens(DatabasePlace(data, SecretStr(postgres_url))) == ""

    # What happened on PostgreSQL comes back.
    with psycopg.connect(postgres_url) as server:
        server.execute("INSERT INTO answerable.meta VALUES ('said', 'on PostgreSQL')")
    configure(postgres_url)
    back = move("--to", "sqlite")
    assert back["rows"] == made["rows"] + 1
    before["state.meta"] = sorted([*before["state.meta"], ("said", "on PostgreSQL")], key=repr)
    assert in_files(data) == before
    assert not (data / STAGE).exists()
    assert opens(DatabasePlace(data, SecretStr(postgres_url))) == "moved_to_files"
    configure("")
    assert opens(DatabasePlace(data)) == ""
    assert verified()

    # And there once more.
    assert move("--to", postgres_url)["rows"] == back["rows"]
    assert on_server(data, postgres_url) == before


def test_the_settings_may_name_the_database_before_the_move(data: Path, postgres_url: str) -> None:
    configure(postgres_url)
    assert opens(DatabasePlace(data, SecretStr(postgres_url))) == "not_moved"
    move("--to", "postgresql")
    assert opens(DatabasePlace(data, SecretStr(postgres_url))) == ""


def test_what_cannot_be_meant_is_refused(data: Path, postgres_url: str, tmp_path: Path) -> None:
    assert refused("--to", "sqlite") == "cli.database.on_files"
    assert refused("--to", "postgresql") == "cli.database.no_address"
    assert "found mysql" in refused("--to", "mysql")
    for broken in ("postgresql://bot:hu/sh@127.0.0.1/a", "mysql://bot:hush@127.0.0.1/a"):
        assert "sh@" not in refused("--to", broken)
    assert refused("--to", postgres_url.replace("postgres@", "postgres:hush@")) == "cli.database.password_seen"
    move("--to", postgres_url)
    assert refused("--to", postgres_url) == "database.moved_to_server"
    configure(postgres_url)
    asyncio.run(_begin(DatabasePlace(data, SecretStr(postgres_url))))
    (data / MOVED).unlink()
    assert refused("--to", "postgresql") == "database.not_empty"


def test_a_shard_with_others_is_neither_moved_to_files_nor_started_on_them(data: Path, postgres_url: str) -> None:
    file, names = Path("config.toml"), ("one", "two")
    shards = "".join(f'[[shards]]\nname = "{name}"\naccount = "@{name}:example.org"\n' for name in names)
    configure(postgres_url)
    file.write_text(file.read_text("utf-8") + shards, "utf-8")
    data.rename(Path("one"))
    data.mkdir()
    Path("one").rename(data / "one")
    ran = CliRunner().invoke(app, ["database", "move", "--to", "sqlite", "--shard", "one"])
    assert getattr(ran.exception, "key", ran.exception) == "cli.database.shards"
    configure("")
    with pytest.raises(Refused, match=r"config\.shards_on_files"):
        shard_parts(load_config(file, {}, shard="one"), *[None] * 5)  # type: ignore[arg-type]


async def _begin(place: DatabasePlace) -> None:
    await (await Database.open(place)).close()


def test_a_running_bot_is_not_moved(data: Path, postgres_url: str) -> None:
    from bot.cli.run import only_instance

    with only_instance(data):
        assert refused("--to", postgres_url) == "cli.database.runs"
    assert opens(DatabasePlace(data)) == ""


def test_files_that_lack_records_of_the_database_are_not_moved_to(data: Path, postgres_url: str) -> None:
    move("--to", postgres_url)
    configure(postgres_url)
    with psycopg.connect(postgres_url) as server:
        server.execute("INSERT INTO answerable_shared.log VALUES ('', 1000000, '2026-11-24', '', '')")
    assert refused("--to", "sqlite") == "database.files_behind"
    assert opens(DatabasePlace(data, SecretStr(postgres_url))) == ""


def test_the_session_of_the_database_comes_with_it(data: Path, postgres_url: str) -> None:
    _with_session(data, postgres_url)
    move("--to", "sqlite")
    kept = Path(".env").read_text("utf-8")
    assert "another-token" in kept
    assert "NEWER" in kept


def _with_session(data: Path, postgres_url: str) -> None:
    """Move to PostgreSQL, and keep a session there that this machine's `.env` does not have."""
    (data / "keys" / "crypto.key").unlink(missing_ok=True)
    move("--to", postgres_url)
    configure(postgres_url)
    place = DatabasePlace(data, SecretStr(postgres_url))
    session = Session("http://127.0.0.1:1", UserId("@bot:example.org"), "NEWER", "another-token")
    shutil.rmtree(data / "crypto")  # so that a new key may be made
    with psycopg.connect(postgres_url) as server:
        server.execute(f'DROP SCHEMA "{place_of(place, "DEVICE").schema}" CASCADE')
        epoch = server.execute("SELECT epoch, holder FROM answerable_shared.shards").fetchone()
    assert epoch is not None
    keep_session(place, session, Epoch("", *epoch))


def test_a_move_killed_after_the_mark_has_kept_the_session(
    data: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_session(data, postgres_url)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(to_files, "_put_in_place", killed)
    assert CliRunner().invoke(app, ["database", "move", "--to", "sqlite"]).exit_code != 0
    assert opens(DatabasePlace(data, SecretStr(postgres_url))) == "moved_to_files"
    assert "another-token" in Path(".env").read_text("utf-8")
    monkeypatch.undo()
    monkeypatch.chdir(data.parent)
    assert move("--to", "sqlite")["finished"]
    kept = Path(".env").read_text("utf-8")
    assert "another-token" in kept
    assert "NEWER" in kept


def test_a_move_that_is_refused_leaves_the_session_as_it_was(data: Path, postgres_url: str) -> None:
    _with_session(data, postgres_url)
    with psycopg.connect(postgres_url) as server:
        server.execute("INSERT INTO answerable_shared.log VALUES ('', 1000000, '2026-11-24', '', '')")
    assert refused("--to", "sqlite") == "database.files_behind"
    assert not Path(".env").exists() or "another-token" not in Path(".env").read_text("utf-8")


def test_what_a_killed_move_left_is_removed_at_the_next_start(data: Path) -> None:
    (data / STAGE).mkdir()
    (data / STAGE / FILE).write_bytes(b"half")
    asyncio.run(_started(data))
    assert not (data / STAGE).exists()


async def _started(data: Path) -> None:
    async with offline(data.parent):
        pass


# Backups.


def backup(name: str) -> Any:
    return said("backup", name)


def said(*arguments: str) -> Any:
    ran = CliRunner().invoke(app, [*arguments, "--json"])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return json.loads(ran.stdout)


def small(tables: Tables) -> Tables:
    """Return the tables whose rows a restore keeps as they are."""
    return {name: tables[name] for name in ("state.cases", "state.sanctions", "state.credit", "identity.person_keys")}


def test_a_backup_of_postgresql_is_restored_to_files_and_to_postgresql(
    data: Path, postgres: Any, postgres_url: str
) -> None:
    before = in_files(data)
    move("--to", postgres_url)
    (data / FILE).unlink()  # nothing is taken from the files that were left
    (data / "identity.sqlite3").unlink()
    configure(postgres_url)
    made = backup("../made.zip")
    assert made["problems"] == 0

    shutil.rmtree(data)
    assert "database.not_empty" in restored_not("../made.zip")
    configure("")
    assert said("restore", "../made.zip")["records"] == made["records"]
    assert small(in_files(data)) == small(before)
    assert opens(DatabasePlace(data)) == ""
    assert verified("--tables")

    shutil.rmtree(data)
    with postgres.new() as other:
        configure(other)
        said("restore", "../made.zip")
        assert small(on_server(data, other)) == small(before)
        assert opens(DatabasePlace(data, SecretStr(other))) == ""
        assert verified()
        assert not [name for name in (FILE, "identity.sqlite3", MOVED) if (data / name).exists()]


def restored_not(file: str) -> str:
    ran = CliRunner().invoke(app, ["restore", file])
    assert ran.exit_code != 0
    return str(getattr(ran.exception, "key", ran.exception))


def test_a_backup_of_files_is_restored_to_postgresql(data: Path, postgres_url: str) -> None:
    before, made = in_files(data), backup("../made.zip")
    shutil.rmtree(data)
    configure(postgres_url)
    assert said("restore", "../made.zip")["records"] == made["records"]
    assert small(on_server(data, postgres_url)) == small(before)
    assert opens(DatabasePlace(data, SecretStr(postgres_url))) == ""


def test_a_backup_of_an_older_version_is_restored_to_postgresql(data: Path, postgres_url: str) -> None:
    (older,) = data.parent.glob("*.zip")
    shutil.rmtree(data)
    configure(postgres_url)
    assert said("restore", older.name)["records"] > 0
    assert on_server(data, postgres_url)["state.cases"]
    assert verified()


# Killed.

EVERY = 4  # steps from one kill to the next; with 1 it takes minutes
MOVING = ("to_server", "to_files", "file_mark")
MODULES = (*(f"storage/moving/{name}.py" for name in MOVING), "storage/database/moved.py")


def killed_at(step: int, *arguments: str) -> bool:
    """Run a move in a process that is killed at its step number `step`; tell whether it got that far."""
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            sys.settrace(partial(_trace, [step]))
            run(["database", "move", *arguments])
        except SystemExit as ended:
            os._exit(int(ended.code or 0))
        except BaseException:
            os._exit(99)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, (step, status)
    return False


def _trace(left: list[int], frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
    """Count the beginnings of functions, and each line of the one that gives files their names."""
    name = frame.f_code.co_name
    if not frame.f_code.co_filename.endswith(MODULES) or name == "<module>":
        return None
    if event == ("line" if name == "_put_in_place" else "call"):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return partial(_trace, left)


@pytest.fixture(scope="module")
def tables(postgres: Any) -> Iterator[str]:
    """Provide a database with empty tables, to be copied: to make them takes longest."""
    with postgres.new() as url:
        migrate(DatabasePlace(Path(), SecretStr(url)))
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def fresh(data: Path, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Provide what puts the data directory back as it was."""
    kept = tmp_path / "kept"
    shutil.copytree(data, kept)

    def restore() -> None:
        shutil.rmtree(data)
        shutil.copytree(kept, data)

    yield restore


def test_killed_at_any_step_on_the_way_there_the_files_stay_in_use(
    data: Path, postgres: Any, tables: str, fresh: Callable[[], None]
) -> None:
    before, step, marked = in_files(data), 1, 0
    while True:
        with postgres.new(tables) as url:
            if not killed_at(step, "--to", url):
                break
            place = DatabasePlace(data)
            marked += opens(place) == "moved_to_server"
            if opens(place) == "":
                assert in_files(data) == before
                move("--to", url)
            assert on_server(data, url) == before
            assert (opens(place), opens(DatabasePlace(data, SecretStr(url)))) == ("moved_to_server", "")
        fresh()
        step += EVERY
    assert step > 6
    assert marked == 0  # nothing is left to do once the files are marked


def test_killed_at_any_step_on_the_way_back_nothing_is_lost(
    data: Path, postgres: Any, fresh: Callable[[], None], tmp_path: Path
) -> None:
    before = in_files(data)
    rows = sum(len(found) for name, found in before.items() if "version" not in name)
    with postgres.new() as first:
        move("--to", first)
        moved_away, step = tmp_path / "away", 1
        shutil.copytree(data, moved_away)
        while True:
            with psycopg.connect(first) as server:
                server.execute("UPDATE answerable_shared.moves SET way = 'used'")
            configure(first)
            if not killed_at(step, "--to", "sqlite"):
                break
            used = [opens(DatabasePlace(data, SecretStr(first))), opens(DatabasePlace(data))]
            assert "" not in used or used.count("") == 1
            if used[1] != "":
                assert move("--to", "sqlite")["rows"] in (0, rows)
            assert in_files(data) == before
            assert (opens(DatabasePlace(data)), opens(DatabasePlace(data, SecretStr(first)))) == ("", "moved_to_files")
            assert not (data / STAGE / COMPLETE).exists()
            shutil.rmtree(data)
            shutil.copytree(moved_away, data)
            step += EVERY
    assert step > 20
