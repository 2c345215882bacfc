"""help, status, who, rules, key, lang: what anybody may ask."""

from dataclasses import replace

from bot.texts import measure_lines
from bot.texts.catalog import LANGUAGES, language_named
from bot.texts.list_lines import ban_list_lines, list_lines
from bot.texts.newcomer_lines import newcomer_lines
from bot.texts.power_lines import power_lines
from bot.texts.protection_lines import protections
from bot.texts.spared_lines import spared_lines
from bot.texts.wave_lines import removal_lines
from moderation.duty.responsibility import is_manager, is_operator, may
from moderation.model.facts import LanguageChosen
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.notices import Code, Line, Phrase, RoomName, RuleText, Span, Who, line
from storage import queries

from .invocation import Call, Command, Reply
from .policy import asking_lines
from .rights import must_have, which_room
from .set import retelling

MAX_NAMES = 50
ALL = ("all", "全部")
ROOM = ("room", "房间")


async def help_(call: Call) -> Reply:
    """Show the commands that the caller needs most, all that they may give (`help all`), or how one is written."""
    prefix = call.setup.prefix
    wanted = call.given.word.removeprefix(prefix).lower()
    if call.group.purpose == "desk":  # of several rooms, which the same people run
        call = replace(call, group=await call.setup.knowledge.room(call.db, call.here.serves[0]) or call.group)
    manages = await _manages_something(call)
    usable = _usable(call, manages=manages)
    if wanted and wanted not in ALL:
        return Reply(_one(call, wanted, usable))
    if wanted:
        head = line("help.all", help=Code(f"{prefix}help mute"))
        return Reply((head, *(each.short(prefix) for each in usable)), private=True)
    shown = [each for each in usable if each.first and (each.who == "manager") == manages]
    foot = line("help.more", all=Code(f"{prefix}help {ALL[0]}"), one=Code(f"{prefix}help {shown[0].name}"))
    return Reply((line("help.head"), *(each.short(prefix) for each in shown), foot), private=True)


def _usable(call: Call, *, manages: bool) -> list[Command]:
    """Return the commands that the caller may give, in the order in which they are shown."""
    roles = {"all", call.group.power.role(call.caller)}
    if is_operator(call.caller, call.policy):
        roles |= {"owner", "operator"}
    commands = dict.fromkeys(call.setup.commands.values())
    usable = (each for each in commands if (each.who == "everyone" or manages) and each.shown_to in roles)
    return [each for each in usable if _has_right(call, each)]


def _has_right(call: Call, command: Command) -> bool:
    """Tell whether the caller has the right that a command takes; where no group is meant, they may have it in one."""
    deed = command.deed
    return deed is None or call.group.purpose != "group" or may(deed, call.caller, call.group, call.policy)


async def _manages_something(call: Call) -> bool:
    if call.group.purpose == "group":
        return is_manager(call.caller, call.group, call.policy)
    return is_operator(call.caller, call.policy) or bool((await call.context(call.caller)).subject.manages)


def _one(call: Call, wanted: str, usable: list[Command]) -> tuple[Line, ...]:
    command = call.setup.commands.get(wanted)
    if command is None:
        raise Refused(
            "error.unknown", command=Code(call.setup.prefix + wanted[:40]), help=Code(f"{call.setup.prefix}help")
        )
    not_yours = () if command in usable else (line("help.not-yours"),)
    return (command.short(call.setup.prefix), *command.how(), *not_yours)


async def status(call: Call) -> Reply:
    """Show the state of the room."""
    room = call.group
    numbers = await queries.room_numbers(call.db, room.room)
    lines = [
        line("status.room", room=RoomName(room.room), condition=Phrase(f"condition.{room.condition}")),
        line("status.numbers", records=numbers.records, members=numbers.members, open=numbers.open_cases),
    ]
    lines += measure_lines.in_force(await queries.measures_of_room(call.db, room.room))
    lines += protections(call.policy, room)
    lines += await asking_lines(call)
    lines += list_lines(call.setup.lists.watches.values(), room, call.policy)
    lines += power_lines(room.power, call.setup.bot)
    return Reply(tuple(lines))


async def who(call: Call) -> Reply:
    """Show who answers for the room, and who is verified."""
    people = await queries.people_of(call.db, call.group.room, call.now_ms)
    owners = [p.user for p in people if p.role == "owner"]
    managers = [p.user for p in people if p.role == "manager"]
    verified = [p for p in people if p.verified]
    lines = [line("who.room", room=RoomName(call.group.room), count=len(people), verified=len(verified))]
    lines += [line("who.owner", who=Who(user)) for user in owners]
    lines += [line("who.manager", who=Who(user)) for user in managers[:MAX_NAMES]]
    lines += [line("who.verified", who=Who(p.user)) for p in verified[:MAX_NAMES]]
    if len(verified) > MAX_NAMES:
        lines.append(line("who.and-more", count=len(verified) - MAX_NAMES))
    return Reply(tuple(lines))


async def key(call: Call) -> Reply:
    """Show the key that the log is signed with."""
    receipt = Code(f"{call.setup.prefix}receipt")
    return Reply((line("key.shown", vkey=Code(call.setup.vkey)), line("key.use", receipt=receipt)))


async def rules(call: Call) -> Reply:
    """Show the rules that hold here."""
    names = [rule for rule in call.policy.rules if call.group.is_among(rule.rooms) and not rule.dry_run]
    room, lists = call.group, call.setup.lists.watches.values()
    of_all = (
        *newcomer_lines(call.policy, room),
        *removal_lines(call.policy, room),
        *ban_list_lines(lists, room),
    )
    if not (names or of_all):
        return Reply((line("rules.none", room=RoomName(call.group.room)),))
    lines = [line("rules.head", room=RoomName(call.group.room))]
    for rule in names:
        how = "hold" if rule.interim == "hold" else rule.decide
        lines.append(line(f"rules.one.{how}", rule=RuleText(rule.name), grade=Phrase(f"grade.{rule.grade}")))
        if rule.measure in ("kick", "ban"):
            lines.append(line(f"rules.brings.{rule.measure}", span=Span(rule.ban_for)))
        lines += spared_lines(rule.unless)
    return Reply((*lines, *of_all))


async def lang(call: Call) -> Reply:
    """Choose the caller's own language, or (`lang zh room`, by a manager) the room's."""
    wanted = language_named(call.given.word)
    for_room = call.given.reason.lower() in ROOM
    if not wanted:
        raise Refused("error.language", given=call.given.word[:20], known=", ".join(LANGUAGES))
    if for_room and call.group.purpose != "group":
        raise await which_room(call, f"lang {wanted} {ROOM[0]}")
    if for_room:
        await must_have(call, "language")
        chosen = LanguageChosen(room=call.group.room, on=call.on, language=wanted, by=call.caller)
        return Reply((line("lang.room", spoken=Phrase(f"language.{wanted}")),), (chosen,), await retelling(call))
    if call.given.reason:
        raise Refused("error.superfluous", words=call.given.reason[:60])
    own = LanguageChosen(room=call.group.room, on=call.on, language=wanted, subject=UserId(call.caller), by=call.caller)
    return Reply((line("lang.own"),), (own,))


SUBJECT = "asking"
COMMANDS = (
    Command("help", "everyone", "word?", help_, anywhere=True),
    Command("status", "everyone", "", status, inside=True),
    Command("who", "everyone", "", who, inside=True),
    Command("rules", "everyone", "", rules, inside=True, first=True),
    Command("key", "everyone", "", key, anywhere=True),
    Command("lang", "everyone", "word reason*", lang, aliases=("language", "语言"), anywhere=True),
)
