"""A short run of the benchmark of the antispam callbacks: every figure is there, and refused is what should be."""

import argparse
from pathlib import Path

from bench.antispam import sends


async def test_sends_are_measured_with_and_without_the_module(tmp_path: Path) -> None:
    figures = await sends(argparse.Namespace(rounds=1, singles=2, each=1), tmp_path)
    names = ["a send, median", "a send, p95", "a refusal, median", "ten people at once, all sent"]
    assert [figure.name for figure in figures] == names
    assert all(figure.ours > 0 < figure.floor for figure in figures)
