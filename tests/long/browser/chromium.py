"""A real Chromium for the tests, on a machine that has Python, pip and make and nothing else.

Rules this module keeps:
- The program, a font and the libraries it needs, but for those of the C compiler, come from one npm package, in the
  version of the lock. They are unpacked once, into the cache that all clones share. No script of the package is run.
- The browser reaches nothing but this machine: all other requests go to a proxy that does not exist.
- It reads no settings, fonts or profile of the person who runs the tests.

Measured on two busy cores: unpacked in 3 s, once; started in 1 to 2 s, most of them for Playwright's driver; 350 MB of
memory, and 130 MB for the driver.

ANSWERABLE_CHROMIUM names another program. The package is for Linux on x86-64; elsewhere this is the only way.
"""

import os
import platform
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from tests.archives import unpack
from tests.clients import packages
from tests.long.browser.square_font import write_square_font

HERE = Path(__file__).parent
CHROMIUM = "ANSWERABLE_CHROMIUM"
NOWHERE = "--proxy-server=http://127.0.0.1:9"  # Chromium asks no proxy for what is on this machine
# No sandbox: the tests run as root in containers, and show the browser nothing but our own pages. It draws with the
# processor; an imitation of a graphics card (SwiftShader) took a third of the time of these tests.
FLAGS = ("--no-sandbox", "--no-zygote", "--in-process-gpu", "--disable-gpu", "--disable-software-rasterizer")
_UNPACK_S = 300.0
_STARTED_MS = 300_000.0
_UNPACK = """
const { createBrotliDecompress } = require("node:zlib");
process.stdin.pipe(createBrotliDecompress({ chunkSize: 1 << 20 })).pipe(process.stdout);
"""
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{latin}</dir><dir>{own}</dir><cachedir>{own}</cachedir></fontconfig>
"""


def missing() -> str:
    """Return why there is no browser on this machine; empty if there is one."""
    if os.environ.get(CHROMIUM) or (sys.platform, platform.machine()) == ("linux", "x86_64"):
        return ""
    return f"npm has this Chromium for Linux on x86-64 only; name a Chromium of your own in {CHROMIUM}"


class Chromium:
    """A program and what it is started with; all that it writes goes into `folder`."""

    def __init__(self, folder: Path) -> None:
        self.environ = {"HOME": str(folder), "TMPDIR": str(folder), "PATH": os.environ.get("PATH", "")}
        self.flags = [NOWHERE, *FLAGS[:1]]
        if own := os.environ.get(CHROMIUM):
            self.program = own
            return
        parts = packages.kept(f"chromium-{packages.key(HERE)}", _unpack)
        self.program = str(parts / "chromium")
        self.flags += FLAGS[1:]
        self.environ |= {"LD_LIBRARY_PATH": str(parts / "lib"), "FONTCONFIG_FILE": str(_fonts(folder, parts))}


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Browser]:
    """Run the browser as long as the block lasts; what it writes goes into `folder`."""
    chromium = Chromium(folder)
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(packages.node())  # its own needs a library that may be missing
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium.program, args=chromium.flags, env={**chromium.environ}, timeout=_STARTED_MS
        )
        yield browser
        await browser.close()


def _unpack(folder: Path) -> None:
    archives = packages.installed(HERE) / "node_modules" / "@sparticuz" / "chromium" / "bin"
    for archive in archives.glob("*.br"):
        unpacked = folder / archive.stem
        with archive.open("rb") as packed, unpacked.open("wb") as to:
            subprocess.run(
                [str(packages.node()), "-e", _UNPACK], stdin=packed, stdout=to, check=True, timeout=_UNPACK_S
            )
        if unpacked.suffix == ".tar":
            unpack(unpacked, folder)
            unpacked.unlink()
    (folder / "chromium").chmod(0o755)


def _fonts(folder: Path, parts: Path) -> Path:
    """Write which fonts there are: that of the package and ours, so that lines break at the same places everywhere."""
    settings = folder / "fonts.conf"
    write_square_font(folder / "squares.ttf")
    settings.write_text(_FONTS.format(latin=parts / "fonts", own=folder), "utf-8")
    return settings
