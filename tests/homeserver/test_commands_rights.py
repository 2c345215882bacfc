"""Every command, said by everybody: done, refused and why, or left without an answer."""

import asyncio
from dataclasses import dataclass

from bot.commands.table import COMMANDS
from bot.demo.client import Client
from bot.messages.catalog import Catalog
from moderation.ids import RoomId
from tests.homeserver.served import RULES, Scene, ServedBot, Theatre, answer, ask, like, open_direct, told

# What managing takes is lost with one grave violation.
STRICT = (
    RULES
    + """
[credit]
costs = { minor = 1, moderate = 5, serious = 10, severe = 61 }
incident_limit = 61
quiet_before_recovery = "1h"
[tiers]
c = 30
"""
)

# Command -> the text that answers it when it is done. {case} and {victim} are a case and a person of one's own.
EVERYONE = {
    "help": "help.head",
    "help mute": "command.mute.short",
    "status {code}": "status.room",
    "who {code}": "who.room",
    "rules {code}": "rules.head",
    "credit {code}": "credit.now",
    "why {code}": "why.none",
    "appeal 9999 {code} why": "error.case.none",
    "report {code}": "error.report.reply",
    "lang xx {code}": "error.language",
    "receipt {code}": "error.receipt.reply",
    "mydata {code}": "own.mydata",
    "erase {code}": "own.erase.explain",
    "verify": "verify.level",
    "unvouch @nobody:localhost {code}": "error.unvouch.none",
    "duty {code}": "duty.head",
    "duty {victim} off {code}": "error.right.roster",
}
MANAGERS = {
    "cases {code}": "cases.head",
    "case {case} {code}": "card.head",
    "ack {case} {code}": "done.ack",
    "note {case} {code} seen": "done.note",
    "uphold {case} {code} yes": "decided.upheld",
    "dismiss {case} {code} no": "decided.dismissed",
    "credit {victim} {code}": "credit.now",
    "history {victim} {code}": "history.head",
    "warn {victim} {code}": "done.warn",
    "redact {code}": "error.redact.reply",
    "mute {victim} 1h {code}": "done-until.mute",
    "unmute {victim} {code}": "done.unmute",
    "vouch {victim} {code}": "done.vouch",
    "unvouch {victim} {code}": "done.unvouch",
    "kick {victim} {code}": "done.kick",
    "ban {victim} {code}": "done.ban",
    "unban {victim} {code}": "done.unban",
    "away 1h {code}": "away.until",
    "back {code}": "away.back",
    "readonly {code}": "error.missing.duration",
    "slow {code}": "error.pace.missing",
    "rule {code}": "room-rule.head",
    "set {code}": "set.head",
    "close {code}": "error.right.close",
    "reopen {code}": "error.right.reopen",
}
NOT_A_MANAGER = dict.fromkeys(MANAGERS, "error.right.manager") | {"credit {victim} {code}": "error.right.history"}
del NOT_A_MANAGER["unvouch {victim} {code}"]  # whoever vouched may take it back, manager or not any more
NOT_A_MANAGER |= {"away 1h {code}": "error.away.nothing", "back {code}": "error.away.not"}
# The roster is the owner's to write; who manages no group cannot be away from one.
OWNERS = {"duty {victim} off {code}": "error.roster.not-in"}
CLOSING = {"close {code}": "done.close", "reopen {code}": "done.reopen"}  # one after the other, so by one of them only
OPERATORS = OWNERS | {command: NOT_A_MANAGER[command] for command in ("away 1h {code}", "back {code}")}
NOT_IN_THE_ROOM = {
    command: "error.group.unknown" if "{code}" in command else done for command, done in (EVERYONE | MANAGERS).items()
}


@dataclass
class Speaker:
    """Somebody, where they speak with the bot, and what they should be answered."""

    name: str
    who: Client
    expected: dict[str, str]
    victim: Client
    case: int
    room: RoomId


async def test_every_command_is_answered_as_the_role_of_who_says_it_allows(theatre: Theatre) -> None:
    operator, outsider, stranger = await theatre.people("operator", "outsider", "stranger")
    scene = await theatre.scene(STRICT, managers=2, members=5, bot=f'operators = ["{operator.user}"]')
    bot, (manager, demoted), (member, muted, *victims) = scene.bot, scene.managers, scene.members
    await theatre.room(bot, stranger)
    await _demote(scene, demoted)
    await told(demoted, bot, like("notice.measure.demote"))
    await ask(manager, bot, scene.desk, f"!mute {muted.user} 1d")
    for number, victim in enumerate(victims, 3):  # case 1 is the one that demoted, case 2 the mute
        await victim.send_text(scene.room, f"forbidden {number}")
        await scene.card(manager, number)
    done, refused = EVERYONE | MANAGERS, EVERYONE | NOT_A_MANAGER
    first = (victims[0], 3)
    roles = [
        ("manager", manager, done, *first),
        ("owner", scene.owner, done | OWNERS | CLOSING, victims[1], 4),
        ("operator", operator, _without(done | OPERATORS, CLOSING), victims[2], 5),
        ("member", member, refused, *first),
        ("demoted manager", demoted, refused | {"why {code}": "statement.head"}, *first),
        ("muted member", muted, refused | {"why {code}": "statement.head"}, *first),
        ("manager of another room", stranger, NOT_IN_THE_ROOM, *first),
        ("outsider", outsider, NOT_IN_THE_ROOM, *first),
    ]
    speakers = [Speaker(*role, await open_direct(role[1], bot)) for role in roles]
    wrong = [line for lines in await asyncio.gather(*(_speak(bot, scene, each) for each in speakers)) for line in lines]
    assert wrong == []
    assert {command.name for command in COMMANDS.values()} <= {command.split()[0] for command in done}


