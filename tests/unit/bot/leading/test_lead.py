"""A data directory has a name that no copy of it has; how long a database that is away is waited for."""

import asyncio
import shutil
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.leading import away as module
from bot.leading.away import Away
from bot.leading.lead import instance_of
from storage.database.place import DatabasePlace
from storage.database.refusals import DatabaseRefused, refused


def test_a_data_directory_keeps_its_name(tmp_path: Path) -> None:
    assert instance_of(tmp_path) == instance_of(tmp_path)


def test_a_copy_of_a_data_directory_gets_a_name_of_its_own(tmp_path: Path) -> None:
    one, copy, restored = tmp_path / "one", tmp_path / "copy", tmp_path / "restored"
    one.mkdir()
    name = instance_of(one)
    shutil.copytree(one, copy)
    assert instance_of(copy) != name
    assert instance_of(copy) == instance_of(copy)
    assert instance_of(one) == name
    one.rename(restored)
    assert instance_of(restored) == name


def test_a_name_that_another_machine_made_does_not_count(tmp_path: Path) -> None:
    name = instance_of(tmp_path)
    file = tmp_path / "instance"
    file.write_text(f"{name} 0123456789abcdef:{file.stat().st_dev}:{file.stat().st_ino}")
    assert instance_of(tmp_path) != name


def test_a_damaged_name_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "instance").write_bytes(b"\xff")
    assert len(instance_of(tmp_path)) == 16


async def test_a_wait_says_each_minute_why_and_what_the_server_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Away(DatabasePlace(tmp_path, SecretStr("postgresql://db/answerable")))
    monkeypatch.setattr(module, "until_told", _not_at_all)
    with capture_logs() as said:
        for _ in range(14):  # some two minutes, if somebody waited
            await away.wait(refused("unreachable", said="no route"), asyncio.Event())
    assert [(line["why"], line["said"]) for line in said] == [("unreachable", "no route")] * 2


async def test_a_server_that_refuses_in_words_nobody_knows_ends_the_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, denied = Away(DatabasePlace(tmp_path, SecretStr("postgresql://db/answerable"))), refused("denied")
    monkeypatch.setattr(module, "until_told", _not_at_all)
    with pytest.raises(DatabaseRefused):
        for _ in range(20):
            await away.wait(denied, asyncio.Event())


async def _not_at_all(stop: asyncio.Event, at_most_s: float) -> None:
    assert at_most_s > 0
