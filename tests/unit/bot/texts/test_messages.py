"""The message files hold every text the code asks for, in both languages; no field becomes more than text."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, TypeGuard, get_args

import pytest
from jinja2 import nodes

from bot.admin.rooms import ORDERS
from bot.commands.registry import COMMANDS
from bot.console.render import TEMPLATES, environment
from bot.crypto.cross_signing import KeyState
from bot.crypto.emoji import EMOJI
from bot.crypto.key_backup import BackupState
from bot.texts.catalog import LANGUAGES, Catalog, fields_of
from moderation.cases import lifecycle
from moderation.duty.responsibility import Deed
from moderation.model import facts
from moderation.model.context import Condition
from moderation.model.facts import LASTING, OF_ROOMS, REMOVING, REOPENED, Outcome
from moderation.model.notifications import Hearer
from moderation.policy import GRADES, Decide, RuleBase, WaveMeasure
from moderation.rooms.measures import DEED_OF, IMPOSED
from moderation.values.power_levels import Right
from tests.sources import Source, Sources

ROOT = Path(__file__).parents[4]
# The verifier in an export is independent: it has no message files, and prints only English.
STANDS_ALONE = "storage/export/verify.py"
PAGES = tuple(sorted(TEMPLATES.rglob("*.html")))
CATALOG = Catalog.load()
EN = {key: CATALOG.template("en", key) for key in CATALOG.keys("en")}


# What the code asks for.


@dataclass(frozen=True)
class Use:
    """A text that the code asks for. `pattern` fits its keys: more than one where a part is only known at run time."""

    where: str
    pattern: str
    given: frozenset[str] | None = None  # the fields handed over; None where that cannot be seen
    known: bool = True  # False: a word of the code that is a key if there is such a text

    def fitting(self) -> list[str]:
        return _fitting(self.pattern)


# The pattern that fits one key alone, and that key: most patterns are such.
KEY_OF = {re.escape(key): key for key in EN}


@cache
def _fitting(pattern: str) -> list[str]:
    """Return the keys that the pattern fits."""
    if not _is_open(pattern):
        return [KEY_OF[pattern]] if pattern in KEY_OF else []
    fits = re.compile(pattern).fullmatch
    return [key for key in EN if fits(key)]


def _is_open(pattern: str) -> bool:
    """Tell whether the pattern has a part that is only known at run time."""
    return "[^.]+" in pattern or "(?:" in pattern


# Functions that take a key, and which of their positional arguments it is.
KEY_IS = {
    "Bad": 0,
    "line": 0,
    "Line": 0,
    "Phrase": 0,
    "Refused": 0,
    "IllegalStep": 0,
    "say": 0,
    "tell": 0,
    "new_app": 0,
}
FINDINGS = ("ok", "note", "warning", "problem")
# Keys put together from words that are seen where they are chosen: these alone would cover whole tables.
NOT_ENOUGH = frozenset(
    {
        r"config\.[^.]+",
        r"demo\.[^.]+",
        r"cli\.check\.ok\.[^.]+",
        r"cli\.check\.[^.]+\.text",
        r"cli\.check\.[^.]+\.remedy",
    }
)
# Parts known at run time that are some, but not all, of those in the table.
NARROW = {
    r"desk\.[^.]+": ("corrected", "overruled"),
    r"card\.[^.]+": ("upheld", "dismissed"),
    r"done\.[^.]+": ("warn", "kick", "mute", "ban"),
    r"set\.done\.[^.]+": ("verify", "digest", "newcomers", "joins"),
    r"cli\.read\.unknown_[^.]+": ("room", "person"),
}


def code(sources: Sources) -> Iterator[Source]:
    """Yield the modules that may name texts; those of migrations are SQL."""
    return (each for each in sources if each.name != STANDS_ALONE and "migrations" not in each.path.parts)


@cache
def uses(sources: Sources) -> tuple[Use, ...]:
    """Return every place in the code that names a text."""
    return (
        *(use for source in code(sources) for use in _uses(source)),
        *(use for path in PAGES for use in _page_uses(path)),
    )


def _page_uses(path: Path) -> Iterator[Use]:
    """Yield the texts that a template of the console asks for: ``t("key", field=...)`` and ``plain("key")``."""
    tree = environment().parse(path.read_text("utf-8"))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in ("t", "plain") and call.args:
            given = None if call.dyn_kwargs is not None else frozenset(word.key for word in call.kwargs)
            for pattern in _page_patterns(call.args[0]):
                yield Use(f"{path.name}:{call.lineno}", pattern, given)


def _page_patterns(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Const):
        yield re.escape(str(node.value))
    elif isinstance(node, nodes.Concat):
        yield "".join(re.escape(str(each.value)) if isinstance(each, nodes.Const) else "[^.]+" for each in node.nodes)
    elif isinstance(node, nodes.CondExpr):
        for each in filter(None, (node.expr1, node.expr2)):
            yield from _page_patterns(each)


def _uses(source: Source) -> Iterator[Use]:
    name, path = source.name, source.path
    # These files name their texts within one table.
    table = "config" if path.parent.name == "config" else "demo" if path.name == "story.py" else ""
    has_kinds = any(map(_is_of_a_kind, source.nodes))
    for node in source.nodes:
        if isinstance(node, ast.Call):
            yield from _asked(node, f"{name}:{node.lineno}", in_cli="cli" in path.parts, table=table)
        if has_kinds and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign):
            for text in _kinds_of_words(node):
                yield Use(f"{name}:{node.lineno}", rf"cli\.{re.escape(text)}\.[^.]+", known=False)
        for pattern in _patterns(node):
            yield Use(f"{name}:{getattr(node, 'lineno', 0)}", pattern, known=False)
            if table:
                yield Use(f"{name}:{getattr(node, 'lineno', 0)}", rf"{table}\.{pattern}", known=False)
            if path.parent.name == "check":
                yield Use(f"{name}:{getattr(node, 'lineno', 0)}", rf"cli\.check\.ok\.{pattern}", known=False)
                yield Use(f"{name}:{getattr(node, 'lineno', 0)}", rf"cli\.check\.{pattern}\.text", known=False)
                yield Use(f"{name}:{getattr(node, 'lineno', 0)}", rf"cli\.check\.{pattern}\.remedy", known=False)


def _asked(call: ast.Call, where: str, *, in_cli: bool, table: str) -> Iterator[Use]:
    """Yield the texts that one call asks for."""
    called = _name(call.func)
    given = None if any(word.arg is None for word in call.keywords) else frozenset(str(w.arg) for w in call.keywords)
    if called in KEY_IS and len(call.args) > KEY_IS[called]:
        for pattern in _patterns(call.args[KEY_IS[called]], deep=True):
            yield Use(where, pattern, frozenset() if called == "Phrase" else given)
    elif called in ("text", "render", "has", "template"):
        at = 0 if len(call.args) == 1 else 1  # in a `Catalog`, the language comes before the key
        for pattern in (p for arg in call.args[at : at + 1] for p in _patterns(arg, deep=True)):
            full = rf"{table}\.{pattern}" if table and not pattern.startswith(table) else pattern
            yield Use(where, full, given if called in ("text", "render") else None)
    elif called == "ConfigProblem" and len(call.args) > 1:
        for pattern in _patterns(call.args[1], deep=True):
            yield Use(where, rf"config\.{pattern}")
    elif called in FINDINGS and in_cli and len(call.args) == 2:
        for pattern in _patterns(call.args[1], deep=True):
            if called == "ok":
                yield Use(where, rf"cli\.check\.ok\.{pattern}", given)
            else:
                yield Use(where, rf"cli\.check\.{pattern}\.text", given)
                yield Use(where, rf"cli\.check\.{pattern}\.remedy", given)
    elif called == "StoryStep" and call.args and table == "demo":
        for pattern, part in product(_patterns(call.args[0]), ("name", "expected", "seen")):
            yield Use(where, rf"demo\.{pattern}\.{part}")
    elif called == "table" and call.args and isinstance(call.args[0], ast.Tuple):
        for pattern in (p for column in call.args[0].elts for p in _patterns(column)):
            yield Use(where, rf"cli\.column\.{pattern}")
    elif called in ("asked", "asked_secret") and call.args:
        for pattern in _patterns(call.args[0]):
            yield Use(where, rf"cli\.init\.ask\.{pattern}")


def _patterns(node: ast.AST, *, deep: bool = False) -> Iterator[str]:
    """Yield the possible keys of a string, an f-string or a choice between these."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield re.escape(node.value)
    elif isinstance(node, ast.JoinedStr):
        parts = ["[^.]+" if isinstance(p, ast.FormattedValue) else re.escape(_text(p)) for p in node.values]
        # f"cli.{kind}.{value}" could be anything; its values are found at its calls.
        if parts[0] != "[^.]+" and "." in parts[0] and parts.count("[^.]+") == 1:
            pattern = "".join(parts)
            narrow = NARROW.get(pattern)
            yield pattern.replace("[^.]+", f"(?:{'|'.join(narrow)})") if narrow else pattern
    elif deep and isinstance(node, ast.IfExp):
        yield from _patterns(node.body, deep=True)
        yield from _patterns(node.orelse, deep=True)