def _without(expected: dict[str, str], commands: dict[str, str]) -> dict[str, str]:
    return {command: key for command, key in expected.items() if command not in commands}


async def _speak(bot: ServedBot, scene: Scene, speaker: Speaker) -> list[str]:
    """Say everything, read every answer; what was answered otherwise than expected, in words."""
    code = bot.code(scene.room)
    said = {}
    for command in speaker.expected:
        text = "!" + command.format(code=code, victim=speaker.victim.user, case=speaker.case)
        said[command] = await speaker.who.send_text(speaker.room, text)
    wrong = []
    for command, key in speaker.expected.items():
        body = (await answer(speaker.who, bot, speaker.room, said[command])).body
        if not like(key).search(body):
            wrong.append(f"{speaker.name}: !{command} -> {_key_of(body)}, not {key}: {body[:80]!r}")
    await bot.has(*said.values())
    followed = bot.followed(*said.values())
    for command, key in speaker.expected.items():
        if key.startswith("error.") and (facts := followed[said[command]]):
            wrong.append(f"{speaker.name}: !{command} was refused, yet {facts}")
    return wrong


async def test_refusals_in_the_room_itself_are_for_that_room(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, room, (manager,), (ann, ben) = scene.bot, scene.room, scene.managers, scene.members
    commands = {
        (ann, f"!mute {ben.user}"): "error.right.manager",
        (ann, "!status"): "status.room",
        (ann, "!who"): "who.room",
        (ann, "!rules"): "rules.head",
        (ann, "!lang tlh"): "error.language",
        (manager, "!lang zh room"): "lang.room",
        (manager, "!warn"): "error.missing.user",
    }
    spoken = {"!lang zh room": "zh", "!warn": "zh"}
    wrong = []
    for (who, command), key in commands.items():
        body = await ask(who, bot, room, command)
        if not like(key, spoken.get(command, "en")).search(body):
            wrong.append(f"{command} -> {_key_of(body)}, not {key}: {body[:80]!r}")
    assert wrong == []
    # What concerns one person is not answered before all.
    await ann.send_text(room, "!credit")
    await told(ann, bot, like("credit.now", "zh", who=ann.user))


async def test_answers_come_in_the_language_somebody_chose(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
    room = await open_direct(ann, bot)
    assert like("lang.own", "zh").fullmatch(await ask(ann, bot, room, "!lang zh"))
    await ann.send_text(scene.room, "a purple elephant")
    word = await told(ann, bot, like("notice.violation", "zh"))
    assert like("notice.credit.charge", "zh").search(word.body)
    answers = {
        "!help": "help.head",
        "!status": "status.room",
        "!who": "who.room",
        "!rules": "rules.head",
        "!credit": "credit.now",
        "!why": "statement.head",
        f"!mute {manager.user}": "error.right.manager",
        "!why 99": "error.case.none",
        "!frobnicate": "error.unknown",
    }
    wrong = {
        command: body
        for command, key in answers.items()
        if not like(key, "zh").search(body := await ask(ann, bot, room, command))
    }
    assert wrong == {}
    # Others are still spoken to in theirs.
    assert like("status.room").search(await ask(manager, bot, scene.desk, "!status"))
    assert like("lang.own").fullmatch(await ask(ann, bot, room, "!lang en"))
    assert like("status.room").search(await ask(ann, bot, room, "!status"))


async def _demote(scene: Scene, who: Client) -> None:
    judge = scene.managers[0]
    await who.send_text(scene.room, "a volcano")
    await scene.card(judge, 1)
    await ask(judge, scene.bot, scene.desk, "!uphold 1")
    await scene.until_level(who.user, None)
    role = "SELECT 1 FROM members WHERE user = ? AND room = ? AND role = 'member'"
    await scene.bot.until(lambda: scene.bot.rows(role, who.user, scene.room), "the change of role")


def _key_of(body: str) -> str:
    """Which text of the message files this is, for a failing test."""
    for language in ("en", "zh"):
        for key in sorted(Catalog.load().keys(language)):
            if not key.startswith(("cli.", "config.")) and like(key, language).fullmatch(body.splitlines()[0]):
                return f"{key} ({language})"
    return "?"
