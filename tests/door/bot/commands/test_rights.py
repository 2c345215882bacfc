"""Every command and every reaction, by everybody: done, refused, or without effect, as `rights_table.py` says."""

import asyncio
import itertools
from dataclasses import dataclass

from bot.commands.registry import COMMANDS
from bot.texts.catalog import Catalog
from moderation.consequences import OFFERED
from moderation.model.facts import CaseDecided, CaseMoved, Fact, Reported
from moderation.policy import ReportSettings
from moderation.values.ids import EventId, RoomId
from tests.door.bot.commands.rights_table import (
    DECIDES,
    IMPOSSIBLE,
    NOTHING,
    REACTIONS,
    REPORTS,
    ROLES,
    ROWS,
    SHOWS,
    Pressed,
    Row,
)
from tests.people.client import Client, MatrixError
from tests.theatre.scene import Scene, Theatre, answer, ask, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

# One grave violation costs the right to manage; people who are not verified are reminded.
STRICT = (
    RULES
    + """
[[rules]]
name = "raffles"
kind = "terms"
decide = "manager"
terms = ["raffle"]
[credit]
costs = { minor = 1, moderate = 5, serious = 10, severe = 61 }
incident_limit = 61
quiet_before_recovery = "1h"
[tiers]
c = 30
[verification]
write = 2
below = "remind"
"""
)


def test_the_table_has_every_command_every_reaction_and_every_role() -> None:
    assert {row.name for row in ROWS} == {command.name for command in COMMANDS.values()}
    assert {row.said for row in ROWS if set(row.answers) != set(ROLES)} == set()
    assert {pressed.key for pressed in REACTIONS} == {*OFFERED, *ReportSettings().reactions}
    assert {pressed.key for pressed in REACTIONS if set(pressed.follows) != set(ROLES)} == set()


@dataclass
class Cast:
    """A scene with somebody in every role, each with a direct room, and with a person and a case of their own."""

    scene: Scene
    roles: dict[str, Client]
    direct: dict[str, RoomId]
    victims: dict[str, Client]
    cases: dict[str, int]
    foreign: int  # a case of another group
    link: str
    elsewhere: str
    cards: dict[str, tuple[int, EventId]]  # for reactions: case and card, one for each who may decide
    copy: EventId
    message: EventId


async def cast(theatre: Theatre) -> Cast:
    """Create a scene with a person for every role."""
    operator, outsider, stranger, visitor = await theatre.people("operator", "outsider", "stranger", "visitor")
    scene = await theatre.scene(
        STRICT, managers=3, members=8, bot=f'operators = ["{operator.user}"]', known=["owner", "managers"]
    )
    bot, room, (manager, demoted, banned) = scene.bot, scene.room, scene.managers
    member, unverified, muted, *victims, spare = scene.members
    await _demote(scene, demoted)
    other = await theatre.room(bot, stranger, members=[visitor])
    roles = {"member": member, "unverified": unverified, "muted": muted, "demoted": demoted, "manager": manager}
    roles |= {"owner": scene.owner, "operator": operator, "outsider": outsider, "stranger": stranger, "banned": banned}
    message, copy = (
        await spare.send_text(room, "hello"),
        await spare.send_text(room, "Case 1 \u00b7 serious \u00b7 tickets"),
    )
    elsewhere = await visitor.send_text(other, "forbidden 1")
    for victim in victims:
        await victim.send_text(room, "forbidden 2")
    for victim in victims[:2]:
        await victim.send_text(room, "a raffle")
    await scene.owner.ban(room, banned.user)
    await ask(manager, bot, scene.desk, f"!vouch {member.user}")
    await ask(manager, bot, scene.desk, f"!mute {muted.user} 1d")
    await scene.until_level(muted.user, -1)
    assert [role for role in roles if role not in ROLES] == []
    pairs = await asyncio.gather(*(open_direct(who, bot) for who in roles.values()))
    owners_of = dict.fromkeys(ROLES, victims[0]) | {"owner": victims[1], "operator": victims[2]}
    cards: dict[str, tuple[int, EventId]] = {}
    for role, victim in zip(("manager", "owner"), victims, strict=False):
        n = _case(bot, victim, "raffles")
        cards[role] = (n, EventId((await scene.card(manager, n)).id))
    return Cast(
        scene=scene,
        roles=roles,
        direct=dict(zip(roles, pairs, strict=True)),
        victims=owners_of,
        cases={role: _case(bot, victim, "tickets") for role, victim in owners_of.items()},
        foreign=_case(bot, visitor, "tickets"),
        link=f"https://matrix.to/#/{room}/{await victims[3].send_text(room, 'hello')}",
        elsewhere=f"https://matrix.to/#/{other}/{elsewhere}",
        cards=cards,
        copy=copy,
        message=message,
    )


