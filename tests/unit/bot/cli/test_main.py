"""The command as a whole: help, errors, exit codes."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from bot.cli.main import COMMANDS, run
from bot.texts.catalog import LANGUAGES, Catalog
from moderation.values.errors import Invalid, Refused
from tests.unit.bot.cli.conftest import Answerable

OURS = [command.name for command in COMMANDS if command.name not in ("logs", "demo")]


def test_the_help_lists_every_command(answerable: Answerable) -> None:
    result = answerable("--help")
    assert result.code == 0
    assert all(f"  {command.name} " in result.out for command in COMMANDS)


def test_the_help_loads_no_heavy_library() -> None:
    code = "import sys, bot.cli.main as m\ntry: m.run(['--help'])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"nio", "sqlalchemy", "aiohttp", "pydantic", "cryptography", "rich.table", "structlog"}


@pytest.mark.parametrize("command", OURS)
def test_every_command_has_help_with_an_example(answerable: Answerable, command: str) -> None:
    result = answerable(command, "--help")
    assert result.code == 0
    assert f"answerable {command}" in result.out


def test_every_text_of_the_command_line_stands_in_every_language() -> None:
    catalog = Catalog.load()
    keys = [{key for key in catalog.keys(language) if key.startswith(("cli.", "config."))} for language in LANGUAGES]
    assert keys[0] == keys[1]


def test_a_misspelt_command_is_answered_with_the_nearest(answerable: Answerable) -> None:
    result = answerable("chek")
    assert result.code == 2
    assert "check" in result.err


def test_a_configuration_with_problems_ends_with_2_and_no_traceback(answerable: Answerable, config_file: Path) -> None:
    config_file.write_text("[bot]\nprefx = 1\n")
    for command in (["check"], ["run"], ["rooms"]):
        result = answerable(*command)
        assert (result.code, result.out) == (2, "")
        assert "line 2" in result.err
        assert "Traceback" not in result.err


def test_the_version_is_told(answerable: Answerable) -> None:
    assert answerable("--version").out.startswith("answerable ")


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "/data/x"),
        sqlite3.OperationalError("database or disk is full"),
        DBAPIError("INSERT", None, sqlite3.OperationalError("database or disk is full")),
    ],
)
def test_a_full_disk_is_one_line_whichever_command_met_it(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr("bot.cli.main.app", fail)
    with pytest.raises(SystemExit) as ended:
        run([])
    assert (ended.value.code, capsys.readouterr().err.count("\n")) == (1, 1)


def test_a_defect_is_not_taken_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise sqlite3.IntegrityError("UNIQUE constraint failed")

    monkeypatch.setattr("bot.cli.main.app", fail)
    with pytest.raises(sqlite3.IntegrityError):
        run([])


def test_errors_that_come_together_are_each_told(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise ExceptionGroup("tasks", [Refused("cli.rooms.none"), ExceptionGroup("more", [Invalid("a wrong thing")])])

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("bot.cli.main.app", fail)
        run([])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[1] == "a wrong thing"
