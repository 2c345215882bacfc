"""A configuration that is there keeps everything but the answers."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from bot.cli.init.config_file import Answers, config_text, updated

ANSWERS = Answers(
    url="https://matrix.example.org",
    user="@bot:example.org",
    data_dir="data",
    language="en",
    operators=("@anna:example.org",),
    allow_invites=("*:example.org",),
)
OTHER = replace(ANSWERS, url="https://other.example.org", operators=("@ben:example.org", "@cleo:example.org"))
EXAMPLE = (Path(__file__).parents[5] / "config.example.toml").read_text("utf-8")


def test_the_same_answers_change_nothing() -> None:
    assert updated(config_text(ANSWERS), ANSWERS) == config_text(ANSWERS)


def test_other_answers_change_their_lines_only() -> None:
    there = config_text(ANSWERS) + '\n[[rules]]\nname = "mine"\nkind = "terms"  # do not lose me\nterms = ["[bot]"]\n'
    changed = updated(there, OTHER)
    assert changed is not None
    differ = [(old, new) for old, new in zip(there.splitlines(), changed.splitlines(), strict=True) if old != new]
    assert differ == [
        ('url = "https://matrix.example.org"', 'url = "https://other.example.org"'),
        ('operators = ["@anna:example.org"]', 'operators = ["@ben:example.org", "@cleo:example.org"]'),
    ]


def test_every_setting_of_the_example_stays() -> None:
    changed = updated(EXAMPLE, replace(OTHER, identity_key="/srv/identity.key"))
    assert changed is not None
    before, after = tomllib.loads(EXAMPLE), tomllib.loads(changed)
    assert after["identity"] == {**before.get("identity", {}), "key_file": "/srv/identity.key"}
    for table in ("homeserver", "bot", "identity"):
        before.pop(table, None), after.pop(table)
    assert after == before


def test_missing_tables_and_keys_are_added() -> None:
    changed = updated("[tiers]\na = 90\n[bot]\nprefix = '?'\n", ANSWERS)
    assert changed is not None
    found = tomllib.loads(changed)
    assert found["tiers"] == {"a": 90}
    assert found["bot"]["prefix"] == "?"
    assert found["homeserver"] == {"url": ANSWERS.url, "user": ANSWERS.user}


@pytest.mark.parametrize(
    "there",
    [
        "mine",
        '[bot]\noperators = [\n  "@old:example.org",\n]\n',
        'bot = { language = "zh" }\n',
        '[bot]\nx = """\nlanguage = "zh"\n"""\n',
    ],
    ids=["no TOML", "a list of several lines", "an inline table", "a text that looks like a setting"],
)
def test_what_cannot_be_changed_line_by_line_is_left_alone(there: str) -> None:
    assert updated(there, ANSWERS) is None