def _text(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    return str(node.value)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _kinds_of_words(function: ast.AST) -> set[str]:
    """Return the kinds with which `word(kind, value)` or `worded(kind)` is called; for a variable, any string there."""
    calls = [node for node in ast.walk(function) if _is_of_a_kind(node)]
    beside = {n.value for n in ast.walk(function) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    kinds: set[str] = set()
    for call in calls:
        kind = call.args[0]
        kinds |= {_text(kind)} if isinstance(kind, ast.Constant) else beside
    return kinds


def _is_of_a_kind(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and _name(node.func) in ("word", "worded")


class TestBothFiles:
    def test_hold_the_same_texts(self) -> None:
        assert CATALOG.keys("zh") == CATALOG.keys("en")

    def test_hold_the_same_tables_in_the_same_order(self) -> None:
        assert _order("zh") == _order("en")

    def test_fill_the_same_fields(self) -> None:
        zh = {key: CATALOG.template("zh", key) for key in EN}
        assert [key for key, text in EN.items() if fields_of(text) != fields_of(zh[key])] == []

    def test_give_the_same_commands_to_type(self) -> None:
        zh = {key: CATALOG.template("zh", key) for key in EN}
        assert [(key, zh[key]) for key, text in EN.items() if _typed(text) != _typed(zh[key])] == []

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_hold_no_empty_text(self, language: str) -> None:
        assert [key for key in CATALOG.keys(language) if not CATALOG.template(language, key).strip()] == []

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_close_every_backtick_on_its_line(self, language: str) -> None:
        texts = {key: CATALOG.template(language, key) for key in CATALOG.keys(language)}
        assert [key for key, text in texts.items() if any(one.count("`") % 2 for one in text.split("\n"))] == []

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_close_every_bold_mark_on_its_line(self, language: str) -> None:
        texts = {key: CATALOG.template(language, key) for key in CATALOG.keys(language)}
        assert [key for key, text in texts.items() if any(one.count("**") % 2 for one in text.split("\n"))] == []

    def test_chinese_uses_full_width_punctuation_between_chinese(self) -> None:
        wrong = re.compile(r"[\u4e00-\u9fff][,;:!?()\"]|[,;:!?()\"][\u4e00-\u9fff]")
        texts = {key: re.sub(r"`[^`]*`", "", CATALOG.template("zh", key)) for key in EN}
        # What is typed at a terminal keeps the terminal's quotes.
        assert [key for key, text in texts.items() if wrong.search(text) and not key.endswith("epilog")] == []


def _order(language: str) -> list[str]:
    text = (ROOT / "bot/texts" / f"{language}.toml").read_text("utf-8")
    return list(_paths(tomllib.loads(text)))


def _paths(table: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in table.items():
        yield above + key
        if isinstance(value, dict):
            yield from _paths(value, f"{above}{key}.")


def _typed(text: str) -> Counter[str]:
    """Return the commands between backticks: their names and options, without the words for arguments."""
    marked = re.findall(r"`([^`]*)`", text)
    words = (word for span in marked for n, word in enumerate(span.split()) if n == 0 or word[0] in "-@{")
    return Counter(words)


class TestWhatTheCodeAsksFor:
    def test_is_there(self, sources: Sources) -> None:
        assert [(use.where, use.pattern) for use in uses(sources) if use.known and not use.fitting()] == []

    def test_gets_every_field_it_names(self, sources: Sources) -> None:
        asked = ((use, key) for use in uses(sources) if use.given is not None for key in use.fitting())
        lacking = [(use.where, key, fields_of(EN[key]) - (use.given or set())) for use, key in asked]
        assert [each for each in lacking if each[2]] == []

    def test_is_all_there_is(self, sources: Sources) -> None:
        patterns = {use.pattern for use in uses(sources)} - NOT_ENOUGH
        assert sorted(set(EN) - {key for pattern in patterns for key in _fitting(pattern)}) == []

    def test_is_not_chosen_by_decisions(self, sources: Sources) -> None:
        """Consequences are typed values, to which `bot/texts` gives words; only a refusal names its text."""
        calls = (
            (source.name, _name(node.func))
            for source in code(sources)
            if source.name.startswith("moderation/") and source.name != "moderation/values/notices.py"
            for node in source.each(ast.Call)
        )
        assert [each for each in calls if each[1] in ("line", "Line", "Phrase")] == []

    def test_was_found_by_this_test(self, sources: Sources) -> None:
        """A scanner that finds nothing would report no faults."""
        found = {use.pattern for use in uses(sources) if use.known}
        assert {r"notice\.foot", r"error\.target\.bot", r"cli\.init\.exists", r"config\.missing"} <= found
        assert r"notice\.measure\.[^.]+" in found
        assert len(found) > 200


SANCTIONS: tuple[str, ...] = tuple(LASTING - OF_ROOMS)
ASKED_ARGUMENTS = {
    word.rstrip("?*") for command in COMMANDS.values() for word in command.spec.split() if word[-1] not in "?*"
}
MEASURES = get_args(RuleBase.model_fields["measure"].annotation)
INTERIM = get_args(RuleBase.model_fields["interim"].annotation)
WHY_ENDED = get_args(facts.SanctionEnded.__annotations__["why"])
CLOSED_SETS: tuple[tuple[str, tuple[str, ...] | set[str]], ...] = (
    ("grade.{}", GRADES),
    ("tier.{}", tuple("ABCDE")),
    ("condition.{}", get_args(Condition)),
    ("cli.condition.{}", get_args(Condition)),
    ("state.{}", (*lifecycle.STATES, *get_args(Outcome))),
    ("notice.message.{}", get_args(Outcome)),
    ("notice.report.{}", get_args(Outcome)),
    ("notice.case.{}", get_args(Outcome)),
    ("notice.appealed.{}", get_args(Hearer)),
    ("notice.will-decide.{}", get_args(facts.Asked)),
    ("card.{}", get_args(Outcome)),
    ("card.{}-by-rule", get_args(Outcome)),
    ("decided.{}", get_args(Outcome)),
    ("decided.waited.{}", get_args(Outcome)),
    ("error.case.already.{}", get_args(Outcome)),
    ("notice.credit.{}", get_args(facts.CreditChanged.__annotations__["entry"])),
    ("credit.entry.{}", get_args(facts.CreditChanged.__annotations__["entry"])),
    ("cli.entry.{}", get_args(facts.CreditChanged.__annotations__["entry"])),
    ("why-ended.{}", WHY_ENDED),
    ("notice.ended.{}", SANCTIONS),
    ("notice.ended-everywhere.{}", SANCTIONS),
    ("notice.extended.{}", SANCTIONS),
    ("credit.in-force.{}", SANCTIONS),
    ("credit.in-force-open.{}", SANCTIONS),
    ("cli.sanction.{}", tuple(LASTING)),
    ("notice.measure.{}", tuple({*REMOVING, *LASTING} - {"slow", "gate"})),
    ("measure.begun.{}", tuple(OF_ROOMS)),
    ("measure.ended.{}", tuple(OF_ROOMS)),
    ("measure.desk.{}", tuple(OF_ROOMS)),
    ("measure.over.{}", tuple(OF_ROOMS)),
    ("measure.next.{}", IMPOSED),
    ("measure.ends.{}", tuple(DEED_OF)),
    ("desk.servers-not.{}", ("denied", "allowed")),
    ("acl.entry.{}", ("one", "overruled", "unwritten")),
    ("statement.measure.{}", get_args(facts.SanctionKind)),
    ("console.figures.restriction.{}", get_args(facts.SanctionKind)),
    ("wave.does.{}", set(get_args(WaveMeasure)) - {"tell"}),
    ("status.joins.{}", get_args(WaveMeasure)),
    ("set.wave.{}", get_args(WaveMeasure)),
    ("error.imposed.{}", IMPOSED),
    ("status.measure.{}", tuple(REOPENED)),
    ("status.measure-open.{}", tuple(REOPENED)),
    ("cli.rooms.ordered.{}", ORDERS),
    ("notice.interim.{}", set(INTERIM) - {"none", "notice", "hold"}),
    ("notice.command.{}", set(get_args(facts.SanctionKind)) - {"demote", "rectify", "gate", "withhold"}),
    ("sanction.{}", (*SANCTIONS, "unban", "restore")),
    ("error.right.{}", get_args(Deed)),
    ("joining.missing.{}", get_args(Right)),
    ("cli.right.{}", get_args(Right)),
    ("joining.kept.{}", ("full", "metadata")),
    ("rules.one.{}", get_args(Decide)),
    ("error.missing.{}", ASKED_ARGUMENTS),
    ("done.{}", ("warn", "kick", "mute", "ban")),
    ("done-until.{}", ("mute", "ban")),
    ("crypto.state.{}", tuple(KeyState)),
    ("crypto.backup.{}", tuple(BackupState)),
    ("crypto.emoji.{}", tuple(name for _, name in EMOJI)),
)


@pytest.mark.parametrize(("pattern", "values"), CLOSED_SETS, ids=[pattern for pattern, _ in CLOSED_SETS])
def test_every_value_of_a_closed_set_has_its_text(pattern: str, values: tuple[str, ...]) -> None:
    assert values
    assert [value for value in values if not CATALOG.has(pattern.format(value))] == []
