"""The kinds of rules on the pages: an entry in `config.example.toml`, a row in `docs/model.md`.

``python -m bot.texts.rule_kinds`` writes both again, from the kinds and their texts. A setting is shown with its
description, and with the first of its `examples` or its default.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from moderation.rules.base import RuleBase
from moderation.rules.registry import KINDS, own_settings

from .catalog import LANGUAGES, Catalog

ROOT = Path(__file__).parents[2]
_MADE = "made by `python -m bot.texts.rule_kinds`, do not edit"
_COLUMN = 40  # where the comments of config.example.toml begin


def render_example(page: str) -> str:
    """Return `config.example.toml` with an entry for each kind."""
    entries = ("\n".join(_entry(name, cls)) + "\n" for name, cls in KINDS.items())
    return _between(page, f"# Kinds of rules, {_MADE}\n", "# End of kinds\n", "\n".join(entries))


def render_table(page: str) -> str:
    """Return `docs/model.md` with a row for each kind."""
    head = ("| kind | looks for | written in chat | its settings |", "|---|---|---|---|")
    rows = (_row(name, cls) for name, cls in KINDS.items())
    return _between(page, f"<!-- kinds of rules: {_MADE} -->\n", "<!-- end of kinds -->\n", "\n".join((*head, *rows)))


PAGES: dict[Path, Callable[[str], str]] = {
    ROOT / "config.example.toml": render_example,
    ROOT / "docs" / "model.md": render_table,
}


def _between(page: str, begin: str, end: str, made: str) -> str:
    """Return the page with `made` between two marks. Raises `ValueError` without them."""
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the marks {begin.strip()} and {end.strip()} are missing")
    return f"{before}{begin}\n{made.rstrip()}\n\n{end}{after}"


def _entry(kind: str, cls: type[RuleBase]) -> Iterator[str]:
    catalog = Catalog.load()
    yield "[[rules]]"
    yield f'name = "{kind}"'
    yield _commented(f'kind = "{kind}"', catalog.text("en", f"rule-kind.{kind}"))
    for name, info in own_settings(cls):
        value = info.examples[0] if info.examples else info.default
        yield _commented(f"{name} = {_toml(value)}", info.description or "")
    words = ", ".join(f"{each} = {_toml(catalog.template(each, f'rule-example.{kind}'))}" for each in LANGUAGES)
    yield f"text = {{ {words} }}"


def _row(kind: str, cls: type[RuleBase]) -> str:
    settings = ", ".join(f"`{name}`" for name, _ in own_settings(cls))
    in_chat = "yes" if cls.IN_CHAT else "no"
    return f"| `{kind}` | {Catalog.load().text('en', f'rule-kind.{kind}')} | {in_chat} | {settings} |"


def _commented(setting: str, words: str) -> str:
    return f"{setting.ljust(_COLUMN - 2)}  # {words}"


def _toml(value: object) -> str:
    """Return a value as TOML, which writes texts, numbers and lists as JSON does."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {_toml(each)}' for name, each in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def renew() -> None:
    """Write the pages again."""
    for path, render in PAGES.items():
        path.write_text(render(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    renew()
