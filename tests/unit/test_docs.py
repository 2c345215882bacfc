"""The documentation agrees with the code that it shows, and its links lead somewhere."""

import ast
import re
from pathlib import Path

import pytest

from bot.cli.main import COMMANDS as PROGRAM
from bot.commands.registry import COMMANDS
from moderation.cases.lifecycle import diagram

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "responsibility.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = ("bot", "storage", "moderation", "tests", "bench")
FILES = [f"/{file.relative_to(ROOT).as_posix()}" for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
OURS = (*FOLDERS, "docs", "requirements", ".ci")
NO_COMMANDS = {"ping", "anything"}  # what docs/architecture.md shows how to add, and what nobody can give
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def test_the_diagram_of_cases_is_made_from_their_table() -> None:
    shown = re.search(r"```mermaid\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    assert shown[1] == diagram(), "put what `python -m moderation.cases.lifecycle` prints into docs/responsibility.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`([\w./-]+\.py)`", page.read_text("utf-8"))
    assert [name for name in named if not any(file.endswith(f"/{name}") for file in FILES)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_and_folders_of_ours_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(map(re.escape, OURS))})/[\w./-]*)`", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_no_page_calls_anything_planned() -> None:
    assert [page.name for page in PAGES if "(planned" in page.read_text("utf-8")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_make_targets_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"(?:`|^    )make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text("utf-8")
    in_chat = set(re.findall(r"`!([a-z][a-z-]*)", text)) - NO_COMMANDS
    in_terminal = set(re.findall(r"(?:`|^    )(?:[\w./-]+/)?answerable ([a-z][a-z-]*)", text, re.MULTILINE))
    assert (in_chat - set(COMMANDS), in_terminal - {each.name for each in PROGRAM}) == (set(), set())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_site_shows_each_page_once() -> None:
    """Check without the libraries of `make docs` that every page exists and is linked from somewhere."""
    hook = ast.parse((ROOT / "docs" / "hooks" / "from_the_clone.py").read_text("utf-8"))
    (elsewhere,) = (
        ast.literal_eval(each.value)
        for each in hook.body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "ELSEWHERE"
    )
    assert [clone for clone in elsewhere if not (ROOT / clone).is_file()] == []
    nav = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    shown = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", nav, re.MULTILINE)
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} | {"decisions/README.md"} | set(elsewhere.values())
    assert sorted(shown) == sorted(pages)
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    decisions = (ROOT / "docs" / "decisions").glob("0*.md")
    assert [decision.name for decision in decisions if f"]({decision.name})" not in listed] == []
