"""`bot -> storage -> moderation`, never back; and the check that says so is shown to work."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
LINT = Path(sys.executable).parent / "lint-imports"


def lint(folder: Path) -> tuple[int, str]:
    """The command as `make check` runs it."""
    done = subprocess.run(
        [str(LINT), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources and the configuration, to be spoilt."""
    folder = tmp_path_factory.mktemp("layering")
    for package in ("bot", "storage", "moderation"):
        shutil.copytree(HOUSE / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HOUSE / "pyproject.toml", folder)
    return folder


def test_every_contract_is_kept() -> None:
    code, said = lint(HOUSE)
    assert (code, re.search(r"Contracts: (\d+) kept, 0 broken", said) is not None) == (0, True), said


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("moderation/judge/judge.py", "import storage.schema", "bot -> storage -> moderation, never back"),
        ("moderation/rules/flood.py", "import bot.runtime.clock", "bot -> storage -> moderation, never back"),
        ("storage/queries/rooms.py", "from bot import clock", "bot -> storage -> moderation, never back"),
        ("moderation/credit/credit.py", "import time", "moderation does no I/O"),
        ("moderation/rules/terms.py", "import logging", "moderation does no I/O"),
        ("moderation/values/power_levels.py", "import sqlalchemy", "moderation does no I/O"),
        ("bot/outbox/dispatcher.py", "import nio", "only encryption imports nio"),
        ("storage/queries/rooms.py", "import nio", "only encryption imports nio"),
    ],
)
def test_an_import_the_wrong_way_is_found(copy: Path, file: str, line: str, broken: str) -> None:
    spoilt = copy / file
    before = spoilt.read_text("utf-8")
    spoilt.write_text(f"{before}\n{line}\n", "utf-8")
    try:
        code, said = lint(copy)
    finally:
        spoilt.write_text(before, "utf-8")
    assert code == 1
    assert f"{broken} BROKEN" in " ".join(said.split())


def test_moderation_uses_nothing_that_opens_waits_draws_lots_or_looks_at_a_clock() -> None:
    """The contract names what is forbidden; this names what is used."""
    allowed = "bisect collections dataclasses enum fnmatch functools html itertools json math pathlib re string types"
    allowed += " typing unicodedata urllib"
    allowed += " datetime zoneinfo"  # the calendar of a place: a table, which is read from files
    pattern = re.compile(r"^\s*(?:from|import)\s+([a-z_0-9]+)", re.MULTILINE)
    used = {name for file in (HOUSE / "moderation").rglob("*.py") for name in pattern.findall(file.read_text("utf-8"))}
    assert (used & sys.stdlib_module_names) - set(allowed.split()) == set()


def test_only_the_wiring_names_the_adapters() -> None:
    """`Homeserver` is made in one place of the bot; the command line, which asks it itself, is the other."""
    makers = {
        str(file.relative_to(HOUSE))
        for file in (HOUSE / "bot").rglob("*.py")
        if re.search(r"(?<!class )\bHomeserver\(", file.read_text("utf-8"))
        and "/cli/" not in str(file)
        and "/demo/" not in str(file)
    }
    assert makers <= {"bot/app.py", "bot/matrix/client.py"}


def test_the_contracts_cover_all_three_packages() -> None:
    config = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    assert config["root_packages"] == ["bot", "moderation", "storage"]
    assert [contract["type"] for contract in config["contracts"]] == ["layers", "forbidden", "forbidden"]
