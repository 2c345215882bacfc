"""Progress where stderr is no terminal."""

import pytest

from bot.cli.console.progress import EVERY_S, lines, progress


def test_a_line_comes_every_ten_seconds(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", "en")
    now = [0.0]
    report = lines(lambda: now[0])
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


def test_what_is_done_at_once_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as bar:
        bar("Checking", 1, 2)
    assert capsys.readouterr() == ("", "")
