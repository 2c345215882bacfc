"""Settings of the database: where an address may stand, and that its password is shown nowhere."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.config.config import Config, load_config, parse_config
from bot.config.database import DATABASE_URL
from bot.config.env_secrets import Secrets
from bot.config.errors import ConfigError
from moderation.values.errors import Invalid
from storage.database.place import DatabasePlace

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'
PLAIN = "postgresql://answerable@db.example.org:5433/answerable"
SECRET = "postgresql://answerable:hush%40@db.example.org:5433/answerable"


def config(text: str, **environ: str) -> Config:
    return parse_config(Path("/nowhere/config.toml"), HEAD + text, environ)


def test_by_itself_the_state_is_a_file() -> None:
    assert config("").place == DatabasePlace(Path("/nowhere/data"))
    assert str(config("").place) == "/nowhere/data/state.sqlite3"


def test_the_address_stands_in_the_file_or_in_the_environment_which_counts_first() -> None:
    both = config(f'[database]\nurl = "{PLAIN}"', **{DATABASE_URL: SECRET})
    for found, url in ((config(f'[database]\nurl = "{PLAIN}"'), PLAIN), (both, SECRET)):
        assert found.place.url is not None
        assert found.place.url.get_secret_value() == url


def test_no_password_is_shown() -> None:
    found = config("", **{DATABASE_URL: SECRET})
    assert "hush" not in repr(found) + repr(found.place) + str(found.place)
    assert str(found.place) == "postgresql://db.example.org:5433/answerable"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('url = "mysql://answerable:hush@db/answerable"', (("database", "url"), "expected.database_url")),
        ('url = "postgresql+asyncpg://db/answerable"', (("database", "url"), "expected.database_url")),
        ('url = "db.example.org"', (("database", "url"), "expected.database_url")),
        (f'url = "{SECRET}"', (("database", "url"), "expected.database_password")),
        ('url = "postgresql://db/answerable?password=hush"', (("database", "url"), "expected.database_password")),
        ('password = "hush"', (("database", "password"), "unknown.database_secret")),
    ],
)
def test_what_cannot_be_used_is_refused_without_being_shown(
    text: str, problem: tuple[tuple[str | int, ...], str]
) -> None:
    with pytest.raises(ConfigError) as error:
        config(f"[database]\n{text}")
    assert [(found.place, found.key) for found in error.value.problems] == [problem]
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    ["mysql://answerable:hush@db", "postgresql://answerable:hush/1@db/a", "postgresql://answerable:hush%zz@db/a"],
)
def test_an_address_in_the_environment_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(Invalid, match=DATABASE_URL) as error:
        _ = config("", **{DATABASE_URL: url}).place
    assert "%2F" in str(error.value)
    assert "hush" not in str(error.value)


def test_a_process_without_secrets_gets_the_address_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(HEAD)
    (tmp_path / ".env").write_bytes(b"ANSWERABLE_PASSWORD=\xff\n" + f"{DATABASE_URL}='{SECRET}'\n".encode())
    found = load_config(file, {}, with_secrets=False)
    assert found.secrets == Secrets(database=SecretStr(SECRET))
    with pytest.raises(ConfigError):  # nobody else can read that file
        load_config(file, {})


def test_a_process_that_may_not_read_the_secrets_is_given_the_address_by_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(HEAD)
    (tmp_path / ".env").write_text(f"{DATABASE_URL}={SECRET}\n")
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert load_config(file, {}, with_secrets=False).place.url is None
    assert load_config(file, {DATABASE_URL: PLAIN}, with_secrets=False).place.url is not None
