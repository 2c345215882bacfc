"""Checks that concern several settings at once, or that a type cannot state.

Rules kept here:
- A setting that already has a problem is left out, so that one mistake is told once.
- The rest is still checked, so that every problem is told at once.

Left to others: types and single values (`config.py`, the models), words (the message files).
"""

import contextlib
import copy
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from bot.texts.catalog import LANGUAGES
from moderation.policy import (
    GRADES,
    CaseSettings,
    Costs,
    CreditSettings,
    DossierSettings,
    JoinSettings,
    ListSettings,
    MemberLimitSettings,
    NewcomerSettings,
    PublishedList,
    RoomVerification,
    RuleBase,
    RuleSettings,
    StrictSettings,
    TierSettings,
    VerificationSettings,
)
from moderation.values.durations import DAY_MS
from moderation.values.events import Where
from moderation.values.levels import REACHES, Level, Method
from moderation.values.notices import Code, Span

from .alerts import alert_problems
from .antispam import antispam_problems
from .errors import ConfigProblem, durations_in, explain, one_of, shown, value_at
from .oidc import console_problems, oidc_problems
from .plugins import plugin_problems
from .policy_server import policy_server_problems
from .shards import shard_problems
from .toml_lines import Place
from .verification import email_problems

MOST_RULES = 4_000_000  # bytes; a line of the log has 4 MiB at most
RETENTION_FLOOR_MS = 183 * DAY_MS  # any six months
_RULE: TypeAdapter[RuleBase] = TypeAdapter(RuleSettings)
_RETENTION: Place = ("records", "retention")
_COMPARISONS = ("order", "outlives_records")
_COMPARED_WITH = ("credit", "records")
_LEVELS = ("write", "manage", "found")
_ROOM_BEGINS = ("*", "?", "[", "!", "G-")  # how a glob that can match a room id or code begins


def problems_across(
    root: type[BaseModel], data: Mapping[str, Any], known: Sequence[ConfigProblem]
) -> list[ConfigProblem]:
    """Return the problems of `data` beyond those already `known`."""
    blunt = _without_unit(root, data)
    spoilt = [*known, *blunt]
    sound = _without(data, {problem.place for problem in spoilt})
    tables = _tables(root, sound)
    found = [
        *_credit(tables["credit"]),
        *_tiers(tables["tiers"], tables["credit"]),
        *_kept_long_enough(tables, data),
        *_verification(tables["verification"], _community_names(data)),
        *_limits(tables["member_limits"], tables["dossiers"], _community_names(data)),
        *_newcomers(tables["newcomers"], _community_names(data)),
        *_lists(tables["lists"], _community_names(data)),
        *_joins(tables["joins"], _community_names(data)),
        *_anchors(data.get("anchors"), _community_names(data)),
        *_communities(sound.get("communities")),
        *oidc_problems(data),
        *console_problems(data),
        *email_problems(data),
        *alert_problems(data),
        *antispam_problems(data),
        *plugin_problems(data),
        *policy_server_problems(data),
        *shard_problems(data),
        *_names(data),
        *_files_fetched(data),
        *_can_hold(data),
        *_fit_a_record(data),
        *rule_problems(sound),
    ]
    # A faulty setting was replaced by its default, so nothing can be compared with it.
    guessed = {p.place[0] for p in spoilt if p.place and not p.key.startswith("unknown.")}
    return blunt + [p for p in found if p.key not in _COMPARISONS or not guessed & {p.place[0], *_COMPARED_WITH}]


def _without_unit(root: type[BaseModel], data: Mapping[str, Any]) -> list[ConfigProblem]:
    """Return the problems of durations that are numbers without a unit."""
    return [
        ConfigProblem(place, "expected.duration", {"stood": shown(value)})
        for place in durations_in(root, data)
        if isinstance(value := value_at(data, place), int)
    ]


def rule_problems(data: Mapping[str, Any]) -> list[ConfigProblem]:
    """Return the problems of the rules in `data` that no type can state."""
    names = _community_names(data)
    return [problem for place, rule in _rules(data) for problem in _rule(place, rule, names)]


