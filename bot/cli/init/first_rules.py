"""The short list of rules that `init` offers to begin with, as tables of `config.toml`.

Rules kept here:
- None of them judges opinions: they are about amounts, links, files, and words that the operator names.
- Each has a text for members in the chosen language.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bot.texts.catalog import Catalog

WORDS: Final = "words"
_SETTINGS: Final = {
    "flood": (
        'class = "minor"',
        'measure = "mute"',
        'mute_for = "10m"',
        "messages = 10",
        'within = "10s"',
    ),
    "mentions": ('class = "minor"', "limit = 5", 'room = "deny"'),
    "links": ('class = "minor"', "allow = []", 'deny = ["*"]'),
    "media": ('class = "minor"', 'mimetypes = ["image/*", "video/*", "audio/*", "text/plain", "application/pdf"]'),
    WORDS: ('class = "moderate"',),
}
OFFERED: Final = tuple(_SETTINGS)


@dataclass(frozen=True, slots=True)
class ChosenRules:
    """The rules that were chosen, and the words that the rule about words names."""

    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


NO_RULES: Final = ChosenRules()


def rule_tables(rules: ChosenRules, language: str) -> Iterator[str]:
    """Yield the lines of the chosen rules, in the order of the list."""
    for name in OFFERED:
        if name in rules.names:
            yield from ("", "[[rules]]", f'name = "{name}"', f'kind = "{"terms" if name == WORDS else name}"')
            yield from _SETTINGS[name]
            if name == WORDS:
                yield f"terms = {_toml(list(rules.words))}"
            text = Catalog.load().text(language, f"cli.init.rule.{name}")
            yield f"text = {{ {language} = {_toml(text)} }}"


def chosen(answer: str) -> tuple[str, ...] | None:
    """Return the rules that an answer names by numbers or names, "0" for none; None if it cannot be understood."""
    found = [_rule(word) for word in answer.replace(",", " ").replace("，", " ").split()]
    if found == [""]:
        return ()
    return tuple(dict.fromkeys(found)) if found and all(found) else None  # type: ignore[arg-type]


def _rule(word: str) -> str | None:
    """Return the rule that a word names; "" for none, None if there is no such rule."""
    if word in OFFERED:
        return word
    if word.isascii() and word.isdigit() and int(word) <= len(OFFERED):
        return OFFERED[int(word) - 1] if int(word) else ""
    return None


def _toml(value: object) -> str:
    """Write a text or a list of texts: JSON's are TOML's, except for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
