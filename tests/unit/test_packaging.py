"""An installation without a clone is whole: its files are in the wheel, its imports and programs are declared."""

import ast
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path

import pytest

from bot.demo.synapse import PROGRAM
from tests.sources import LAYERS, Sources

HOUSE = Path(__file__).parents[2]
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))["project"]
FOR_DEVELOPERS = {"storage/migrations/script.py.mako"}  # Alembic makes a new revision of it
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
PART_OF_ANOTHER = {"pydantic_core", "markupsafe", "multidict"}  # stand in what pydantic, jinja2, aiohttp give


def provided(requirements: list[str]) -> set[str]:
    """Return the top-level modules of what is required."""
    names = (re.split(r"[\[><=;~! ]", line, maxsplit=1)[0] for line in requirements)
    return {path.parts[0].partition(".")[0] for name in names for path in files(name) or []}


def imported(sources: Sources) -> Iterator[str]:
    """Yield the top-level modules that the product imports, but for its own and Python's."""
    for source in sources:
        for node in source.nodes:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            else:
                continue
            yield from {name.partition(".")[0] for name in names} - sys.stdlib_module_names - set(LAYERS)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of what is in it, so that nothing is left in the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    for layer in LAYERS:
        shutil.copytree(HOUSE / layer, folder / "source" / layer, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(HOUSE / name, folder / "source")
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=folder / "source", check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


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


def test_every_file_of_the_product_is_in_the_wheel(wheel: Path) -> None:
    source = wheel.parent / "source"
    product = {str(path.relative_to(source)) for layer in LAYERS for path in (source / layer).rglob("*")}
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in product if (source / name).is_file()} - set(archive.namelist()) == FOR_DEVELOPERS


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


def test_every_library_that_is_imported_is_declared(sources: Sources) -> None:
    modules = set(imported(sources))
    assert "nio" in modules
    extra = {name for each in ("images", "postgresql") for name in provided(PROJECT["optional-dependencies"][each])}
    assert modules - provided(PROJECT["dependencies"]) - extra == PART_OF_ANOTHER
    assert modules & extra == {"PIL", "psycopg"}


def test_what_compares_pictures_is_locked_alone_and_tested() -> None:
    locked = (HOUSE / "requirements" / "images.txt").read_text("utf-8")
    assert re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE) == ["pillow"]
    pyproject = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))
    groups = pyproject["dependency-groups"]
    assert groups["images"] == PROJECT["optional-dependencies"]["images"]
    assert {"include-group": "images"} in groups["dev"]


def test_the_extra_brings_the_homeserver_that_the_demo_starts() -> None:
    assert PROGRAM.partition(".")[0] in provided(PROJECT["optional-dependencies"]["demo"])
