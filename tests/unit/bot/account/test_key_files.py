"""The key files that every machine must have."""

from pathlib import Path

import pytest

from bot.account.key_files import (
    WrongKeyFile,
    forget_key_files,
    must_have_key_files,
    note_key_files,
    wrong_key_files,
)
from moderation.values.errors import Refused
from storage.database.fence import Epoch, Superseded
from tests.postgres.engines import Engine, on_postgresql, on_sqlite


def machine(folder: Path, **keys: str) -> Path:
    """Make the data directory of a machine with these keys."""
    (folder / "keys").mkdir(parents=True, exist_ok=True)
    for name, key in keys.items():
        (folder / "keys" / f"{name}.key").write_text(f"{key}\n")
    return folder


def epoch(engine: Engine) -> Epoch:
    found = engine.epoch()
    assert found is not None
    return found


@on_postgresql
def test_the_first_machine_decides_and_the_others_are_told_what_they_lack(engine: Engine, tmp_path: Path) -> None:
    first = machine(tmp_path / "a", log="one", crypto="two")
    note_key_files(engine.place(first), epoch(engine))
    other = machine(tmp_path / "b", log="of its own")
    assert wrong_key_files(engine.place(first)) == []
    assert wrong_key_files(engine.place(other)) == [
        WrongKeyFile(other / "keys" / "crypto.key", True),
        WrongKeyFile(other / "keys" / "log.key", False),
    ]
    note_key_files(engine.place(other), epoch(engine))  # changes nothing of what is noted
    machine(other, log="one", crypto="two")
    must_have_key_files(engine.place(other))


@on_postgresql
@pytest.mark.parametrize(
    ("keys", "refusal", "named"),
    [
        ({"log": "one"}, "cli.run.keys_missing", "crypto.key"),
        ({"log": "1", "crypto": "two"}, "cli.run.keys_other", "log.key"),
    ],
)
def test_a_start_without_them_is_refused(
    engine: Engine, tmp_path: Path, keys: dict[str, str], refusal: str, named: str
) -> None:
    note_key_files(engine.place(machine(tmp_path / "a", log="one", crypto="two")), epoch(engine))
    other = machine(tmp_path / "b", **keys)
    with pytest.raises(Refused) as refused:
        must_have_key_files(engine.place(other))
    assert (refused.value.key, refused.value.fields) == (refusal, {"files": str(other / "keys" / named)})


@on_postgresql
def test_a_key_that_comes_later_is_noted_later(engine: Engine, tmp_path: Path) -> None:
    first = machine(tmp_path / "a", log="one")
    note_key_files(engine.place(first), epoch(engine))
    machine(first, crypto="two")
    note_key_files(engine.place(first), epoch(engine))
    other = machine(tmp_path / "b", log="one", crypto="three")
    assert wrong_key_files(engine.place(other)) == [WrongKeyFile(other / "keys" / "crypto.key", False)]


@on_postgresql
def test_those_of_a_backup_that_was_put_in_count_from_then_on(engine: Engine, tmp_path: Path) -> None:
    first = machine(tmp_path / "a", log="one")
    note_key_files(engine.place(first), epoch(engine))
    machine(first, log="two")
    forget_key_files(engine.place(first), epoch(engine))
    note_key_files(engine.place(first), epoch(engine))
    assert wrong_key_files(engine.place(first)) == []


@on_postgresql
def test_only_the_leader_notes_any(engine: Engine, tmp_path: Path) -> None:
    former = epoch(engine)
    engine.take_over()
    with pytest.raises(Superseded):
        note_key_files(engine.place(machine(tmp_path, log="one")), former)


@on_sqlite
def test_without_a_server_none_are_asked_for(engine: Engine, tmp_path: Path) -> None:
    assert wrong_key_files(engine.place(tmp_path)) == []
