"""A standby that has much to take in, or that always finds something new, reports and watches all the same."""

from pathlib import Path
from typing import Any

import pytest

from bot.config.config import parse_config
from bot.config.database import DATABASE_URL
from bot.leading import standby as module
from bot.leading.standby import Standby
from storage.database.leadership import Leader

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'


class Leading:
    """The leadership as a standby sees it: the leader has resigned."""

    def __init__(self) -> None:
        self.said: list[int] = []
        self.looks = 0

    def follow(self, records: int, unfinished: str) -> None:
        assert unfinished == ""
        self.said.append(records)

    def look(self) -> Leader:
        self.looks += 1
        return Leader(1, "token", 0, "one", "1" * 16, True)

    def may_take_over(self, leader: Leader) -> bool:
        return leader.resigned


class Endless:
    """A follower, and the table that it follows: each step takes one record, and there are always `behind` more."""

    unfinished = ""

    def __init__(self, behind: int) -> None:
        self.size = 0
        self._behind = behind

    def step(self) -> bool:
        self.size += 1
        return True

    def end(self) -> int:
        return self.size + self._behind


@pytest.fixture
def standby(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standby:
    monkeypatch.setattr(module, "_SLICE_S", 0)
    monkeypatch.setattr(module, "_CHECK_S", 1e9)  # there is no database
    (tmp_path / "data").mkdir()
    secrets = {DATABASE_URL: "postgresql://127.0.0.1:1/answerable"}
    return Standby(parse_config(tmp_path / "config.toml", HEAD, secrets), lambda: None)


async def test_a_standby_far_behind_reports_and_does_not_take_the_lead(
    standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    leading, table = Leading(), Endless(behind=5_000)
    follow(standby, monkeypatch, leading, table)
    assert [standby._look(), standby._look()] == [None, None]
    assert (leading.said, leading.looks) == ([1, 2], 2)
    assert (await standby.report()).reasons == ("starting",)


async def test_a_standby_that_lacks_only_what_was_just_written_is_healthy(
    standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    leading, table = Leading(), Endless(behind=3)
    follow(standby, monkeypatch, leading, table)
    monkeypatch.setattr(leading, "may_take_over", lambda _: False)
    assert standby._look() is None
    assert (leading.said, leading.looks) == ([1], 1)
    assert (await standby.report()).reasons == ()


def follow(standby: Standby, monkeypatch: pytest.MonkeyPatch, leading: Leading, table: Endless) -> None:
    opened: Any = (leading, table)
    monkeypatch.setattr(standby, "_opened", lambda: opened)
    monkeypatch.setattr(standby, "_table", table)
