"""The recipes of docs/architecture.md are followed: what they add works, and what is left out is named."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import bot.commands
import moderation.rules
from bot.commands.registry import find_commands
from bot.texts.rule_kinds import PAGES
from moderation.rules.registry import find_kinds
from moderation.values.errors import Broken

HOME = Path(__file__).parents[3]
RECIPES = (HOME / "docs" / "architecture.md").read_text("utf-8").partition("## Adding a kind of rule")[2]
# Blocks of code that begin with the path of the file to add them to.
STEPS = re.findall(r"```\w+\n# ((?:bot|moderation)/[\w/.]+)\n(.*?)```\n", RECIPES, re.DOTALL)
FOLDERS = ("bot", "moderation", "storage", "docs", "tests/postgres", "tests/theatre")
FILES = (
    "config.example.toml",
    "pyproject.toml",
    "tests/conftest.py",
    "tests/door/offline.py",
    "tests/long/door/recipe_story.py",
    "tests/examples.py",
    "tests/sources.py",
    "tests/unit/test_registries.py",
)
RULE, COMMAND = "moderation/rules/endings.py", "bot/commands/ping.py"
EN, ZH = "bot/texts/en.toml", "bot/texts/zh.toml"
# In one process, as starting one is what takes long: the pages, what the test of the registries says, the story.
FOLLOW = """
import runpy, sys
from bot.texts import rule_kinds
rule_kinds.renew()
import pytest
code = pytest.main(["-p", "no:cacheprovider", "-q", "--tb=line", "tests/unit/test_registries.py"])
if code == 0:
    runpy.run_module("tests.long.door.recipe_story", run_name="__main__")
