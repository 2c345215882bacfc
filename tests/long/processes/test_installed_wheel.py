"""The wheel, installed away from the clone, answers for itself and has all that it reads."""

# ruff: noqa: F811 - a fixture is imported, and given by its name

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.unit.test_packaging import PROJECT, wheel  # noqa: F401

CONFIG = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'
READS = """
import asyncio, importlib, importlib.resources, pathlib, tempfile
import bot
from bot.cli.main import COMMANDS
from bot.texts.catalog import Catalog
from storage.database.database import Database
from storage.database.place import DatabasePlace

async def opened():
    with tempfile.TemporaryDirectory() as folder:
        await (await Database.open(DatabasePlace(pathlib.Path(folder)))).close()

asyncio.run(opened())
for command in COMMANDS:
    importlib.import_module(command.module)
assert Catalog.load().keys("en") == Catalog.load().keys("zh")
for package, name in (("bot.matrix", "picture.png"), ("storage.export", "verify.py")):
    assert (importlib.resources.files(package) / name).read_bytes()
print(pathlib.Path(bot.__file__).parents[4])
"""


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """Install the wheel alone into an empty environment, which borrows the libraries of this one. Return it."""
    home = wheel.parent / "home"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    pip = [sys.executable, "-m", "pip", f"--python={home}/bin/python", "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--quiet", "--disable-pip-version-check", "--no-compile", wheel], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return home


def ran(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the installation, away from the clone."""
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "ANSWERABLE_LANG": "en"}
    return subprocess.run([home / "bin" / words[0], *words[1:]], cwd=home, env=environ, capture_output=True, text=True)


def test_an_installed_wheel_answers_for_itself(installed: Path) -> None:
    version = ran(installed, "answerable", "--version")
    assert (version.stdout, version.stderr) == (f"answerable {PROJECT['version']}\n", "")
    assert "answerable init" in ran(installed, "answerable", "--help").stdout
    assert "--homeserver" in ran(installed, "answerable", "init", "--help").stdout
    missing = ran(installed, "answerable", "check")
    assert (missing.returncode, "answerable init" in missing.stderr) == (2, True)
    (installed / "config.toml").write_text(CONFIG)
    found = ran(installed, "answerable", "check", "--json")
    states = {each["check"]: each["state"] for each in json.loads(found.stdout)}
    assert (found.returncode, states["config"], states["database"], states["server"]) == (1, "ok", "ok", "problem")


def test_an_installed_wheel_has_what_it_reads_and_every_command(installed: Path) -> None:
    done = ran(installed, "python", "-c", READS)
    assert (done.stdout, done.stderr) == (f"{installed}\n", "")
