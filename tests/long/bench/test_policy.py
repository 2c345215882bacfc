"""A short run of the benchmark of the policy server: every figure is there."""

import argparse

from bench import policy


def test_everything_is_measured() -> None:
    figures = list(policy.run(argparse.Namespace(terms=100, answers=20, sends=2)))
    names = [
        "a new answer, median",
        "a new answer, 99 of 100",
        "a new answer about a stranger, median",
        "the same answer again",
        "a send",
    ]
    assert [figure.name for figure in figures] == names
    assert all(figure.ours > 0 for figure in figures)
