"""The rules to begin with are valid, each has a text for members, and an answer chooses some of them or is refused."""

import tomllib
from pathlib import Path

import pytest

from bot.cli.init.config_file import Answers, config_text, updated
from bot.cli.init.first_rules import NO_RULES, OFFERED, ChosenRules, chosen
from bot.config.config import parse_config
from bot.texts.catalog import LANGUAGES


def answers(language: str, rules: ChosenRules) -> Answers:
    return Answers(
        url="https://matrix.example.org",
        user="@bot:example.org",
        data_dir="data",
        language=language,
        operators=("@anna:example.org",),
        allow_invites=("*:example.org",),
        rules=rules,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_that_are_offered_are_valid_in_each_language(language: str, tmp_path: Path) -> None:
    every = ChosenRules(OFFERED, ('purple "elephant"', "大象\x7f"))
    config = parse_config(tmp_path / "config.toml", config_text(answers(language, every)))
    assert [rule.name for rule in config.rules] == list(OFFERED)
    assert [set(rule.text) for rule in config.rules] == [{language}] * len(OFFERED)
    assert tomllib.loads(config_text(answers(language, every)))["rules"][-1]["terms"] == list(every.words)


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ("1 2", ("flood", "mentions")),
        ("2,5, 2", ("mentions", "words")),
        ("media，1", ("media", "flood")),
        ("0", ()),
        ("6", None),
        ("0 1", None),
        ("-1", None),
        ("²", None),
        ("", None),
        ("spam", None),
    ],
)
def test_an_answer_chooses_by_number_or_name(answer: str, names: tuple[str, ...] | None) -> None:
    assert chosen(answer) == names


def test_a_file_without_rules_gets_them_and_one_with_rules_keeps_its_own() -> None:
    plain = config_text(answers("en", NO_RULES))
    added = updated(plain, answers("en", ChosenRules(("links",))))
    assert added is not None
    assert added.startswith(plain)
    assert [rule["name"] for rule in tomllib.loads(added)["rules"]] == ["links"]
    assert updated(added, answers("en", ChosenRules(("flood",)))) == added
