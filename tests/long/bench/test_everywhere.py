"""A short run of the benchmark of many bans and rooms: every figure is there, with its floor."""

import argparse

from bench import everywhere


async def test_everything_is_measured() -> None:
    options = argparse.Namespace(rooms=120, few=110, bans=200, here=50, rounds=1)
    figures = await everywhere.everywhere(options)
    assert [figure.name for figure in figures] == [
        "aligning one room",
        "aligning one with 50 bans",
        "reading one room",
        "looking rooms up in turn",
        "start, a room",
    ]
    assert all(figure.ours > 0 and figure.floor > 0 for figure in figures)
