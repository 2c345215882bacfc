"""The faults of `config.toml` in words: where, what stands there, what was expected, what was probably meant.

Rules kept here:
- All problems are told at once, in the order of the file.
- A value is shown only where it cannot be a secret.
- Every word stands in the message files.

Left to others: finding the line (`toml_lines.py`), problems that concern several settings (`checks.py`).
"""

import difflib
import json
import re
import tomllib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bot.texts.catalog import Catalog, cli_language
from moderation.rules.registry import KINDS
from moderation.values.durations import Duration
from moderation.values.errors import Invalid
from moderation.values.notices import Code

from .toml_lines import Place, line_at, lines_of

_DURATION = get_args(Duration)[1]  # the marker of a setting written as 10m, 2h, 3d
_SECRET = re.compile(r"pass(word|phrase|wd)?|secret|token|api_?key", re.IGNORECASE)
_LONGEST_SHOWN = 60
_QUOTED = re.compile(r"'([^']*)'")

# pydantic's name for a problem -> ours, if a separate text says what was expected.
_EXPECTED = {
    "string_type": "text",
    "string_unicode": "unicode",
    "int_type": "number",
    "int_from_float": "number",
    "int_parsing": "number",
    "float_type": "number",
    "bool_type": "yes_no",
    "tuple_type": "list",
    "list_type": "list",
    "set_type": "list",
    "frozen_set_type": "list",
    "model_type": "table",
    "model_attributes_type": "table",
    "dict_type": "table",
    "path_type": "text",
}
_LIMITS = {
    "greater_than_equal": ("at_least", "ge"),
    "greater_than": ("more_than", "gt"),
    "less_than_equal": ("at_most", "le"),
    "less_than": ("less_than", "lt"),
    "string_too_short": ("longer", "min_length"),
    "string_too_long": ("shorter", "max_length"),
    "too_short": ("more_entries", "min_length"),
    "too_long": ("fewer_entries", "max_length"),
}
# The beginnings of tomllib's own messages -> ours.
_SYNTAX = {
    "Expected '=' after a key": "equals",
    "Invalid value": "value",
    "Invalid statement": "statement",
    "Expected newline or end of document": "newline",
    "Cannot overwrite a value": "twice",
    "Duplicate inline table key": "twice",
    "Cannot declare": "table_twice",
    "Cannot mutate immutable namespace": "table_twice",
    "Unclosed array": "bracket",
    "Unclosed inline table": "bracket",
    "Expected ']": "bracket",
    "Unterminated string": "quote",
    "Illegal character": "quote",
    "Unescaped '\\'": "backslash",
    "Invalid initial character for a key part": "key",
}


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing to change. `key` and `fields` are a text of the message files, below ``config.``."""

    place: Place  # () for the whole file
    key: str
    fields: Mapping[str, object] = field(default_factory=dict)
    line: int | None = None  # None: looked up by `place`


class ConfigError(Invalid):
    """The configuration cannot be used. `problems` says why; the message lists them all."""

    def __init__(self, file: Path, problems: Sequence[ConfigProblem], text: str = "") -> None:
        lines = lines_of(text)
        data = tomllib.loads(text)
        self.file = file
        self.problems = tuple(sorted((_located(p, lines) for p in problems), key=lambda p: p.line or 0))
        super().__init__(_rendered(file, self.problems, data))


def read_file(file: Path) -> bytes:
    """Return what is in a file. Raises `ConfigError` if it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from None


def decode(file: Path, raw: bytes) -> str:
    """Return the file's text. Raises `ConfigError` if it is not UTF-8."""
    try:
        return raw.decode("utf-8-sig")  # some editors put a byte order mark before it
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(file, [ConfigProblem((), "not_utf8", line=line)]) from None


def unreadable(file: Path, error: OSError | UnicodeDecodeError) -> ConfigError:
    """Return the error for a file that is missing or cannot be read."""
    if isinstance(error, FileNotFoundError):
        return ConfigError(file, [ConfigProblem((), "missing_file", {"file": file})])
    why = error.strerror if isinstance(error, OSError) else "UTF-8"
    return ConfigError(file, [ConfigProblem((), "unreadable", {"file": file, "why": why})])


def syntax_problem(error: ValueError | RecursionError) -> ConfigProblem:
    """Return what `tomllib` could not read, and where."""
    if not isinstance(error, tomllib.TOMLDecodeError):
        return ConfigProblem((), "syntax.deep" if isinstance(error, RecursionError) else "syntax.number")
    said = re.match(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)\Z", str(error), re.DOTALL)
    what, line = (said[1], said[2]) if said else (str(error), None)
    slug = next((ours for theirs, ours in _SYNTAX.items() if what.startswith(theirs)), "other")
    where = ConfigProblem((), f"syntax.{slug}", {"detail": what}, line=int(line) if line else None)
    return where if line else ConfigProblem((), "syntax.end")


