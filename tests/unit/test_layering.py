"""`bot -> storage -> moderation`, never back; and a proof that the check for this works."""

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
    """Run the check as `make check` does. Returns exit status and output."""
    done = subprocess.run(
        [str(LINT), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Provide a copy of the sources and the configuration, to be damaged."""
    folder = tmp_path / "layering"
    folder.mkdir()
    for package in ("bot", "storage", "moderation"):
        shutil.copytree(HOUSE / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HOUSE / "pyproject.toml", folder)
    return folder


def test_every_contract_is_kept() -> None:
    code, said = lint(HOUSE)
    assert (code, re.search(r"Contracts: (\d+) kept, 0 broken", said) is not None) == (0, True), said


# A line that is wrong in the file it is put into, and the contract that forbids it.
WRONG = (
    ("moderation/judge/judge.py", "storage.schema", "bot -> storage -> moderation, never back"),
    ("moderation/rules/flood.py", "bot.runtime.clock", "bot -> storage -> moderation, never back"),
    ("storage/queries/rooms.py", "bot.runtime.wakeup", "bot -> storage -> moderation, never back"),
    ("moderation/credit/credit.py", "time", "moderation does no I/O"),
    ("moderation/rules/terms.py", "logging", "moderation does no I/O"),
    ("moderation/values/power_levels.py", "sqlalchemy", "moderation does no I/O"),
    ("bot/outbox/dispatcher.py", "nio", "only encryption and the people of the demo import nio"),
    ("storage/queries/duty.py", "nio", "only encryption and the people of the demo import nio"),
    ("bot/texts/refusal.py", "bot.effects.desk", "bot, from the terminal down"),
    ("bot/sync/spaces.py", "bot.admin.rooms", "bot, from the terminal down"),
    ("bot/cli/terminal/ask.py", "bot.cli.access.lookup", "the terminal, from its commands down"),
    ("storage/schema/case_tables.py", "storage.outbox", "storage, from the reader down"),
    ("storage/journal/merkle.py", "storage.journal.recover", "the journal, from what writes it down"),
    ("moderation/duty/hours.py", "moderation.cases.decide", "moderation, from the consequences down"),
)


def test_every_import_the_wrong_way_is_found(copy: Path) -> None:
    for file, name, _ in WRONG:
        with (copy / file).open("a", encoding="utf-8") as spoilt:
            spoilt.write(f"\nimport {name}\n")
    code, said = lint(copy)
    assert code == 1
    words = " ".join(said.split())
    for file, name, contract in WRONG:
        assert f"{contract} BROKEN" in words
        importer = file.removesuffix(".py").replace("/", ".")
        assert f"{importer} -> {name} (l." in words, f"{file} imports {name}"


def test_a_folder_without_a_place_is_found(tmp_path: Path, copy: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(copy, other)
    (other / "bot" / "anywhere").mkdir()
    (other / "bot" / "anywhere" / "__init__.py").touch()
    code, said = lint(other)
    assert (code, "bot.anywhere" in said) == (1, True)


def test_moderation_uses_nothing_that_opens_waits_draws_lots_or_looks_at_a_clock() -> None:
    """The contract lists forbidden modules; this lists those that are used."""
    allowed = "bisect collections dataclasses enum fnmatch functools html itertools json math pathlib re string types"
    allowed += " typing unicodedata urllib"
    allowed += " base64 binascii hashlib"  # the forms of entries of policy lists
    allowed += " datetime zoneinfo"  # the calendar of a place: a table, which is read from files
    pattern = re.compile(r"^\s*(?:from|import)\s+([a-z_0-9]+)", re.MULTILINE)
    finder = HOUSE / "moderation" / "rules" / "registry.py"  # finds the files next to it
    used = {
        name
        for file in (HOUSE / "moderation").rglob("*.py")
        for name in pattern.findall(file.read_text("utf-8"))
        if file != finder or name not in ("importlib", "pkgutil")
    }
    assert (used & sys.stdlib_module_names) - set(allowed.split()) == set()


def test_only_app_names_the_adapters() -> None:
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
    assert [contract["type"] for contract in config["contracts"]] == ["layers"] * 7 + ["forbidden"] * 3
    folders = [contract for contract in config["contracts"] if "containers" in contract]
    assert all(contract["exhaustive"] for contract in folders)
