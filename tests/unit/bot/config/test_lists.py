"""Lists of hashes stand in files next to the configuration."""

import sys
from pathlib import Path

import pytest

from bot.config.config import parse_config
from bot.config.errors import ConfigError
from moderation.rules.images import ImagesRule
from tests.unit.bot.config.test_config import HEAD

A, B = "ab" * 32, "cd" * 32
RULE = '[[rules]]\nname = "known"\nkind = "images"\n'


def rule(folder: Path, settings: str) -> ImagesRule:
    (found,) = parse_config(folder / "config.toml", f"{HEAD}{RULE}{settings}", {}).rules
    assert isinstance(found, ImagesRule)
    return found


def problems(folder: Path, settings: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        rule(folder, settings)
    return [(str(problem.place[-1]), problem.key) for problem in caught.value.problems]


def test_a_list_is_read_from_its_file(tmp_path: Path) -> None:
    text = f"# a list\n\n{A}\n{B.upper()},100,somebody's\n  {A} # twice\n"
    (tmp_path / "bad.pdq").write_text(text, "utf-8")
    assert rule(tmp_path, 'hashes = "bad.pdq"').hashes == (A, B)
    assert rule(tmp_path, f'sha256 = "{tmp_path}/bad.pdq"').sha256 == (A, B)


def test_a_list_may_stand_in_the_configuration(tmp_path: Path) -> None:
    assert rule(tmp_path, f'sha256 = ["{A}"]').sha256 == (A,)


def test_what_is_wrong_with_a_list_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "bad.pdq").write_text(f"{A}\nhello {B}\n", "utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert problems(tmp_path, 'hashes = "bad.pdq"') == [("hashes", "list_line")]
    assert problems(tmp_path, 'sha256 = "gone"') == [("sha256", "list_unreadable")]
    assert problems(tmp_path, 'sha256 = "binary"') == [("sha256", "list_unreadable")]
    assert problems(tmp_path, 'hashes = "bad.pdq"\nsha256 = "gone"') == [
        ("hashes", "list_line"),
        ("sha256", "list_unreadable"),
    ]
    assert problems(tmp_path, "distance = 5") == [("0", "expected.images_nothing")]


def test_files_must_be_fetched(tmp_path: Path) -> None:
    settings = f'sha256 = ["{A}"]\n[records]\nmedia = "none"\n'
    assert problems(tmp_path, settings) == [("kind", "files_not_fetched")]


def test_comparing_pictures_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)  # as if it were not installed
    assert problems(tmp_path, f'hashes = ["{A}"]') == [("hashes", "images_extra")]
    assert rule(tmp_path, f'hashes = []\nsha256 = ["{A}"]').sha256 == (A,)


def test_lists_that_no_record_could_hold_are_refused(tmp_path: Path) -> None:
    for name, count in (("bad.pdq", 10_000), ("bad.sha256", 20_000)):
        (tmp_path / name).write_text("\n".join(f"{number:064x}" for number in range(count)))
    lists = 'hashes = "bad.pdq"\nsha256 = "bad.sha256"\n'
    assert len(rule(tmp_path, lists).sha256) == 20_000
    more = RULE.replace("known", "known-2") + lists
    assert problems(tmp_path, lists + more) == [("rules", "rules_large")]
