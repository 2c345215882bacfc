"""Settings of the antispam callbacks: where the bot may listen, how long people wait, and where the token belongs."""

from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it comes with Synapse
from pydantic import SecretStr

from bot.antispam.module_config import CALLBACKS, module_config
from bot.config.antispam import ANTISPAM_TOKEN, AntispamSettings, token_of
from bot.config.config import Config, parse_config
from bot.config.errors import ConfigError
from moderation.values.errors import Refused

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'
TOKEN = "0123456789abcdef0123456789abcdef"


def config(text: str, **environ: str) -> Config:
    return parse_config(Path("/nowhere/config.toml"), HEAD + text, environ)


def test_by_itself_the_bot_listens_nowhere() -> None:
    assert config("").antispam == AntispamSettings()
    assert config("").antispam.listen is None


def test_the_token_comes_from_the_environment_and_is_shown_nowhere() -> None:
    found = config('[antispam]\nlisten = "127.0.0.1:8422"\nwithin = "2s"', **{ANTISPAM_TOKEN: TOKEN})
    assert (found.antispam.listen, found.antispam.within) == ("127.0.0.1:8422", 2_000)
    assert token_of(found.secrets.antispam) == TOKEN
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('listen = "0.0.0.0:8422"', (("antispam", "listen"), "expected.listen")),
        ('listen = "8.8.8.8:8422"', (("antispam", "listen"), "expected.listen")),
        ('listen = "8422"', (("antispam", "listen"), "expected.listen")),
        ('within = "6s"', (("antispam", "within"), "expected.antispam_within")),
        ("within = 2", (("antispam", "within"), "expected.duration")),
        ('refuse = ["notice"]', (("antispam", "refuse", 0), "expected.one_of")),
        (f'token = "{TOKEN}"', (("antispam", "token"), "unknown.antispam_secret")),
    ],
)
def test_an_impossible_setting_is_refused_with_its_place(text: str, problem: tuple[tuple[str | int, ...], str]) -> None:
    with pytest.raises(ConfigError) as error:
        config(f"[antispam]\n{text}")
    assert [(found.place, found.key) for found in error.value.problems] == [problem]


@pytest.mark.parametrize(
    ("token", "key"),
    [(None, "antispam.no-token"), *((bad, "antispam.bad-token") for bad in ("short", "a b " * 10, "é" * 40))],
)
def test_a_token_that_can_be_guessed_or_not_sent_is_none(token: str | None, key: str) -> None:
    with pytest.raises(Refused) as error:
        token_of(SecretStr(token) if token else None)
    assert error.value.key == key
    assert "short" not in str(error.value.fields)


def test_the_settings_of_the_module_let_everything_through_while_the_bot_is_away() -> None:
    text = module_config(AntispamSettings(listen="127.0.0.1:8422"))
    settings = yaml.safe_load(text)["modules"][0]["config"]
    assert settings["base_url"] == "http://127.0.0.1:8422"
    assert settings["fail_open"] == dict.fromkeys(CALLBACKS, True)
    assert settings["enabled_callbacks"] == list(CALLBACKS)
    assert "authorization" not in settings
