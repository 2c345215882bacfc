"""The plug-in of docs/plugins.md works as the page says."""

import asyncio
import re
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.config.config import parse_config
from bot.plugins.protocol import NoLabels, labels_for, labels_offered

PAGE = (Path(__file__).parents[4] / "docs" / "plugins.md").read_text("utf-8")
HEAD = '[homeserver]\nurl = "https://matrix.example.org"\nuser = "@answerable:example.org"\n'
LONG_S = 30.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
async def socket(tmp_path: Path) -> AsyncIterator[Path]:
    (code,) = blocks("python")
    (tmp_path / "pictures.py").write_text(code)
    path = tmp_path / "p.sock"
    process = await asyncio.create_subprocess_exec(sys.executable, "pictures.py", str(path), cwd=tmp_path)
    async with asyncio.timeout(LONG_S):
        while True:
            try:
                await labels_offered(path, LONG_S)
                break
            except NoLabels:
                await asyncio.sleep(0.01)
    yield path
    process.kill()
    await process.wait()


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


async def test_the_example_finds_huge_pictures(socket: Path) -> None:
    assert await labels_offered(socket, LONG_S) == ("huge",)

    async def of(data: bytes) -> dict[str, int]:
        return await labels_for(socket, LONG_S, kind="image", mimetype="image/png", data=data)

    assert await of(png(30_000, 30_000)) == {"huge": 1000}
    assert await of(png(4_000, 3_000)) == {"huge": 600}
    assert await of(b"GIF89a") == {}
    assert await of(b"") == {}


def test_the_settings_on_the_page_are_correct() -> None:
    (settings,) = blocks("toml")
    config = parse_config(Path("/nowhere/config.toml"), HEAD + settings, {})
    (plugin,), (rule,) = config.plugins, config.rules
    assert (plugin.name, plugin.kinds, plugin.within, rule.decide) == ("pictures", ("image",), 3_000, "manager")
