"""rule list, add, remove, test: the rules of a room, including those that its managers write themselves.

Rules kept here:
- A rule is checked like one in the configuration, and its faults are told in the same words.
- The operator's rules cannot be changed from here. The operator says how many rules of its own a room may have, and how
  grave.
- A rule is tested outside the group, where nothing is judged: the words it should keep out do not belong in the group.

Left to others: reading what was written (`parse_rule.py`), when rules hold (`moderation/judge/room_rules.py`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.config.checks import checked_rule
from moderation.judge.judge import broken_rules
from moderation.judge.room_rules import MOST_STEPS, compiled, own_rules, recorded, settings_of, too_heavy
from moderation.model.facts import RoomRuleChanged
from moderation.policy import GRADES, RuleSettings
from moderation.values.errors import Refused
from moderation.values.events import MessagePosted, Text
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, RuleText, Who, line
from storage import queries
from storage.queries import RoomRule

from .info import applies
from .invocation import Call, Command, Reply
from .parse_rule import written

MAX_SHOWN = 12  # values of one rule
RECENT, FEWEST, NEARLY_ALL = 50, 5, 80  # messages looked at, the fewest that count, per cent of them


async def rule(call: Call) -> Reply:
    """Run one of the four, or list if none is named."""
    what = call.given.word.lower() or "list"
    run = _WHAT.get(what)
    if run is None:
        raise Refused("error.rule.what", given=what[:40])
    return await run(call)


async def _list(call: Call) -> Reply:
    if call.given.text:
        raise Refused("error.superfluous", words=call.given.text[:60])
    own = await queries.rules_of_room(call.db, call.group.room)
    taken = {each.name for each in call.setup.configured.rules}
    lines = [_fields("room-rule.operators", each) for each in call.setup.configured.rules if applies(each.rooms, call)]
    lines += [each for kept in own for each in _own(kept, call, overruled=kept.name in taken)]
    heavy = too_heavy(own_rules([each.settings for each in own], call.setup.configured))
    lines += [line("room-rule.heavy", rule=RuleText(name)) for name in sorted(heavy)]
    if not lines:
        return Reply((line("room-rule.none", room=RoomName(call.group.room)),), private=True)
    return Reply((line("room-rule.head", room=RoomName(call.group.room)), *lines), private=True)


def _own(kept: RoomRule, call: Call, *, overruled: bool) -> tuple[Line, ...]:
    if overruled or not call.setup.configured.groups.own_rules:
        return (line("room-rule.overruled" if overruled else "room-rule.off", rule=RuleText(kept.name)),)
    settings = settings_of(kept.settings, call.setup.configured.groups.own_rules_class)
    return (
        _fields("room-rule.own", settings),
        line("room-rule.by", by=Who(kept.by), when=Moment(kept.at), values=_values(settings)),
    )


async def _add(call: Call) -> Reply:
    if not call.setup.configured.groups.own_rules:
        raise Refused("error.rule.off")
    found, problems = checked_rule(raw := written(call.given.text))
    if found is None:
        said = (line(f"config.{each.key}", **each.fields) for each in problems)  # type: ignore[arg-type]
        return Reply((line("room-rule.wrong", rule=Code(str(raw["name"])[:40])), *said), private=True)
    await _must_fit(call, found)
    await _must_spare_most(call, found)
    added = RoomRuleChanged(
        room=call.group.room, on=call.on, step="added", rule=found.name, by=call.caller, settings=recorded(found)
    )
    done = _fields("room-rule.added", found)
    return Reply((done, line("room-rule.next", rule=Code(found.name))), (added,), call.gone(), private=True)


async def _must_fit(call: Call, found: RuleSettings) -> None:
    """Raise `Refused` where the operator allows less, or the name is taken."""
    limits, own = call.setup.configured.groups, await queries.rules_of_room(call.db, call.group.room)
    if any(each.name == found.name for each in call.setup.configured.rules):
        raise Refused("error.rule.operators-name", rule=Code(found.name))
    if any(each.name == found.name for each in own):
        raise Refused("error.rule.there", rule=Code(found.name))
    if len(own) >= limits.own_rules:
        raise Refused("error.rule.many", limit=limits.own_rules)
    if len(_listed(found)) > limits.own_rules_terms:
        raise Refused("error.rule.long", count=len(_listed(found)), limit=limits.own_rules_terms)
    found.must_suit_a_room()
    if found.name in too_heavy((*(settings_of(each.settings) for each in own), found)):
        raise Refused("error.rule.heavy", count=found.steps(), limit=MOST_STEPS)
    if GRADES.index(found.grade) > GRADES.index(limits.own_rules_class):
        heaviest = Phrase(f"grade.{limits.own_rules_class}")
        raise Refused("error.rule.class", heaviest=heaviest, typed=Code(limits.own_rules_class))


async def _must_spare_most(call: Call, found: RuleSettings) -> None:
    """Raise `Refused` if a rule matches nearly all that was said here lately: it would silence the room."""
    rules = compiled((recorded(found),), call.setup.configured)
    context = await call.context(call.caller)
    records = await queries.recent_messages(call.db, call.group.room, call.setup.bot, RECENT)
    said = [words for record in records if record != call.on and (words := call.setup.words(call.group.room, record))]
    matched = sum(bool(broken_rules(_saying(call, words), context, rules)) for words in said)
    if len(said) >= FEWEST and 100 * matched >= NEARLY_ALL * len(said):
        raise Refused("error.rule.nearly-all", count=matched, total=len(said))


def _saying(call: Call, words: str) -> MessagePosted:
    assert isinstance(call.event, MessagePosted)
    text = (Text("body", words),)
    return replace(call.event, texts=text, media=None, mentions=frozenset(), replaces=None)


async def _remove(call: Call) -> Reply:
    name = call.given.text.strip().lower()
    if not name:
        raise Refused("error.rule.name")
    if name not in {each.name for each in await queries.rules_of_room(call.db, call.group.room)}:
        operators = any(each.name == name for each in call.setup.configured.rules)
        raise Refused("error.rule.operators" if operators else "error.rule.none", rule=Code(name[:40]))
    gone = RoomRuleChanged(room=call.group.room, on=call.on, step="removed", rule=name, by=call.caller)
    return Reply((line("room-rule.removed", rule=RuleText(name)),), (gone,), call.gone(), private=True)


async def _test(call: Call) -> Reply:
    if call.here.purpose == "group":
        raise Refused("error.rule.test-here", room=call.group.room)
    if not call.given.text.strip():
        raise Refused("error.rule.nothing")
    text = _saying(call, call.given.text)
    rules = (*call.setup.rules, *compiled(call.group.rules, call.setup.configured))
    hits = broken_rules(text, await call.context(call.caller), rules)
    where = RoomName(call.group.room)
    lines = [line("room-rule.test", room=where)] if hits else [line("room-rule.test-none", room=where)]
    lines += [_fields("room-rule.hit", found.settings, matched=hit.matched) for found, hit in hits]
    here = (each.settings for each in rules if applies(each.settings.rooms, call))
    lines += [_fields("room-rule.untried", each) for each in here if not each.IN_WORDS]
    return Reply((*lines, line("room-rule.test-foot")), private=True)


def _fields(key: str, rule: RuleSettings, matched: str = "") -> Line:
    return line(
        key,
        rule=RuleText(rule.name),
        kind=Phrase(f"rule-kind.{rule.kind}"),
        grade=Phrase(f"grade.{rule.grade}"),
        measure=Phrase(f"rule-measure.{rule.measure}"),
        decides=Phrase(f"rule-decides.{rule.decide}"),
        matched=matched,
    )


def _values(rule: RuleSettings) -> str:
    values = _listed(rule)
    return ", ".join(values[:MAX_SHOWN]) + (" …" if len(values) > MAX_SHOWN else "")


def _listed(rule: RuleSettings) -> tuple[str, ...]:
    """Return the values that make up a rule, of the kinds that can be written in chat."""
    return tuple(value for name in (rule.IN_CHAT.lists if rule.IN_CHAT else ()) for value in getattr(rule, name))


_WHAT: dict[str, Callable[[Call], Awaitable[Reply]]] = {"list": _list, "add": _add, "remove": _remove, "test": _test}

_WORDING = tuple(f"error.rule.{key}" for key in ("what", "name", "kind", "word", "near-word", "quote", "nothing"))
SUBJECT = "room"
COMMANDS = (Command("rule", "manager", "word? text*", rule, wording=_WORDING),)
