"""set: what a room's owner chooses for it, within the operator's limits; without words, show what holds and why."""

from collections.abc import Callable, Sequence
from typing import get_args

from bot.texts.catalog import LANGUAGES, language_named
from bot.texts.setting_lines import setting_lines
from moderation.duty.responsibility import require
from moderation.model.actions.base import Action
from moderation.model.actions.cards import EditCard
from moderation.model.actions.telling import Retell
from moderation.model.facts import Fact, LanguageChosen, RoomSettingChanged
from moderation.people.verification import Asks, room_demands
from moderation.policy import Below, Chosen, Held
from moderation.rooms.join_waves import MEASURES
from moderation.values.errors import Refused
from moderation.values.ids import CaseNumber
from moderation.values.levels import REACHES
from moderation.values.notices import Code, Line, Phrase, RoomName, line
from storage import queries

from .invocation import Call, Command, Reply
from .room import OFF

DEFAULT, ON = ("default", "默认"), ("on", "开", "开启")
MOST_CARDS = 50  # that are written again in a new language
SETTINGS: tuple[str, ...] = get_args(Chosen)
HELD: tuple[str, ...] = get_args(Held)
_UNSET = "-"


async def set_(call: Call) -> Reply:
    """Show the settings, or choose one."""
    name, words = call.given.word.lower(), call.given.text.lower().split()
    if not name:
        head, setup = line("set.head", room=RoomName(call.group.room)), call.setup
        shown = setting_lines(call.group, setup.configured, language=setup.language, digest=setup.digest)
        return Reply((head, *shown, line("set.how")), private=True)
    if name not in SETTINGS:
        raise Refused("error.set.what", given=name[:40], known=Code(", ".join(SETTINGS)))
    require("set", call.caller, call.group, call.policy)
    if name not in call.setup.configured.groups.owners_set:
        raise Refused("error.set.operators", setting=Code(name))
    if not words:
        raise Refused("error.set.value", setting=Code(name), known=Code(", ".join(_VALUES[name](call))))
    fact = _SET[name](call, words)
    retold = await retelling(call) if isinstance(fact, LanguageChosen) else ()
    return Reply((_done(call, name, fact),), (fact,), (*call.gone(), *retold), private=True)


async def retelling(call: Call) -> tuple[Action, ...]:
    """Return the actions that say again, in a new language, what stands in the room, its desk and its waiting cards."""
    waiting = await queries.waiting_cases(call.db, [call.group.room], MOST_CARDS)
    return (Retell(room=call.group.room), *(EditCard(room=call.group.room, n=CaseNumber(each.n)) for each in waiting))


def _done(call: Call, name: str, fact: Fact) -> Line:
    room = RoomName(call.group.room)
    if isinstance(fact, LanguageChosen):
        spoken = fact.language or call.setup.language
        return line("set.done.language", room=room, spoken=Phrase(f"language.{spoken}"))
    return line(f"set.done.{name}", room=room)


def _language(call: Call, words: list[str]) -> Fact:
    wanted, *more = words
    _nothing_more(more)
    language = "" if wanted in DEFAULT else language_named(wanted)
    if not language and wanted not in DEFAULT:
        raise Refused("error.language", given=wanted[:20], known=", ".join((*LANGUAGES, DEFAULT[0])))
    return LanguageChosen(room=call.group.room, on=call.on, language=language, by=call.caller)


def _verify(call: Call, words: list[str]) -> Fact:
    level, *more = words
    if level in DEFAULT:
        _nothing_more(more)
        return _changed(call, "verify", _UNSET)
    operators, reach = _operators(call), _reach(call)
    known = Code(", ".join(_levels(call)))
    if level not in ("1", "2", "3"):
        raise Refused("error.set.level", given=level[:20], known=known)
    if int(level) > reach:
        raise Refused("error.set.reach", level=int(level), reach=int(reach), known=known)
    below, *rest = more or ["remind" if operators.below == "off" else operators.below]
    _nothing_more(rest)
    ways = [each for each in get_args(Below) if each != "off"]
    if below not in ways:
        raise Refused("error.set.below", known=Code(", ".join(ways)))
    return _changed(call, "verify", f"{level}-{below}")


def _operators(call: Call) -> Asks:
    return room_demands(call.setup.configured.verification, call.group.room, call.group.code)


def _reach(call: Call) -> int:
    """Return the highest level that the ways to be verified which count in the room can reach."""
    return max((REACHES[method] for method in _operators(call).methods), default=0)


def _levels(call: Call) -> list[str]:
    return [*map(str, range(1, _reach(call) + 1)), DEFAULT[0]]


def _set_digest(call: Call, words: list[str]) -> Fact:
    wanted, *more = words
    _nothing_more(more)
    if wanted not in (*ON, *OFF, *DEFAULT):
        raise Refused("error.set.on-off")
    if wanted not in OFF and not call.setup.digest:
        raise Refused("error.set.no-digest")
    return _changed(call, "digest", "off" if wanted in OFF else _UNSET)


def _newcomers(call: Call, words: list[str]) -> Fact:
    if words in ([each] for each in DEFAULT):
        return _changed(call, "newcomers", _UNSET)
    unknown = next((word for word in words if word not in HELD), None)
    if unknown is not None:
        raise Refused("error.set.newcomers", given=unknown[:20], known=Code(", ".join((*HELD, DEFAULT[0]))))
    return _changed(call, "newcomers", "+".join(each for each in HELD if each in words))


def _joins(call: Call, words: list[str]) -> Fact:
    wanted, *more = words
    _nothing_more(more)
    if wanted not in (*MEASURES, *DEFAULT):
        raise Refused("error.set.below", known=Code(", ".join((*MEASURES, DEFAULT[0]))))
    if wanted in MEASURES and not call.setup.configured.joins.counts:
        raise Refused("error.set.no-joins")
    return _changed(call, "joins", _UNSET if wanted in DEFAULT else wanted)


def _changed(call: Call, setting: Chosen, value: str) -> RoomSettingChanged:
    return RoomSettingChanged(room=call.group.room, on=call.on, setting=setting, value=value, by=call.caller)


def _nothing_more(words: list[str]) -> None:
    if words:
        raise Refused("error.superfluous", words=" ".join(words)[:60])


_VALUES: dict[str, Callable[[Call], Sequence[str]]] = {
    "language": lambda _call: (*LANGUAGES, DEFAULT[0]),
    "verify": _levels,
    "digest": lambda _call: (ON[0], OFF[0], DEFAULT[0]),
    "newcomers": lambda _call: (*HELD, DEFAULT[0]),
    "joins": lambda _call: (*MEASURES, DEFAULT[0]),
}
_SET: dict[str, Callable[[Call, list[str]], Fact]] = {
    "language": _language,
    "verify": _verify,
    "digest": _set_digest,
    "newcomers": _newcomers,
    "joins": _joins,
}

SUBJECT = "room"
COMMANDS = (Command("set", "manager", "word? text*", set_, wording=("error.set",)),)
