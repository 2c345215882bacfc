"""rule list, add, remove, test: the rules of a room, including those that its managers write themselves.

Rules kept here:
- A rule is checked like one in the configuration, and its faults are told in the same words.
- The operator's rules cannot be changed from here. The operator says how many rules of its own a room may have, and how
  grave.
- A rule is tested outside the group, where nothing is judged: the words it should keep out do not belong in the group.

Left to others: reading what was written (`parse_rule.py`), when rules hold (`moderation/judge/room_rules.py`).
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping

from bot.config.errors import ConfigProblem
from bot.config.rule_checks import checked_rule
from bot.texts.spared_lines import spared_lines
from moderation.duty.responsibility import require
from moderation.judge.judge import broken_rules
from moderation.judge.room_rules import MOST_STEPS, compiled, own_rules, recorded, settings_of, too_heavy
from moderation.model.facts import RoomRuleChanged
from moderation.policy import GRADES, RuleSettings
from moderation.rooms.table_horizon import TRIAL_MS
from moderation.rules.base import REDACTING, InChat, against_author
from moderation.values.errors import Refused
from moderation.values.events import MessagePosted, Text
from moderation.values.ids import EventId
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, RuleText, Span, Who, line
from storage import queries
from storage.queries import RoomRule, Trial

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


_OFF = {"overruled": "room-rule.overruled", "heavy": "room-rule.heavy", "off": "room-rule.off"}


async def _list(call: Call) -> Reply:
    if call.given.text:
        raise Refused("error.superfluous", words=call.given.text[:60])
    own = await queries.rules_of_room(call.db, call.group.room)
    taken = {each.name for each in call.setup.configured.rules}
    heavy = too_heavy(own_rules([each.settings for each in own], call.setup.configured))
    operators = [each for each in call.setup.configured.rules if call.group.is_among(each.rooms)]
    tried = await _tried(call)
    lines = [said for each in operators for said in (_listed("room-rule.operators", each), *_in_detail(each, tried))]
    for kept in own:
        off = "overruled" if kept.name in taken else "heavy" if kept.name in heavy else ""
        lines += _own(kept, call, off if call.setup.configured.groups.own_rules else off or "off", tried)
    if not lines:
        return Reply((line("room-rule.none", room=RoomName(call.group.room)),), private=True)
    return Reply((line("room-rule.head", room=RoomName(call.group.room)), *lines), private=True)


async def _tried(call: Call) -> dict[str, Trial]:
    """Return what rules on trial would have found lately, by their names."""
    since = call.now_ms - TRIAL_MS
    return {each.rule: each for each in await queries.trials_of(call.db, call.group.room, since, call.now_ms + 1, 0)}


def _own(kept: RoomRule, call: Call, off: str, tried: Mapping[str, Trial]) -> tuple[Line, ...]:
    """Show a rule of the room; `off`: why it does not hold now, "" if it does."""
    settings = settings_of(kept.settings, call.setup.configured.groups.own_rules_class)
    if off:
        return (line(_OFF[off], name=settings.name, grade=Phrase(f"grade.{settings.grade}")),)
    by = line("room-rule.by", by=Who(kept.by), when=Moment(kept.at), values=_values(settings))
    return (_listed("room-rule.own", settings), *_in_detail(settings, tried), by)


def _listed(key: str, rule: RuleSettings) -> Line:
    return line(
        key,
        name=rule.name,
        state=Phrase("room-rule.state.trial" if rule.dry_run else "room-rule.state.on"),
        kind=Phrase(f"rule-kind.{rule.kind}"),
        grade=Phrase(f"grade.{rule.grade}"),
        measure=Phrase(f"rule-measure.{rule.measure}"),
        decides=Phrase(f"rule-decides.{rule.decide}"),
    )


def _in_detail(rule: RuleSettings, tried: Mapping[str, Trial]) -> Iterator[Line]:
    if rule.text and not rule.dry_run:  # members do not read it yet
        yield line("room-rule.words", words=RuleText(rule.name))
    yield from spared_lines(rule.unless)
    if rule.dry_run:
        found = tried.get(rule.name, Trial(rule.name, 0, 0, ()))
        yield line("room-rule.tried", span=Span(TRIAL_MS), count=found.count, people=found.people)


async def _add(call: Call) -> Reply:
    if not call.setup.configured.groups.own_rules:
        raise Refused("error.rule.off")
    found, problems = checked_rule(raw := written(call.given.text, call.group.language or call.setup.language))
    if found is None:
        said = [told for each in problems for told in _wrong(each)]
        return Reply((line("room-rule.wrong", rule=Code(str(raw["name"])[:40])), *said), private=True)
    await _must_fit(call, found)
    await _must_spare_most(call, found)
    added = RoomRuleChanged(
        room=call.group.room,
        on=call.on,
        step="added",
        rule=found.name,
        trial=int(found.dry_run),
        by=call.caller,
        settings=recorded(found),
    )
    done = _fields("room-rule.added-on-trial" if found.dry_run else "room-rule.added", found)
    return Reply((done, line("room-rule.next", rule=Code(found.name))), (added,), call.gone(), private=True)


def _wrong(problem: ConfigProblem) -> Iterator[Line]:
    """Say what is wrong, and in which setting."""
    at = [each for each in problem.place[2:] if isinstance(each, str)]  # after "rules" and the number of the rule
    if at:
        yield line("room-rule.wrong-at", setting=Code(" ".join(at).replace("_", "-")))
    yield line(f"config.{problem.key}", **problem.fields)  # type: ignore[arg-type]


async def _must_fit(call: Call, found: RuleSettings) -> None:
    """Raise `Refused` where the operator allows less, or the name is taken."""
    limits, own = call.setup.configured.groups, await queries.rules_of_room(call.db, call.group.room)
    if any(each.name == found.name for each in call.setup.configured.rules):
        raise Refused("error.rule.operators-name", rule=Code(found.name))
    if any(each.name == found.name for each in own):
        raise Refused("error.rule.there", rule=Code(found.name))
    if len(own) >= limits.own_rules:
        raise Refused("error.rule.many", limit=limits.own_rules)
    if len(_terms(found)) > limits.own_rules_terms:
        raise Refused("error.rule.long", count=len(_terms(found)), limit=limits.own_rules_terms)
    if found.measure == "kick":  # the third time it bans
        require("ban", call.caller, call.group, call.policy)
    if found.measure in REDACTING:  # else somebody could remove people by a rule who may not do so by hand
        require(against_author(found.measure) or "redact", call.caller, call.group, call.policy)
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
    return MessagePosted(
        room=call.group.room,
        event=EventId(""),
        sender=call.caller,
        sent_ms=call.now_ms,
        received_ms=call.now_ms,
        type="m.room.message",
        content={},
        texts=(Text("body", words),),
    )


async def _remove(call: Call) -> Reply:
    name = call.given.text.strip().lower()
    if not name:
        raise Refused("error.rule.name")
    own = {each.name: each for each in await queries.rules_of_room(call.db, call.group.room)}
    if name not in own:
        operators = any(each.name == name for each in call.setup.configured.rules)
        raise Refused("error.rule.operators" if operators else "error.rule.none", rule=Code(name[:40]))
    trial = settings_of(own[name].settings).dry_run
    gone = RoomRuleChanged(
        room=call.group.room, on=call.on, step="removed", rule=name, trial=int(trial), by=call.caller
    )
    done = line("room-rule.removed-on-trial" if trial else "room-rule.removed", rule=RuleText(name))
    return Reply((done,), (gone,), call.gone(), private=True)


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
    lines += [_fields(_hit(found.settings), found.settings, matched=hit.matched) for found, hit in hits]
    here = (each.settings for each in rules if call.group.is_among(each.settings.rooms))
    lines += [_fields("room-rule.untried", each) for each in here if not each.IN_WORDS]
    return Reply((*lines, line("room-rule.test-foot")), private=True)


def _hit(rule: RuleSettings) -> str:
    return "room-rule.hit-on-trial" if rule.dry_run else "room-rule.hit"


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
    """Return the settings of a rule of a room, as they can be written in chat."""
    terms, form = _terms(rule), rule.IN_CHAT or InChat()
    shown = [*terms[:MAX_SHOWN], *(["…"] if len(terms) > MAX_SHOWN else [])]
    kept = [name for name in form.values if getattr(rule, name) is not None]
    return ", ".join([*shown, *(f"{name.replace('_', '-')} {rule.in_chat(name)}" for name in kept)])


def _terms(rule: RuleSettings) -> tuple[str, ...]:
    """Return the values that a rule looks for or allows, of the kinds that can be written in chat."""
    return tuple(value for name in (rule.IN_CHAT.lists if rule.IN_CHAT else ()) for value in getattr(rule, name) or ())


_WHAT: dict[str, Callable[[Call], Awaitable[Reply]]] = {"list": _list, "add": _add, "remove": _remove, "test": _test}

# The others say themselves what to write.
_WORDING = tuple(f"error.rule.{key}" for key in ("what", "name", "kind", "quote", "nothing"))
SUBJECT = "room"
COMMANDS = (Command("rule", "manager", "word? text*", rule, wording=_WORDING),)