def explain(model: type[BaseModel], error: ValidationError, data: Mapping[str, Any]) -> list[ConfigProblem]:
    """Return everything pydantic found, in our words."""
    found = error.errors(include_url=False, include_context=True)
    problems = [_explained(model, detail, data) for detail in found]
    # pydantic counts only the entries it could use, so one bad entry makes a list too short as well.
    bad = {problem.place[:-1] for problem in problems}
    return [problem for problem in problems if problem.key != "expected.more_entries" or problem.place not in bad]


def shown(value: object) -> Code:
    """Return a value as it is written in TOML, shortened."""
    if isinstance(value, Mapping | list):
        text = "[...]" if isinstance(value, list) else "{...}"
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return Code(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…")


def value_at(data: object, place: Place) -> object:
    """Return the value at `place`; None if there is none."""
    for step in place:
        try:
            data = data[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def durations_in(model: type[BaseModel], data: Mapping[str, Any], above: Place = ()) -> Iterator[Place]:
    """Yield the places in `data` where a duration is expected."""
    for name, value in data.items():
        info = _field(model, name)
        if info is None:
            continue
        place = (*above, name)
        if _lasts(info):
            yield place
        elif name == "rules" and not above:
            for index, rule in enumerate(value if isinstance(value, list) else ()):
                if inner := _rule_model(rule):
                    yield from durations_in(inner, rule, (*place, index))
        elif (inner := _model(info.annotation)) and isinstance(value, Mapping):
            yield from durations_in(inner, value, place)
        elif inner and isinstance(value, list):
            for index, entry in enumerate(value):
                if isinstance(entry, Mapping):
                    yield from durations_in(inner, entry, (*place, index))


def _lasts(info: FieldInfo) -> bool:
    """Tell whether a setting is a duration, or an optional one."""
    parts = get_args(info.annotation)
    return _DURATION in info.metadata or any(_DURATION in getattr(part, "__metadata__", ()) for part in parts)


def _explained(root: type[BaseModel], detail: ErrorDetails, data: Mapping[str, Any]) -> ConfigProblem:
    place = _without_tag(detail["loc"])
    kind, context, stood = detail["type"], detail.get("ctx", {}), value_at(data, place)
    fields = {"stood": shown(stood)}
    if kind == "extra_forbidden":
        return _unknown(root, place, data)
    if kind == "missing":
        return ConfigProblem(place, "missing", {"name": Code(str(place[-1]))})
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_kind(place, data)
    if _is_duration(root, place, data):
        return ConfigProblem(place, "expected.duration", fields)
    if kind in ("literal_error", "enum"):
        return one_of(place, stood, _QUOTED.findall(str(context.get("expected", ""))))
    if kind in _EXPECTED:
        return ConfigProblem(place, f"expected.{_EXPECTED[kind]}", fields)
    if kind in _LIMITS:
        key, name = _LIMITS[kind]
        return ConfigProblem(place, f"expected.{key}", fields | {"limit": Code(str(context[name]))})
    if kind == "string_pattern_mismatch" and place[-1] == "name":
        if place[0] == "communities":
            return ConfigProblem(place, "expected.community_name", fields)
        return ConfigProblem(place, "expected.rule_name", fields)
    if Catalog.load().has(f"config.expected.{kind}"):
        return ConfigProblem(place, f"expected.{kind}", fields | {k: Code(str(v)) for k, v in context.items()})
    why = str(context["error"]) if kind == "value_error" else detail["msg"]
    return ConfigProblem(place, "expected.other", fields | {"why": why})


def one_of(place: Place, stood: object, choices: Sequence[str]) -> ConfigProblem:
    """Return the problem of a value that is not one of `choices`."""
    fields = {"stood": shown(stood), "choices": Code(", ".join(choices))}
    if near := _nearest(str(stood), choices):
        return ConfigProblem(place, "expected.one_of_near", fields | {"near": Code(near)})
    return ConfigProblem(place, "expected.one_of", fields)


def _unknown(root: type[BaseModel], place: Place, data: Mapping[str, Any]) -> ConfigProblem:
    key = str(place[-1])
    if _SECRET.search(key):
        kind = f"{place[0]}_secret" if place[0] in ("oidc", "email", "alerts", "antispam", "database") else "secret"
        return ConfigProblem(place, f"unknown.{kind}", {"name": Code(key)})
    model = _model_at(root, place[:-1], data)
    known = list(_keys(model)) if model else []
    if near := _nearest(key, known):
        return ConfigProblem(place, "unknown.near", {"name": Code(key), "near": Code(near)})
    if table := _home_of(root, key):
        return ConfigProblem(place, "unknown.elsewhere", {"name": Code(key), "table": Code(table)})
    return ConfigProblem(place, "unknown.none", {"name": Code(key), "known": Code(", ".join(sorted(known)))})


def _wrong_kind(place: Place, data: Mapping[str, Any]) -> ConfigProblem:
    rule = value_at(data, place)
    if not isinstance(rule, Mapping):
        return ConfigProblem(place, "expected.table", {"stood": shown(rule)})
    if "kind" not in rule:
        return ConfigProblem(place, "kind_missing", {"choices": Code(", ".join(KINDS))})
    return one_of((*place, "kind"), rule["kind"], list(KINDS))


def _is_duration(root: type[BaseModel], place: Place, data: Mapping[str, Any]) -> bool:
    model = _model_at(root, place[:-1], data)
    info = _field(model, str(place[-1])) if model and place else None
    return info is not None and _lasts(info)


def _model_at(root: type[BaseModel], place: Place, data: Mapping[str, Any]) -> type[BaseModel] | None:
    """Return the model whose keys stand at `place`."""
    if len(place) >= 2 and place[0] == "rules":
        rule = _rule_model(value_at(data, place[:2]))
        return _model_at(rule, place[2:], {}) if rule else None
    model: type[BaseModel] | None = root
    for step in place:
        if isinstance(step, int):  # an entry of a list of tables
            continue
        info = _field(model, step) if model else None
        model = _model(info.annotation) if info else None
    return model


def _rule_model(rule: object) -> type[BaseModel] | None:
    kind = rule.get("kind") if isinstance(rule, Mapping) else None
    return KINDS.get(kind) if isinstance(kind, str) else None


def _model(annotation: object) -> type[BaseModel] | None:
    if get_origin(annotation) is tuple:  # `[[oidc]]`
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        return next((model for part in get_args(annotation) if (model := _model(part))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    return next((info for name, info in model.model_fields.items() if (info.alias or name) == key), None)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    return (info.alias or name for name, info in model.model_fields.items())


def _home_of(root: type[BaseModel], key: str) -> str | None:
    """Return the table that does have a setting of this name."""
    for name, info in root.model_fields.items():
        inner = _model(info.annotation)
        if inner and key in _keys(inner):
            return f"[[{name}]]" if get_origin(info.annotation) is tuple else f"[{name}]"
    return "[[rules]]" if any(key in _keys(rule) for rule in KINDS.values()) else None


def _nearest(text: str, choices: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(text.lower(), list(choices), n=1, cutoff=0.6)), None)


def _without_tag(place: tuple[int | str, ...]) -> Place:
    """Remove the kind of a rule, which pydantic puts between its index and its key."""
    return (*place[:2], *place[3:]) if place[:1] == ("rules",) and len(place) > 2 else place


def _located(problem: ConfigProblem, lines: Mapping[Place, int]) -> ConfigProblem:
    line = problem.line or line_at(lines, problem.place)
    return ConfigProblem(problem.place, problem.key, problem.fields, line)


def _rendered(file: Path, problems: Sequence[ConfigProblem], data: Mapping[str, Any]) -> str:
    def text(key: str, **fields: object) -> str:
        return Catalog.load().text(cli_language(), f"config.{key}", **fields)

    if len(problems) == 1 and problems[0].key in ("missing_file", "unreadable"):
        return text(problems[0].key, **problems[0].fields)
    said = [text("heading", file=file, count=len(problems))]
    for problem in problems:
        what = text(problem.key, **problem.fields)
        place = named(problem.place, data)
        said.append(text(_shape(problem), line=Code(str(problem.line)), place=Code(place), what=what))
    return "\n".join(said)


def _shape(problem: ConfigProblem) -> str:
    if problem.line is None:
        return "problem.nowhere"
    return "problem.at" if problem.place else "problem.line"


def named(place: Place, data: Mapping[str, Any]) -> str:
    """Return a place as people read it: `records.retention`, `rules."calm".mute_for`, `bot.operators[2]`."""
    written = ""
    for depth, step in enumerate(place):
        rule = value_at(data, place[: depth + 1]) if place[0] == "rules" and depth == 1 else None
        if isinstance(rule, Mapping) and isinstance(rule.get("name"), str):
            written += f'."{rule["name"]}"'
        elif isinstance(step, int):
            written += f"[{step + 1}]"
        else:
            written += f".{step}" if written else step
    return written
