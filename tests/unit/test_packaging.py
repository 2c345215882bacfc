"""An installation without a clone is whole: its files are in the wheel, its imports and programs are declared."""

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

from bot.demo.synapse import PROGRAM

HOUSE = Path(__file__).parents[2]
LAYERS = ("bot", "moderation", "storage")
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))["project"]
FOR_DEVELOPERS = {"storage/migrations/script.py.mako"}  # Alembic makes a new revision of it
PART_OF_ANOTHER = {"pydantic_core"}  # of pydantic, which names its exact version


def provided(requirements: list[str]) -> set[str]:
    """Return the top-level modules of what is required."""
    names = (re.split(r"[\[><=;~! ]", line, maxsplit=1)[0] for line in requirements)
    return {path.parts[0].partition(".")[0] for name in names for path in files(name) or []}


def imported() -> Iterator[str]:
    """Yield the top-level modules that the product imports, but for its own and Python's."""
    for file in (path for layer in LAYERS for path in (HOUSE / layer).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            else:
                continue
            yield from {name.partition(".")[0] for name in names} - sys.stdlib_module_names - set(LAYERS)


def test_every_file_of_the_product_is_in_the_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for layer in LAYERS:
        shutil.copytree(HOUSE / layer, source / layer, ignore=shutil.ignore_patterns("__pycache__"))
    product = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(HOUSE / name, source)

    build = f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert product - set(archive.namelist()) == FOR_DEVELOPERS


def test_every_library_that_is_imported_is_declared() -> None:
    modules = set(imported())
    assert "nio" in modules
    assert modules - provided(PROJECT["dependencies"]) == PART_OF_ANOTHER


def test_the_extra_brings_the_homeserver_that_the_demo_starts() -> None:
    assert PROGRAM.partition(".")[0] in provided(PROJECT["optional-dependencies"]["demo"])