def _case(bot: ServedBot, who: Client, rule: str) -> int:
    ((n,),) = bot.rows("SELECT n FROM cases WHERE subject = ? AND rule = ?", who.user, rule)
    return int(n)


async def test_commands_and_reactions_follow_the_rights_table_for_every_role(theatre: Theatre) -> None:
    everybody = await cast(theatre)
    pressed = await press_everything(everybody)
    wrong = [line for role in ROLES for line in pressed[role]]
    said = await asyncio.gather(*(speak(everybody, role) for role in ROLES))
    bot = everybody.scene.bot
    await bot.has(*(event for _, events in said for event in events))
    followed = bot.followed(*(event for _, events in said for event, refused in events.items() if refused))
    wrong += [line for lines, _ in said for line in lines]
    assert wrong == []
    assert {event: facts for event, facts in followed.items() if facts} == {}


# Commands.


async def speak(everybody: Cast, role: str) -> tuple[list[str], dict[EventId, bool]]:
    """Say everything and read every answer. Returns wrong answers, and whether each message was refused."""
    who, room, bot = everybody.roles[role], everybody.direct[role], everybody.scene.bot
    rows = [(row, key) for row in ROWS if (key := row.answers[role]) is not None]
    said = [await who.send_text(room, "!" + _filled(everybody, role, row)) for row, _ in rows]
    wrong = []
    for event, (row, keys) in zip(said, rows, strict=True):
        body = (await answer(who, bot, room, event)).body
        if not any(like(key).search(body) for key in _keys(keys)):
            wrong.append(f"{role}: !{row.said} -> {_key_of(body)}, not {keys}: {body[:80]!r}")
    return wrong, {event: keys.startswith("error.") for event, (_, keys) in zip(said, rows, strict=True)}


def _keys(keys: str) -> list[str]:
    found = sorted(Catalog.load().keys("en"))
    return [key for each in keys.split("|") for key in found if key == each or key.startswith(f"{each}.")]


def _filled(everybody: Cast, role: str, row: Row) -> str:
    return row.said.format(
        code=everybody.scene.bot.code(everybody.scene.room),
        victim=everybody.victims[role].user,
        case=everybody.cases[role],
        foreign=everybody.foreign,
        link=everybody.link,
        elsewhere=everybody.elsewhere,
    )


# Reactions.


async def press_everything(everybody: Cast) -> dict[str, list[str]]:
    """Press every reaction. Returns the effects that differ from the table."""
    bot = everybody.scene.bot
    done: list[tuple[str, Pressed, EventId | None]] = []
    for pressed, role in itertools.product(REACTIONS, ROLES):
        done.append((role, pressed, await _press(everybody, role, pressed)))
    await bot.has(*(event for _, _, event in done if event))
    await bot.idle()
    followed = bot.followed(*(event for _, _, event in done if event))
    wrong: dict[str, list[str]] = {role: [] for role in ROLES}
    for role, pressed, event in done:
        became = IMPOSSIBLE if event is None else _became(followed[event])
        wanted = pressed.follows[role]
        if became != (NOTHING if wanted == SHOWS else wanted) and not (wanted == SHOWS and became == "acknowledges"):
            wrong[role].append(
                f"{role}: {pressed.key} in the {pressed.place} under {pressed.under}: {became}, not {wanted}"
            )
    return wrong


async def _press(everybody: Cast, role: str, pressed: Pressed) -> EventId | None:
    card = everybody.cards.get(role, everybody.cards["manager"])[1]
    place = {"desk": everybody.scene.desk, "group": everybody.scene.room, "direct": everybody.direct[role]}
    under = {"card": card, "copy": everybody.copy, "message": everybody.message}
    try:
        return await everybody.roles[role].react(place[pressed.place], under[pressed.under], pressed.key)
    except MatrixError as error:
        assert error.errcode == "M_FORBIDDEN" or "same room" in str(error)
        return None


_FOLLOWS: dict[type[Fact], str] = {CaseDecided: DECIDES, CaseMoved: "acknowledges", Reported: REPORTS}


def _became(facts: list[Fact]) -> str:
    return next((what for kind, what in _FOLLOWS.items() if any(isinstance(fact, kind) for fact in facts)), NOTHING)


# In the room itself, and in the language of the person who asks.


async def test_a_right_in_one_room_is_refused_in_another(theatre: Theatre) -> None:
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


async def test_answers_use_the_language_that_a_person_chose(theatre: Theatre) -> None:
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
    """Return the key of the message text that this is, for the output of a failing test."""
    for language in ("en", "zh"):
        for key in sorted(Catalog.load().keys(language)):
            if not key.startswith(("cli.", "config.")) and like(key, language).fullmatch(body.splitlines()[0]):
                return f"{key} ({language})"
    return "?"
