"""A machine that stands by says so to whoever asks it for something, and gives its socket up when it leads."""

import asyncio
from pathlib import Path

import pytest

from bot.cli import run
from bot.config.config import parse_config
from bot.leading.standby import Standby
from bot.monitoring.page import WatchPage
from bot.monitoring.systemd import ServiceManager
from bot.runtime.asking import NO_DOOR, ask_bot
from moderation.values.errors import Refused

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'


async def refusal(data_dir: Path, do: str) -> str:
    with pytest.raises(Refused) as refused:
        await ask_bot(data_dir, do, {})
    return refused.value.key


async def test_a_standby_answers_that_another_machine_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    async def follow(*_: object) -> None:
        while not (config.data_dir / "control.sock").exists():  # noqa: ASYNC110 - of the file system
            await asyncio.sleep(0.01)
        said.extend([await refusal(config.data_dir, "keys-status"), await refusal(config.data_dir, "no such thing")])

    monkeypatch.setattr(Standby, "until_leading", follow)
    (tmp_path / "data").mkdir()
    config = parse_config(tmp_path / "config.toml", HEAD, {})
    await run._serve_if_leading(config, asyncio.Event(), ServiceManager(None, None), WatchPage(None), standby=True)
    assert said == ["cli.operate.stands_by"] * 2
    assert await refusal(config.data_dir, "keys-status") == NO_DOOR


async def test_a_standby_loads_the_whole_program_before_it_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would otherwise take over with parts of another version, if somebody updated it meanwhile."""
    done: list[str] = []

    async def follow(*_: object) -> None:
        done.append("follows")

    monkeypatch.setattr(run, "import_module", done.append)
    monkeypatch.setattr(Standby, "until_leading", follow)
    (tmp_path / "data").mkdir()
    config = parse_config(tmp_path / "config.toml", HEAD, {})
    await run._serve_if_leading(config, asyncio.Event(), ServiceManager(None, None), WatchPage(None), standby=True)
    assert done == ["bot.app", "bot.cli.session", "follows"]