def _without(data: Mapping[str, Any], places: Iterable[Place]) -> dict[str, Any]:
    """Return a copy of `data` with nothing at `places`; a list keeps its length."""
    sound = copy.deepcopy(dict(data))
    for place in sorted((p for p in places if p), key=len, reverse=True):
        around = value_at(sound, place[:-1]) if len(place) > 1 else sound
        if isinstance(around, dict):
            around.pop(place[-1], None)
        elif isinstance(around, list) and place[-1] in range(len(around)):
            around[int(place[-1])] = None
    return sound


def _tables(root: type[BaseModel], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return every table that has defaults, as its model; None if it is not valid."""
    tables: dict[str, Any] = {}
    for name in (
        "records",
        "credit",
        "tiers",
        "cases",
        "verification",
        "member_limits",
        "dossiers",
        "newcomers",
        "lists",
        "joins",
    ):
        model = root.model_fields[name].annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        try:
            tables[name] = model.model_validate(data.get(name, {}))
        except ValidationError:
            tables[name] = None
    return tables


def _rules(data: Mapping[str, Any]) -> Iterator[tuple[Place, RuleBase]]:
    rules = data.get("rules", ())
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        with contextlib.suppress(ValidationError):
            yield ("rules", index), _RULE.validate_python(rule)


def _credit(credit: CreditSettings | None) -> Iterator[ConfigProblem]:
    if credit is None:
        return
    yield from _at_least(("credit",), credit, {"start": 0, "ceiling": 1, "incident_limit": 1})
    yield from _at_least(("credit",), credit, {"second_percent": 100, "further_percent": 100})
    yield from _at_least(("credit", "costs"), credit.costs, dict.fromkeys(GRADES, 0))
    if credit.start > credit.ceiling:
        yield _order(("credit", "start"), credit.start, "start <= ceiling")
    if not _rising(credit.costs):
        yield _order(("credit", "costs"), credit.costs.minor, "minor <= moderate <= serious <= severe")


def _tiers(tiers: TierSettings | None, credit: CreditSettings | None) -> Iterator[ConfigProblem]:
    if tiers is None:
        return
    steps = (tiers.a, tiers.b, tiers.c, tiers.d)
    for name, (upper, lower) in zip("bcd", pairwise(steps), strict=True):
        if upper <= lower:
            yield _order(("tiers", name), lower, "a > b > c > d > 0")
    if tiers.d <= 0:
        yield _order(("tiers", "d"), tiers.d, "a > b > c > d > 0")
    if credit is None:
        return
    if tiers.a > credit.ceiling:
        yield _order(("tiers", "a"), tiers.a, "a <= credit.ceiling")
    if not 0 <= tiers.manage_from <= credit.ceiling:
        yield _order(("tiers", "manage_from"), tiers.manage_from, "0 <= manage_from <= credit.ceiling")


def _kept_long_enough(tables: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Check that records outlive all that rests on them: entries of credit, and the right to appeal."""
    records, credit = tables["records"], tables["credit"]
    cases: CaseSettings | None = tables["cases"]
    if records is None:
        return
    if records.retention < RETENTION_FLOOR_MS:
        yield ConfigProblem(_RETENTION, "retention_floor", {"stood": shown(value_at(data, _RETENTION))})
        return
    lasting: list[tuple[Place, int]] = []
    if credit:
        lasting.append((("credit", "expires_after"), credit.expires_after))
    if cases:
        lasting.append((("cases", "appeal_within"), cases.appeal_within))
    for place, lasts in lasting:
        if lasts > records.retention:
            fields = {"stood": Span(lasts), "kept": Span(records.retention)}
            yield ConfigProblem(place, "outlives_records", fields)


def _verification(verification: VerificationSettings | None, names: Collection[str]) -> Iterator[ConfigProblem]:
    if verification is None:
        return
    yield from _at_least(("verification",), verification, {"vouches_per_manager": 0})
    above: Place = ("verification",)
    yield from _reachable(above, verification, verification.methods)
    for index, own in enumerate(verification.rooms):
        place: Place = (*above, "rooms", index)
        yield from _globs((*place, "rooms"), own.rooms, names)
        levels = own if own.methods is None else _inherited(own, verification)
        yield from _reachable(place, levels, _methods(own, verification))


def _methods(own: RoomVerification, general: VerificationSettings) -> tuple[Method, ...]:
    return general.methods if own.methods is None else own.methods


def _inherited(own: RoomVerification, general: VerificationSettings) -> RoomVerification:
    """Add the levels that hold for all rooms: they must be reachable by other methods, too."""
    levels = {name: getattr(general, name) for name in _LEVELS if getattr(own, name) is None}
    return own.model_copy(update=levels)


def _reachable(place: Place, settings: BaseModel, methods: Sequence[Method]) -> Iterator[ConfigProblem]:
    """Check that the methods that count can reach each level: otherwise it would keep everybody out."""
    reach = max((REACHES[method] for method in methods), default=Level.NONE)
    for name in _LEVELS:
        level = getattr(settings, name)
        if level is not None and level > reach:
            named = Code(", ".join(methods) or "[]")
            fields = {"stood": shown(level), "methods": named, "reach": int(reach)}
            yield ConfigProblem((*place, name), "level_unreachable", fields)


def _limits(
    members: MemberLimitSettings | None, dossiers: DossierSettings | None, names: Collection[str]
) -> Iterator[ConfigProblem]:
    """Check limits for which 0 means "no limit" and "never"."""
    if members is not None:
        yield from _at_least(("member_limits",), members, {"members": 0, "founded": 0, "joined": 0})
        for index, own in enumerate(members.rooms):
            yield from _at_least(("member_limits", "rooms", index), own, {"members": 0})
            yield from _globs(("member_limits", "rooms", index, "rooms"), own.rooms, names)
    if dossiers is not None:
        yield from _at_least(("dossiers",), dossiers, {"serious": 0, "severe": 0})


def _anchors(anchors: object, names: Collection[str]) -> Iterator[ConfigProblem]:
    """Check that a witness comes with the key that verifies what it says."""
    if not isinstance(anchors, Mapping):
        return
    for name, other in (("witness_url", "witness_vkey"), ("witness_vkey", "witness_url")):
        if name in anchors and not anchors.get(other):
            yield ConfigProblem(("anchors", name), "not_alone", {"other": Code(other)})
    yield from _globs(("anchors", "rooms"), anchors.get("rooms"), names)


def _communities(communities: object) -> Iterator[ConfigProblem]:
    """Check that communities consist of rooms the operator chose, not of names that the people of a room choose."""
    named = communities.get("named", ()) if isinstance(communities, Mapping) else ()
    first: dict[str, int] = {}
    for index, each in enumerate(named if isinstance(named, list) else ()):
        if not isinstance(each, Mapping):
            continue
        place: Place = ("communities", "named", index)
        name = each.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            fields = {"name": Code(name), "first": first[name] + 1}
            yield ConfigProblem((*place, "name"), "community_twice", fields)
        yield from _no_names((*place, "rooms"), each.get("rooms"))
        if each.get("adopt", "off") != "off" and not each.get("space"):
            yield ConfigProblem((*place, "adopt"), "not_alone", {"other": Code("space")})


def _no_names(place: Place, rooms: object) -> Iterator[ConfigProblem]:
    for index, room in enumerate(rooms if isinstance(rooms, list) else ()):
        if isinstance(room, str) and not room.startswith(_ROOM_BEGINS):
            yield ConfigProblem((*place, index), "expected.community_room", {"stood": shown(room)})


def _community_names(data: Mapping[str, Any]) -> set[str]:
    communities = data.get("communities")
    named = communities.get("named") if isinstance(communities, Mapping) else None
    return {str(each.get("name")) for each in named if isinstance(each, Mapping)} if isinstance(named, list) else set()


def _lists(lists: ListSettings | None, names: Collection[str]) -> Iterator[ConfigProblem]:
    """Check that each list has its own name, and that its rooms can match."""
    first: dict[str, int] = {}
    for index, each in enumerate(lists.watch if lists is not None else ()):
        place: Place = ("lists", "watch", index)
        if first.setdefault(each.name, index) != index:
            fields = {"name": Code(each.name), "first": first[each.name] + 1}
            yield ConfigProblem((*place, "name"), "list_twice", fields)
        yield from _globs((*place, "rooms"), each.rooms, names)
    yield from _own_lists(lists.publish if lists is not None else (), names)


def _own_lists(lists: Sequence[PublishedList], names: Collection[str]) -> Iterator[ConfigProblem]:
    first: dict[str, int] = {}
    for index, each in enumerate(lists):
        if first.setdefault(each.name, index) != index:
            fields = {"name": Code(each.name), "first": first[each.name] + 1}
            yield ConfigProblem(("lists", "publish", index, "name"), "list_twice", fields)
        yield from _globs(("lists", "publish", index, "rooms"), each.rooms, names)


def _newcomers(newcomers: NewcomerSettings | None, names: Collection[str]) -> Iterator[ConfigProblem]:
    if newcomers is not None:
        yield from _globs(("newcomers", "rooms"), newcomers.rooms, names)


def _joins(joins: JoinSettings | None, names: Collection[str]) -> Iterator[ConfigProblem]:
    if joins is not None:
        yield from _globs(("joins", "rooms"), joins.rooms, names)


def _globs(place: Place, rooms: object, names: Collection[str]) -> Iterator[ConfigProblem]:
    """Check that each of `rooms` can match a room: by a glob, or by one of the `names` of communities."""
    for index, room in enumerate(rooms if isinstance(rooms, Sequence) and not isinstance(rooms, str) else ()):
        if isinstance(room, str) and room not in names and not room.startswith(_ROOM_BEGINS):
            yield ConfigProblem((*place, index), "expected.room", {"stood": shown(room)})


def _names(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Check that a name belongs to one rule, since cases and credit refer to a rule by its name."""
    first: dict[str, int] = {}
    rules = data.get("rules", ())
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        name = rule.get("name") if isinstance(rule, Mapping) else None
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield ConfigProblem(("rules", index, "name"), "name_twice", {"name": Code(name), "first": first[name] + 1})


def _fit_a_record(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Check that the rules with their lists can be recorded, as every policy is: as text in one line of the log."""
    rules = data.get("rules", ())
    size = len(
        json.dumps(json.dumps(rules, ensure_ascii=False, default=str), ensure_ascii=False).encode(errors="replace")
    )
    if size > MOST_RULES:
        fields = {"size": f"{size / 1e6:.1f}", "most": f"{MOST_RULES / 1e6:.1f}"}
        yield ConfigProblem(("rules",), "rules_large", fields)


def _can_hold(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
    """Check that something asks before delivery if a rule holds messages back until somebody decides."""
    if value_at(data, ("policy_server", "server_name")) or value_at(data, ("antispam", "listen")):
        return
    for place, rule in _rules(data):
        if rule.interim == "hold":
            yield ConfigProblem((*place, "interim"), "hold_without_asking", {"stood": shown(rule.interim)})


def _files_fetched(data: Mapping[str, Any]) -> Iterator[ConfigProblem]:
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
    yield from _globs((*place, "rooms"), rule.rooms, names)


def _at_least(above: Place, settings: BaseModel, floors: Mapping[str, int]) -> Iterator[ConfigProblem]:
    for name, floor in floors.items():
        value = getattr(settings, name)
        if value < floor:
            fields = {"stood": shown(value), "limit": Code(str(floor))}
            yield ConfigProblem((*above, name), "expected.at_least", fields)


def _order(place: Place, value: int, order: str) -> ConfigProblem:
    return ConfigProblem(place, "order", {"stood": shown(value), "order": Code(order)})


def _rising(costs: Costs) -> bool:
    return all(lower <= upper for lower, upper in pairwise(costs.of(grade) for grade in GRADES))


class _Rules(StrictSettings):
    rules: tuple[RuleSettings, ...]


def checked_rule(rule: Mapping[str, Any]) -> tuple[RuleSettings | None, tuple[ConfigProblem, ...]]:
    """Return a rule written in chat, or what is wrong with it; `rule` as it would stand in `[[rules]]`."""
    data = {"rules": [dict(rule)]}
    problems = _without_unit(_Rules, data)
    found: RuleSettings | None = None
    try:
        (found,) = _Rules.model_validate_json(json.dumps(data), strict=True, by_alias=True, by_name=False).rules
    except ValidationError as error:
        problems += explain(_Rules, error, data)
    problems += rule_problems(data)
    return (None if problems else found), tuple(problems)
