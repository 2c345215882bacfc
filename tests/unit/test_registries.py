"""The registries are complete: kinds of rules, commands and actions have all their texts in each language."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from bot.commands.invocation import Command
from bot.commands.parse import WORDING, bind
from bot.commands.registry import COMMANDS
from bot.identity.redacted_input import ALIASES, NAME
from bot.texts.catalog import LANGUAGES, Catalog, fields_of
from bot.texts.rule_kinds import PAGES
from moderation.model.actions.base import NICETY, Action
from moderation.model.actions.registry import ACTIONS
from moderation.model.facts import FACTS, Fact
from moderation.rules.registry import KINDS

CATALOG = Catalog.load()
EACH = {command.name: command for command in COMMANDS.values()}


def must_be_there(keys: tuple[str, ...]) -> None:
    """Fail if texts are missing, and name them, such as ``zh: rule-kind.terms``."""
    missing = [f"{language}: {key}" for language in LANGUAGES for key in keys if key not in CATALOG.keys(language)]
    assert missing == [], f"missing: {', '.join(missing)}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_rule_has_its_texts(kind: str) -> None:
    must_be_there(KINDS[kind].text_keys(kind))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_each_kind_of_rule(page: Path) -> None:
    written = page.read_text("utf-8")
    assert written == PAGES[page](written), "run: python -m bot.texts.rule_kinds"


@pytest.mark.parametrize("command", EACH.values(), ids=EACH)
def test_a_command_has_its_texts(command: Command) -> None:
    must_be_there(command.text_keys)
    for language in LANGUAGES:
        assert fields_of(CATALOG.template(language, f"command.{command.name}.short")) == {"command"}
        for part in ("usage", "example"):
            assert CATALOG.template(language, f"command.{command.name}.{part}").startswith(f"`!{command.name}")


@pytest.mark.parametrize("command", EACH.values(), ids=EACH)
def test_a_command_is_written_as_it_declares(command: Command) -> None:
    given = {"user": "@ann:example.org", "case": "12", "request": "12", "duration": "2h", "everywhere": "everywhere"}
    assert bind(command.spec, tuple(given.get(item.rstrip("?*"), "x") for item in command.spec.split()))
    unknown = [
        each for each in (*WORDING, *command.wording) if not any(key.startswith(each) for key in CATALOG.keys("en"))
    ]
    assert unknown == []


def test_every_name_of_verify_keeps_its_words_out_of_the_records() -> None:
    assert {name for name, command in COMMANDS.items() if command.name == NAME} == {NAME, *ALIASES}


def test_only_identity_input_stays_out_of_the_records() -> None:
    assert [command.name for command in EACH.values() if not command.recorded] == ["verify"]


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_an_action_has_its_texts(action: type[Action]) -> None:
    must_be_there(action.text_keys())


def test_an_action_has_a_name_of_its_own_and_says_how_long_it_can_wait() -> None:
    each = [cls for cls in Action.__subclasses__() if cls.__module__.startswith("moderation.")]
    assert {cls.NAME for cls in each} - {""} == set(ACTIONS)
    assert len(each) == len(ACTIONS)
    assert {cls for cls in each if cls.PRIORITY == NICETY and not cls.ADORNS} == set()


@pytest.mark.parametrize("fact", FACTS, ids=[fact.__name__ for fact in FACTS])
def test_a_fact_has_its_words_in_logs_show(fact: type[Fact]) -> None:
    hints, known = get_type_hints(fact), [key.removeprefix("cli.record.") for key in CATALOG.keys("en")]
    steps = next((get_args(hints[name]) for name in ("step", "what", "result", "entry") if name in hints), ()) or (
        "any",
    )
    has = [step for step in steps for key in known if key.startswith((f"{fact.KIND}-{step}", f"{fact.KIND}-any"))]
    must_be_there(tuple(f"cli.record.{fact.KIND}-{step}" for step in steps if step not in has))
