"""A short run of the benchmark of the console: every page that it names is there, and every figure has its floor."""

from pathlib import Path

from bench import console
from bench.cli import deployment


async def test_every_page_is_measured(tmp_path: Path) -> None:
    await deployment(tmp_path, 100)
    figures = [figure async for figure in console.console(tmp_path, rounds=1, live=False)]
    names = [figure.name for figure in figures]
    for page in console.PAGES:
        assert {f"{page.name}: {what}" for what in ("size", "cpu", "first byte p50", "first byte p95")} <= set(names)
    assert {"css", "js", "search: first hit p50", "memory"} <= set(names)
    assert all(figure.floor > 0 for figure in figures if ": cpu" in figure.name or "first byte" in figure.name)
