"""The finding about the rate limit is kept, and a damaged file is ignored."""

from pathlib import Path

import pytest

from bot.matrix.known_limit import KnownLimit, known_limit, remember_limit


def test_the_last_finding_counts_and_not_knowing_replaces_nothing(tmp_path: Path) -> None:
    assert known_limit(tmp_path) is None
    remember_limit(tmp_path, "limited", 1)
    remember_limit(tmp_path, "unknown", 2)
    remember_limit(tmp_path, "not_admin", 3)
    assert known_limit(tmp_path) == KnownLimit("limited", 1)
    remember_limit(tmp_path, "lifted", 4)
    assert known_limit(tmp_path) == KnownLimit("lifted", 4)
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"limit": "slow", "at": 1}', '{"limit": "free", "at": "now"}'])
def test_a_damaged_file_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "rate-limit.json").write_text(content)
    assert known_limit(tmp_path) is None
