"""`answerable check` on this machine; its checks of the homeserver are in tests/synapse."""

from pathlib import Path

import pytest

from bot.cli.check.command import new_names
from storage.database.place import FILE
from tests.unit.bot.cli.conftest import Answerable


def findings(answerable: Answerable) -> dict[str, str]:
    """Return all findings as key -> state."""
    return {finding["key"]: finding["state"] for finding in answerable("check", "--json").json}


def test_nothing_is_missing_before_the_first_start(answerable: Answerable) -> None:
    found = findings(answerable)
    assert {key for key, state in found.items() if state == "problem"} == {"unreachable"}
    assert {"data_dir_later", "database_later"} <= set(found)


@pytest.mark.usefixtures("data_dir")
def test_a_sound_data_directory_is_said_to_be_sound(answerable: Answerable) -> None:
    found = findings(answerable)
    assert (found["data_dir"], found["database"], found["not_running"]) == ("ok", "ok", "note")


def test_a_key_that_others_can_read_is_a_problem(answerable: Answerable, data_dir: Path) -> None:
    (data_dir / "keys").mkdir(mode=0o700)
    (data_dir / "keys" / "log.key").touch(mode=0o644)
    (data_dir / "keys" / "log.key").chmod(0o644)
    assert findings(answerable)["key_open"] == "problem"


@pytest.mark.parametrize(
    "name",
    ["state.sqlite3", "identity.sqlite3", "crypto/device/crypto.sqlite3", "spool/access-1.json", "crypto", "spool"],
)
def test_files_about_people_that_others_can_read_are_a_problem(
    answerable: Answerable, data_dir: Path, name: str
) -> None:
    for folder in ("crypto/device", "spool"):
        (data_dir / folder).mkdir(mode=0o700, parents=True)
    path = data_dir / name
    if not path.is_dir():
        path.touch()
    for each in data_dir.rglob("*"):
        each.chmod(0o700 if each.is_dir() else 0o600)
    path.chmod(0o750 if path.is_dir() else 0o640)
    told = [each for each in answerable("check", "--json").json if each["key"] == "key_open"]
    assert [(each["state"], each["remedy"]) for each in told] == [("problem", f"chmod go-rwx {path}")]


def test_a_file_that_is_not_a_database_is_a_problem(answerable: Answerable, data_dir: Path) -> None:
    (data_dir / FILE).write_bytes(b"not a database" * 100)
    assert findings(answerable)["database_refused"] == "problem"


def test_records_without_a_database_are_a_problem(answerable: Answerable, data_dir: Path) -> None:
    (data_dir / "records").mkdir()
    (data_dir / "records" / "log.vkey").touch()
    (data_dir / FILE).unlink()
    assert findings(answerable)["database_missing"] == "problem"


def test_it_changes_nothing(answerable: Answerable, config_file: Path) -> None:
    answerable("check")
    assert [path.name for path in config_file.parent.iterdir()] == ["config.toml"]


def test_a_table_with_an_old_name_is_reported_with_the_new_one() -> None:
    (finding,) = new_names(("caps",))
    assert (finding.state, finding.words, finding.remedy) == (
        "warning",
        "The table [caps] is now called [member_limits]. I still read the old name.",
        "Rename [caps] to [member_limits] in the configuration.",
    )
