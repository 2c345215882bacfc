"""The two keys of the policy server: made once, closed to others, never the same."""

import stat
from pathlib import Path

import pytest

from bot.policy_server.own_keys import EVENTS, SERVER, load_keys
from moderation.values.errors import Invalid
from storage.policy_server.spool import event_key


def test_keys_are_made_once_and_stay(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    first, second = load_keys(folder), load_keys(folder)
    assert (first.events.public, first.server.public) == (second.events.public, second.server.public)
    assert first.events.public != first.server.public
    assert first.server_key_id == second.server_key_id
    assert event_key(tmp_path) == first.events.public
    for path in (folder, *folder.iterdir()):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_a_new_key_has_a_new_id_and_the_bot_learns_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    before = load_keys(folder)
    (folder / SERVER).unlink()
    (folder / EVENTS).unlink()
    after = load_keys(folder)
    assert after.server_key_id != before.server_key_id
    assert event_key(tmp_path) == after.events.public != before.events.public


def test_one_key_for_both_and_files_without_a_key_are_refused(tmp_path: Path) -> None:
    load_keys(tmp_path)
    (tmp_path / SERVER).write_bytes((tmp_path / EVENTS).read_bytes())
    with pytest.raises(Invalid, match="the same key"):
        load_keys(tmp_path)
    (tmp_path / SERVER).write_text("no key\n")
    with pytest.raises(Invalid, match="holds no key"):
        load_keys(tmp_path)


def test_before_its_first_start_there_is_no_key(tmp_path: Path) -> None:
    assert event_key(tmp_path) == ""
