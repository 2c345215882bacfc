"""The first `config.toml`: the answers, and the settings that can be changed, each with its comment.

Rules kept here:
- The file is checked by the code that will read it before it replaces anything.
- Comments are in the chosen language.

`config.example.toml` shows every setting there is.
"""

import json
import re
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from bot.texts.catalog import Catalog

from .first_rules import NO_RULES, ChosenRules, rule_tables

_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The answers that `init` asks for, except secrets."""

    url: str
    user: str
    data_dir: str
    language: str
    operators: tuple[str, ...]
    allow_invites: tuple[str, ...]
    rules: ChosenRules = NO_RULES  # to begin with
    identity_key: str = ""  # path of the key of the identity store


def config_text(answers: Answers) -> str:
    """Return the file's content."""
    return "\n".join(_lines(answers)) + "\n"


def updated(there: str, answers: Answers) -> str | None:
    """Return an existing file with the answers in it; None if that cannot be done line by line.

    Comments and all other settings stay. The result is read and compared, so that nothing else can have changed.
    """
    try:
        wanted: dict[str, dict[str, object]] = tomllib.loads(there)
        lines = there.splitlines()
        for table, settings in _settings(answers).items():
            for key, value in settings.items():
                if wanted.setdefault(table, {}).get(key) != value:
                    _put(lines, table, f"{key} = {_toml(value)}")
                    wanted[table][key] = value
        if answers.rules.names and not has_rules(there):
            tables = "\n".join(rule_tables(answers.rules, answers.language))
            lines += tables.split("\n")
            wanted |= tomllib.loads(tables)
        content = "\n".join(lines) + "\n"
        return content if tomllib.loads(content) == wanted else None
    except tomllib.TOMLDecodeError:
        return None


def has_rules(there: str) -> bool:
    """Tell whether an existing file has rules, or cannot be read."""
    try:
        return bool(tomllib.loads(there).get("rules"))
    except tomllib.TOMLDecodeError:
        return True


def _settings(answers: Answers) -> dict[str, dict[str, object]]:
    bot: dict[str, object] = {
        "data_dir": answers.data_dir,
        "language": answers.language,
        "operators": list(answers.operators),
        "allow_invites": list(answers.allow_invites),
    }
    tables: dict[str, dict[str, object]] = {"homeserver": {"url": answers.url, "user": answers.user}, "bot": bot}
    return tables | ({"identity": {"key_file": answers.identity_key}} if answers.identity_key else {})


def _put(lines: list[str], table: str, setting: str) -> None:
    """Write a setting of one line into a table in place of its old one; or as the table's first, made if need be."""
    key = setting.partition(" ")[0]
    header = re.compile(rf"\s*\[\s*{table}\s*\]")
    at = next((n for n, each in enumerate(lines) if header.match(each)), None)
    if at is None:
        lines += ["", f"[{table}]", setting]
        return
    end = next((n for n in range(at + 1, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
    old = next((n for n in range(at + 1, end) if re.match(rf"\s*{key}\s*=", lines[n])), None)
    if old is None:
        lines.insert(at + 1, setting)
    else:
        lines[old] = setting


def _toml(value: object) -> str:
    return _list(tuple(value)) if isinstance(value, list) else _quoted(str(value))


def _lines(answers: Answers) -> Iterator[str]:
    def comment(key: str) -> list[str]:
        text = Catalog.load().text(answers.language, f"cli.init.file.{key}")
        # A Chinese character is as wide as two others.
        width = _WIDTH // 2 if answers.language == "zh" else _WIDTH
        return [f"# {line}" for line in textwrap.wrap(text, width, break_long_words=answers.language == "zh")]

    yield from comment("head")
    yield from ("", "[homeserver]")
    yield f"url = {_quoted(answers.url)}"
    yield f"user = {_quoted(answers.user)}"
    yield from ("", "[bot]", *comment("data_dir"))
    yield f"data_dir = {_quoted(answers.data_dir)}"
    yield f"language = {_quoted(answers.language)}"
    yield from (*comment("operators"), f"operators = {_list(answers.operators)}")
    yield from (*comment("allow_invites"), f"allow_invites = {_list(answers.allow_invites)}")
    yield from ("", "[records]", *comment("content"), 'content = "full"')
    yield from (*comment("retention"), 'retention = "190d"')
    if answers.identity_key:
        yield from ("", "[identity]", *comment("identity_key"), f"key_file = {_quoted(answers.identity_key)}")
    if answers.rules.names:
        yield from ("", *comment("chosen_rules"), *rule_tables(answers.rules, answers.language))
    else:
        yield from ("", *comment("rules"), *_example_rule(answers.language))


def _example_rule(language: str) -> Iterator[str]:
    text = Catalog.load().text(language, "cli.init.file.rule")
    yield "#"
    yield "# [[rules]]"
    yield '# name = "flood"'
    yield '# kind = "flood"'
    yield '# class = "minor"'
    yield '# measure = "notice"'
    yield '# decide = "manager"'
    yield f"# text = {{ {language} = {_quoted(text)} }}"


def _quoted(text: str) -> str:
    """Quote a text: JSON's strings are TOML's basic strings, except for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _list(items: tuple[str, ...]) -> str:
    return "[" + ", ".join(_quoted(item) for item in items) + "]"
