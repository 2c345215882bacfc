"""An installation without a clone is whole: its files are in the wheel, its imports and programs are declared.

`tests/long/processes/test_installed_wheel.py` installs that wheel and runs its programs.
"""

import ast
import re
import shutil
import subprocess
import sys
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


def test_every_file_of_the_product_is_in_the_wheel(wheel: Path) -> None:
    source = wheel.parent / "source"
    product = {str(path.relative_to(source)) for layer in LAYERS for path in (source / layer).rglob("*")}
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in product if (source / name).is_file()} - set(archive.namelist()) == FOR_DEVELOPERS


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
