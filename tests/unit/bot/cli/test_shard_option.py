"""`--shard`: every command that reads the configuration can be told which shard it is for."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from bot.cli.main import COMMANDS, _load
from bot.config.database import DATABASE_URL
from storage.database import shared_tables
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.journal.line_format import encode
from storage.journal.record import Draft
from tests.unit.bot.cli.conftest import HEAD, Answerable

SHARDS = (
    '[[shards]]\nname = "one"\naccount = "@one:example.org"\n[[shards]]\nname = "two"\naccount = "@two:example.org"\n'
)


@pytest.fixture
def sharded(config_file: Path) -> Path:
    config_file.write_text(HEAD + SHARDS)
    return config_file


@pytest.mark.usefixtures("sharded")
def test_a_command_that_names_none_is_told_which_there_are(answerable: Answerable) -> None:
    refused = answerable("logs", "verify")
    assert refused.code and "one, two" in refused.err


@pytest.mark.usefixtures("sharded")
def test_a_shard_is_named_by_option_or_environment(answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(Path("data") / "one") in answerable("logs", "verify", "--shard", "one").err
    monkeypatch.setenv("ANSWERABLE_SHARD", "two")
    assert str(Path("data") / "two") in answerable("logs", "verify").err


@pytest.mark.usefixtures("sharded")
def test_a_shard_does_not_run_without_a_database_that_all_share(answerable: Answerable) -> None:
    assert "PostgreSQL" in answerable("run", "--shard", "one").err


@pytest.mark.usefixtures("sharded")
@pytest.mark.parametrize(
    ("made_h", "shown"), [(2, "20 records not published, the first for 2 h"), (0, "20 records not published yet")]
)
def test_status_says_how_far_other_shards_have_published_their_logs(
    answerable: Answerable,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made_h: int,
    shown: str,
) -> None:
    monkeypatch.setenv(DATABASE_URL, postgres_url)
    asyncio.run(_made(DatabasePlace(tmp_path / "data" / "one", SecretStr(postgres_url), "one")))
    with psycopg.connect(postgres_url, autocommit=True) as server:
        shared_tables.make(server)
        asked = answerable("status", "--json", "--shard", "one")
        assert asked.json["shards"] == []
        base = "INSERT INTO answerable_shared.shards VALUES ('two', 'example.org/answerable/two', 'key', 1, 'holder')"
        server.execute(base)
        read = "INSERT INTO answerable_shared.exchange_read (shard, origin, idx, at) VALUES ('two', %s, 9, %s)"
        now = datetime.now(UTC)  # it was quiet until the first record that is not published
        server.execute(read, ["example.org/answerable/two", now - timedelta(hours=3)])
        line = "INSERT INTO answerable_shared.log (shard, idx, day, line, mac) VALUES ('two', %s, '2026-11-24', %s, '')"
        made_ms = int((now - timedelta(hours=made_h)).timestamp() * 1000)
        for index in (10, 29):
            server.execute(line, [index, encode(index, Draft("gap", made_ms), (), ()).line])
    [two] = answerable("status", "--json", "--shard", "one").json["shards"]
    assert (two["name"], two["unpublished"]) == ("two", 20)
    assert two["silent_s"] >= 10_800
    assert 0 <= two["waits_s"] - 3600 * made_h < 600
    assert shown in " ".join(answerable("status", "--shard", "one").out.split())


async def _made(place: DatabasePlace) -> None:
    await (await Database.open(place)).close()


@pytest.mark.parametrize("lazy", COMMANDS, ids=lambda lazy: lazy.name)
def test_every_command_with_a_configuration_takes_it(lazy: object) -> None:
    assert _without(_load(lazy.module, lazy.name)) == []  # type: ignore[attr-defined]


def _without(command: object) -> list[str]:
    """Return the commands that read the configuration and do not take the option."""
    below = getattr(command, "commands", {}).values()
    names = {parameter.name for parameter in command.params}  # type: ignore[attr-defined]
    own = [str(command.name)] if "config_file" in names and "shard" not in names else []  # type: ignore[attr-defined]
    return [*own, *(name for each in below for name in _without(each))]
