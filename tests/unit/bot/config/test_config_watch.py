"""`[watch]` in `config.toml`: off by default, and never open to other machines."""

from pathlib import Path

import pytest

from bot.config.config import parse_config
from bot.config.deployment import WatchSettings
from bot.config.errors import ConfigError

HEAD = '[homeserver]\nurl = "https://matrix.example.org"\nuser = "@answerable:example.org"\n'


def read(text: str) -> WatchSettings:
    return parse_config(Path("/nowhere/config.toml"), HEAD + text, {}).watch


def test_nothing_listens_by_default() -> None:
    assert read("") == WatchSettings(listen=None)


@pytest.mark.parametrize("listen", ["127.0.0.1:8420", "localhost:1", "[::1]:65535", "127.1.2.3:80"])
def test_it_may_listen_on_this_machine(listen: str) -> None:
    assert read(f'[watch]\nlisten = "{listen}"\n') == WatchSettings(listen=listen)


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8420", "[::]:8420", "10.0.0.1:8420", "192.168.1.1:1", "127.0.0.1:0", "127.0.0.1", "8420", ""]
)
def test_it_listens_to_no_other_machine(listen: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f'[watch]\nlisten = "{listen}"\n')
    assert [(p.place, p.key) for p in caught.value.problems] == [(("watch", "listen"), "expected.watch")]
