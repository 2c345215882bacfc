"""A short run of the benchmark of policy lists: every figure is there."""

import argparse

from bench import lists


async def test_everything_is_measured() -> None:
    figures = await lists.lists(argparse.Namespace(entries=300, rooms=20, rounds=1))
    names = ["matching a member", "compiling", "one changed entry", "start, a room"]
    assert [figure.name for figure in figures] == names
    assert all(figure.ours > 0 for figure in figures)
