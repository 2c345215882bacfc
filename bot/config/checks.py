"""Checks that concern several settings at once, or that a type cannot state.

Rules kept here:
- A setting that already has a problem is left out, so that one mistake is told once.
- The rest is still checked, so that every problem is told at once.

Left to others: types and single values (`config.py`, the models), words (the message files).
"""

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ValidationError

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
    TierSettings,
    VerificationSettings,
)
from moderation.values.durations import DAY_MS
from moderation.values.levels import REACHES, Level, Method
from moderation.values.notices import Code, Span

from .alerts import alert_problems
from .antispam import antispam_problems
from .errors import ConfigProblem, shown, value_at
from .oidc import console_problems, oidc_problems
from .plugins import plugin_problems
from .policy_server import policy_server_problems
from .rule_checks import (
    can_hold,
    community_names,
    files_fetched,
    fit_a_record,
    glob_problems,
    name_problems,
    no_names,
    rule_problems,
    without_unit,
)
from .shards import shard_problems
from .toml_lines import Place
from .verification import email_problems

RETENTION_FLOOR_MS = 183 * DAY_MS  # any six months
_RETENTION: Place = ("records", "retention")
_COMPARISONS = ("order", "outlives_records")
_COMPARED_WITH = ("credit", "records")
_LEVELS = ("write", "manage", "found")


def problems_across(
    root: type[BaseModel], data: Mapping[str, Any], known: Sequence[ConfigProblem]
) -> list[ConfigProblem]:
    """Return the problems of `data` beyond those already `known`."""
    blunt = without_unit(root, data)
    spoilt = [*known, *blunt]
    sound = _without(data, {problem.place for problem in spoilt})
    tables = _tables(root, sound)
    found = [
        *_credit(tables["credit"]),
        *_tiers(tables["tiers"], tables["credit"]),
        *_kept_long_enough(tables, data),
        *_verification(tables["verification"], community_names(data)),
        *_limits(tables["member_limits"], tables["dossiers"], community_names(data)),
        *_newcomers(tables["newcomers"], community_names(data)),
        *_lists(tables["lists"], community_names(data)),
        *_joins(tables["joins"], community_names(data)),
        *_anchors(data.get("anchors"), community_names(data)),
        *_communities(sound.get("communities")),
        *oidc_problems(data),
        *console_problems(data),
        *email_problems(data),
        *alert_problems(data),
        *antispam_problems(data),
        *plugin_problems(data),
        *policy_server_problems(data),
        *shard_problems(data),
        *name_problems(data),
        *files_fetched(data),
        *can_hold(data),
        *fit_a_record(data),
        *rule_problems(sound),
    ]
    # A faulty setting was replaced by its default, so nothing can be compared with it.
    guessed = {p.place[0] for p in spoilt if p.place and not p.key.startswith("unknown.")}
    return blunt + [p for p in found if p.key not in _COMPARISONS or not guessed & {p.place[0], *_COMPARED_WITH}]


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
        yield from glob_problems((*place, "rooms"), own.rooms, names)
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
            yield from glob_problems(("member_limits", "rooms", index, "rooms"), own.rooms, names)
    if dossiers is not None:
        yield from _at_least(("dossiers",), dossiers, {"serious": 0, "severe": 0})


def _anchors(anchors: object, names: Collection[str]) -> Iterator[ConfigProblem]:
    """Check that a witness comes with the key that verifies what it says."""
    if not isinstance(anchors, Mapping):
        return
    for name, other in (("witness_url", "witness_vkey"), ("witness_vkey", "witness_url")):
        if name in anchors and not anchors.get(other):
            yield ConfigProblem(("anchors", name), "not_alone", {"other": Code(other)})
    yield from glob_problems(("anchors", "rooms"), anchors.get("rooms"), names)


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
        yield from no_names((*place, "rooms"), each.get("rooms"))
        if each.get("adopt", "off") != "off" and not each.get("space"):
            yield ConfigProblem((*place, "adopt"), "not_alone", {"other": Code("space")})


def _lists(lists: ListSettings | None, names: Collection[str]) -> Iterator[ConfigProblem]:
    """Check that each list has its own name, and that its rooms can match."""
    first: dict[str, int] = {}
    for index, each in enumerate(lists.watch if lists is not None else ()):
        place: Place = ("lists", "watch", index)
        if first.setdefault(each.name, index) != index:
            fields = {"name": Code(each.name), "first": first[each.name] + 1}
            yield ConfigProblem((*place, "name"), "list_twice", fields)
        yield from glob_problems((*place, "rooms"), each.rooms, names)
    yield from _own_lists(lists.publish if lists is not None else (), names)


def _own_lists(lists: Sequence[PublishedList], names: Collection[str]) -> Iterator[ConfigProblem]:
    first: dict[str, int] = {}
    for index, each in enumerate(lists):
        if first.setdefault(each.name, index) != index:
            fields = {"name": Code(each.name), "first": first[each.name] + 1}
            yield ConfigProblem(("lists", "publish", index, "name"), "list_twice", fields)
        yield from glob_problems(("lists", "publish", index, "rooms"), each.rooms, names)


def _newcomers(newcomers: NewcomerSettings | None, names: Collection[str]) -> Iterator[ConfigProblem]:
    if newcomers is not None:
        yield from glob_problems(("newcomers", "rooms"), newcomers.rooms, names)


def _joins(joins: JoinSettings | None, names: Collection[str]) -> Iterator[ConfigProblem]:
    if joins is not None:
        yield from glob_problems(("joins", "rooms"), joins.rooms, names)


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
