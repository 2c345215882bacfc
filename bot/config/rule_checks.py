"""Checks of rules that no type can state: their names, rooms and languages, and what they need of other settings."""

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from bot.texts.catalog import LANGUAGES
from moderation.policy import (
    RuleBase,
    RuleSettings,
    StrictSettings,
)
from moderation.values.events import Where
from moderation.values.notices import Code

from .errors import ConfigProblem, durations_in, explain, one_of, shown, value_at
from .toml_lines import Place

MOST_RULES = 4_000_000  # bytes; a line of the log has 4 MiB at most
_RULE: TypeAdapter[RuleBase] = TypeAdapter(RuleSettings)
_ROOM_BEGINS = ("*", "?", "[", "!", "G-")  # how a glob that can match a room id or code begins


def without_unit(root: type[BaseModel], data: Mapping[str, Any]) -> list[ConfigProblem]:
    """Return the problems of durations that are numbers without a unit."""
    return [
        ConfigProblem(place, "expected.duration", {"stood": shown(value)})
        for place in durations_in(root, data)
        if isinstance(value := value_at(data, place), int)
    ]


def rule_problems(data: Mapping[str, Any]) -> list[ConfigProblem]:
    """Return the problems of the rules in `data` that no type can state."""
    names = community_names(data)
    return [problem for place, rule in _rules(data) for problem in _rule(place, rule, names)]


def _rules(data: Mapping[str, Any]) -> Iterator[tuple[Place, RuleBase]]:
    rules = data.get("rules", ())
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        with contextlib.suppress(ValidationError):
            yield ("rules", index), _RULE.validate_python(rule)


def no_names(place: Place, rooms: object) -> Iterator[ConfigProblem]:
    """Check that each of `rooms` can match a room by itself: names of communities do not count here."""
    for index, room in enumerate(rooms if isinstance(rooms, list) else ()):
        if isinstance(room, str) and not room.startswith(_ROOM_BEGINS):
            yield ConfigProblem((*place, index), "expected.community_room", {"stood": shown(room)})


def community_names(data: Mapping[str, Any]) -> set[str]:
    """Return the names of the communities in the settings."""
    communities = data.get("communities")
    named = communities.get("named") if isinstance(communities, Mapping) else None
    return {str(each.get("name")) for each in named if isinstance(each, Mapping)} if isinstance(named, list) else set()


def glob_problems(place: Place, rooms: object, names: Collection[str]) -> Iterator[ConfigProblem]:
    """Check that each of `rooms` can match a room: by a glob, or by one of the `names` of communities."""
    for index, room in enumerate(rooms if isinstance(rooms, Sequence) and not isinstance(rooms, str) else ()):
        if isinstance(room, str) and room not in names and not room.startswith(_ROOM_BEGINS):
            yield ConfigProblem((*place, index), "expected.room", {"stood": shown(room)})


def name_problems(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Check that a name belongs to one rule, since cases and credit refer to a rule by its name."""
    first: dict[str, int] = {}
    rules = data.get("rules", ())
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        name = rule.get("name") if isinstance(rule, Mapping) else None
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield ConfigProblem(("rules", index, "name"), "name_twice", {"name": Code(name), "first": first[name] + 1})


def fit_a_record(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Check that the rules with their lists can be recorded, as every policy is: as text in one line of the log."""
    rules = data.get("rules", ())
    size = len(
        json.dumps(json.dumps(rules, ensure_ascii=False, default=str), ensure_ascii=False).encode(errors="replace")
    )
    if size > MOST_RULES:
        fields = {"size": f"{size / 1e6:.1f}", "most": f"{MOST_RULES / 1e6:.1f}"}
        yield ConfigProblem(("rules",), "rules_large", fields)


def can_hold(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Check that something asks before delivery if a rule holds messages back until somebody decides."""
    if value_at(data, ("policy_server", "server_name")) or value_at(data, ("antispam", "listen")):
        return
    for place, rule in _rules(data):
        if rule.interim == "hold":
            yield ConfigProblem((*place, "interim"), "hold_without_asking", {"stood": shown(rule.interim)})


def files_fetched(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Check that files are fetched if a rule judges them."""
    if value_at(data, ("records", "media")) == "none":
        for place, rule in _rules(data):
            if rule.OF_FILES:
                yield ConfigProblem(
                    (*place, "kind"), "files_not_fetched", {"kind": shown(value_at(data, (*place, "kind")))}
                )


def _rule(place: Place, rule: RuleBase, names: Collection[str]) -> Iterator[ConfigProblem]:
    if rule.decide == "auto" and rule.interim != "none":
        yield ConfigProblem((*place, "interim"), "interim_without_manager", {"stood": shown(rule.interim)})
    for index, where in enumerate(rule.where):
        if where not in get_args(Where):
            yield one_of((*place, "where", index), where, get_args(Where))
    for language in rule.text:
        if language not in LANGUAGES:
            yield one_of((*place, "text", language), language, LANGUAGES)
    yield from glob_problems((*place, "rooms"), rule.rooms, names)


class _Rules(StrictSettings):
    rules: tuple[RuleSettings, ...]


def checked_rule(rule: Mapping[str, Any]) -> tuple[RuleSettings | None, tuple[ConfigProblem, ...]]:
    """Return a rule written in chat, or what is wrong with it; `rule` as it would stand in `[[rules]]`."""
    data = {"rules": [dict(rule)]}
    problems = without_unit(_Rules, data)
    found: RuleSettings | None = None
    try:
        (found,) = _Rules.model_validate_json(json.dumps(data), strict=True, by_alias=True, by_name=False).rules
    except ValidationError as error:
        problems += explain(_Rules, error, data)
    problems += rule_problems(data)
    return (None if problems else found), tuple(problems)
