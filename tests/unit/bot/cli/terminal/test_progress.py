"""Progress where stderr is no terminal."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from bot.app import records_only
from bot.cli.terminal.progress import EVERY_S, Drawn, Lines, progress
from bot.config.config import load_config
from moderation.model.facts import RoomEntered
from moderation.values.ids import GroupCode
from tests.unit.bot.cli.conftest import GARDEN, Answerable


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", "en")


def test_a_line_comes_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    report = Lines(lambda: now[0])
    for second in range(31):
        now[0] = float(second)
        report("Checking", second * 100, 5_000)
    now[0] += EVERY_S
    report("Counting", 7, 0)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Checking: 1,000 of 5,000",
        "Checking: 2,000 of 5,000",
        "Checking: 3,000 of 5,000",
        "Counting: 7",
    ]


def test_a_line_comes_also_while_nothing_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    report = Lines(lambda: now[0])
    for second in range(35):
        now[0] = float(second)
        if second == 11:
            report("Checking", 3, 5)
        report.look()
    assert capsys.readouterr().err.splitlines() == [
        "Working: 10 seconds so far",
        "Checking: 3 of 5",
        "Checking: 30 seconds so far",
    ]


def test_a_bar_is_drawn_for_what_takes_longer_than_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        now = [0.0]
        bar = Drawn(lambda: now[0])
        bar("Checking", 1, 2)
        bar.look()
        bar.close()
        terminal.write("nothing")
        terminal.flush()
        assert os.read(ours, 100) == b"nothing"
        now[0] = 1.0
        bar.look()
        bar.close()
        terminal.flush()
        seen = b""
        while b"Checking" not in seen:
            seen += os.read(ours, 1_000)
    os.close(ours)


def test_what_is_done_at_once_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as bar:
        bar("Checking", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_one_progress_serves_all_that_is_done_within(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress() as bar:
        with progress() as within:
            assert within is bar
        monkeypatch.setattr("bot.cli.terminal.progress.EVERY_S", 0)
    assert capsys.readouterr().err == "Working: 1 second so far\n"  # one line, when the outer one ends


LONG = """
logs verify
logs verify --tables
logs rebuild-db
logs show
logs coverage
logs purge
logs hold list
logs search coins --reason audit
logs export --out all.zip --reason audit
backup b.zip
restore b.zip --config other/config.toml
erase @ben:example.org --dry-run --reason audit
roster import list.csv --dry-run
keys status
check
upgrade-check
"""


def test_every_long_command_says_that_it_works(
    answerable: Answerable, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def enter() -> None:
        async with records_only(load_config(config_file)) as operations:
            await operations._pipeline.commit((RoomEntered(code=GroupCode("G-7F3K"), purpose="group", room_id=GARDEN),))

    (config_file.parent / "data").mkdir(mode=0o700)
    asyncio.run(enter())
    (config_file.parent / "list.csv").write_text("identifier,name,email\n")
    (config_file.parent / "other").mkdir()
    shutil.copy(config_file, config_file.parent / "other")
    monkeypatch.setattr("bot.cli.terminal.progress.EVERY_S", 0)
    commands = LONG.strip().splitlines()
    said = {command: answerable(*command.split()).err for command in commands}
    assert [
        each for each in commands if not re.search(r"^\w.*: ([0-9,]+ of [0-9,]+|.* so far)$", said[each], re.M)
    ] == []
