"""Short runs of two benchmarks, for their correctness: what they judge is judged, what they write is a deployment."""

import argparse
import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import rules
from bench.cli import COMMANDS, deployment
from storage.journal.verify.verify import verify


def test_every_hostile_text_is_judged_and_every_figure_has_its_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "SIZE", 6_000)
    figures = list(rules.run(argparse.Namespace(rounds=1, most=1_000)))
    assert [figure.name for figure in figures[:2]] == ["one message, 1,000 terms", "one message, 500 patterns"]
    assert len(figures) == 2 + len(rules.hostile())
    assert all(figure.floor > 0 and figure.met is not None for figure in figures)


def test_the_searched_record_is_found() -> None:
    judging = rules.Judging(rules.terms(10))
    assert [found.matched for found in judging.judge(rules.raw("a purple elephant 7 of the herd"))] == [
        "purple elephant 7 of the herd"
    ]
    assert judging.judge(rules.raw("a purple elephant")) == []


def test_the_deployment_of_the_command_line_is_one(tmp_path: Path) -> None:
    asyncio.run(deployment(tmp_path, 200))
    report = verify(tmp_path / "data/records")
    assert (report.problems, report.ok) == ((), True)
    (arguments,) = [each for name, each, _ in COMMANDS if name == "cases"]
    command = [sys.executable, "-m", "bot.cli.main", *arguments, "--config", str(tmp_path / "config.toml")]
    ran = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert len(json.loads(ran.stdout)) == 200