sys.exit(code)
"""


def add(file: Path, block: str) -> None:
    """Add a block of a recipe: a new file, or texts, each below the head of its table."""
    if file.suffix != ".toml":
        file.write_text(block, "utf-8")
        return
    page = file.read_text("utf-8")
    for table in re.split(r"\n(?=\[)", block):
        head, _, texts = table.partition("\n")
        if f"\n{head}\n" in page:
            page = page.replace(f"\n{head}\n", f"\n{head}\n{texts.strip()}\n", 1)
        else:
            page += f"\n{table.strip()}\n"
    file.write_text(page, "utf-8")


def follow(copy: Path, *left_out: str) -> subprocess.CompletedProcess[str]:
    """Follow the recipes in a new copy of the product, but for some lines, and use what they add there."""
    for folder in FOLDERS:
        shutil.copytree(HOME / folder, copy / folder)
    for name in FILES:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(HOME / name, copy / name)
    for path, block in STEPS:
        add(copy / path, "".join(line for line in block.splitlines(keepends=True) if line.strip() not in left_out))
    environ = os.environ | {"PYTHONPATH": str(copy), "ANSWERABLE_LANG": "en"}
    return subprocess.run(
        [sys.executable, "-c", FOLLOW, "story.json"], cwd=copy, env=environ, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the product in which both recipes were followed, and nothing is missing."""
    copy = tmp_path_factory.mktemp("copy")
    done = follow(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


@pytest.fixture(scope="module")
def story(copy: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((copy / "story.json").read_text("utf-8"))
    return told


def test_the_recipes_name_the_files_that_they_add_to() -> None:
    assert [path for path, _ in STEPS] == [RULE, EN, ZH, COMMAND, EN, ZH]


def test_the_pages_show_the_kind(copy: Path) -> None:
    example, model = ((copy / page.relative_to(HOME)).read_text("utf-8") for page in PAGES)
    assert 'kind = "endings"                        # how messages end\n' in example
    assert "| `endings` | how messages end | yes | `endings` |" in model


def test_answerable_check_takes_the_kind_and_names_a_wrong_setting(story: dict[str, Any]) -> None:
    assert story["checked"] == "ok"
    assert 'rules."calm".endings' in story["wrong"]


def test_the_new_kind_can_be_tried_written_listed_and_judged(story: dict[str, Any]) -> None:
    keys = {words: [key for said, _ in answers for key in said] for words, answers in story["told"].items()}
    assert keys["!rule test come here!!!"] == ["room-rule.test", "room-rule.hit", "room-rule.test-foot"]
    assert sorted(keys['!rule add asking endings "?!?" minor']) == ["room-rule.added", "room-rule.next", "rules.added"]
    assert keys["!rule add more endings shouting"][0] == "error.rule.word-endings"
    assert keys["!rule list"][-3:] == ["room-rule.operators", "room-rule.own", "room-rule.by"]
    assert keys["!rules"] == ["rules.head", "rules.one.manager", "rules.one.auto", "rules.one.auto"]
    assert story["found"] == ["calm", "asking"]
    ((_, said),) = story["told"]["!rule test come here!!!"]
    assert "how messages end" in said["en"]
    assert "消息结尾" in said["zh"]


def test_the_command_is_answered_by_each_name_and_helped_with(story: dict[str, Any]) -> None:
    for typed in ("!ping", "!在吗", "!there"):
        assert story["told"][typed] == [[["ping.here"], {"en": "I am here.", "zh": "我在。"}]]
    ((_, overview),), ((helped, said),) = story["told"]["!help all"], story["told"]["!help ping"]
    assert "!ping — whether I am there" in overview["en"]
    assert helped == ["command.ping.short", "help.usage", "help.example"]
    assert "!ping（在吗）— 看看我在不在" in said["zh"]


def test_each_missing_text_is_named(tmp_path: Path) -> None:
    left_out = {
        'endings = "消息结尾"': "zh: rule-kind.endings",
        'endings = "请不要喊叫。"': "zh: rule-example.endings",
        'word-endings = "我不认识“{given}”。结尾须加引号；不加引号的可用词有 {known}。"': "zh: error.rule.word-endings",
        'name = "在吗"': "zh: command.ping.name",
        'short = "{command}（在吗）— 看看我在不在"': "zh: command.ping.short",
        'usage = "`!ping`"': "en: command.ping.usage",
    }
    done = follow(tmp_path, *left_out)
    assert [said for said in left_out.values() if said not in done.stdout] == []


WRONG = (
    (RULE, '    kind: Literal["endings"]\n', "", "endings.EndingsRule lacks its name"),
    (RULE, "def compiled", "def compile_it", "endings.EndingsRule lacks its method compiled"),
    (
        RULE,
        'InChat(("endings",))',
        'InChat(("ends",))',
        "endings.EndingsRule lacks the settings that IN_CHAT names: ends",
    ),
    (RULE, ', description="how no message may end"', "", "the setting endings lacks its description, or an example"),
    (RULE, ', examples=[["!!!"]]', "", "the setting endings lacks its description, or an example"),
    (RULE, '"endings"]', '"terms"]', "endings: the kind 'terms' is that of moderation.rules.terms, too"),
    (COMMAND, 'SUBJECT = "asking"', "", "bot.commands.ping lacks its SUBJECT"),
    (COMMAND, '"there"', '"status"', "bot.commands.ping: 'status' names the command 'status' already"),
)
FIND: Mapping[str, tuple[ModuleType, Callable[[], object]]] = {
    RULE: (moderation.rules, find_kinds),
    COMMAND: (bot.commands, find_commands),
}


@pytest.mark.parametrize(("path", "piece", "put", "said"), WRONG, ids=[said for *_, said in WRONG])
def test_each_missing_piece_of_a_file_is_named(path: str, piece: str, put: str, said: str, tmp_path: Path) -> None:
    file, (package, find) = tmp_path / Path(path).name, FIND[path]
    block = dict(STEPS)[path]
    assert piece in block
    file.write_text(block.replace(piece, put), "utf-8")
    package.__path__.append(str(tmp_path))
    importlib.invalidate_caches()
    try:
        with pytest.raises(Broken, match=re.escape(said)):
            find()
    finally:
        package.__path__.remove(str(tmp_path))
        sys.modules.pop(f"{package.__name__}.{file.stem}", None)
