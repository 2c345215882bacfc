"""Every reaction by everybody has the effect that `rights_table.py` says; answers come in the language of the asker.

Left to others: every command by everybody (`test_command_rights.py`).
"""

import asyncio
import itertools
from dataclasses import dataclass

import pytest

from bot.commands.registry import COMMANDS
from bot.texts.catalog import Catalog
from moderation.cases.card_reactions import UNDERSTOOD
from moderation.model.facts import CaseClaimed, CaseDecided, CaseExtended, CaseMoved, Fact, Reported
from moderation.policy import ReportSettings
from moderation.values.ids import EventId, RoomId
from tests.door.bot.commands.rights_table import (
    CLAIMS,
    DECIDES,
    IMPOSSIBLE,
    NOTHING,
    PUTS_OFF,
    REACTIONS,
    REPORTS,
    ROLES,
    ROWS,
    SHOWS,
    Pressed,
)
from tests.people.client import Client, MatrixError
from tests.theatre.scene import Scene, Theatre, ask, open_direct, told
from tests.theatre.served import RULES, like

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
    assert {pressed.key for pressed in REACTIONS} == {*UNDERSTOOD, *ReportSettings().reactions}
    assert {pressed.key for pressed in REACTIONS if set(pressed.follows) != set(ROLES)} == set()


@dataclass
class Cast:
    """A scene with somebody in every role, each with a direct room."""

    scene: Scene
    roles: dict[str, Client]
    direct: dict[str, RoomId]
    cards: dict[str, EventId]  # one for each who may decide
    copy: EventId
    message: EventId


async def cast(theatre: Theatre) -> Cast:
    """Create a scene with a person for every role."""
    operator, outsider, stranger = await theatre.people("operator", "outsider", "stranger")
    scene = await theatre.scene(
        STRICT, managers=3, members=6, bot=f'operators = ["{operator.user}"]', known=["owner", "managers"]
    )
    bot, room, (manager, demoted, banned) = scene.bot, scene.room, scene.managers
    member, unverified, muted, *victims, spare = scene.members
    await _demote(scene, demoted)
    await theatre.room(bot, stranger, members=[])
    roles = {"member": member, "unverified": unverified, "muted": muted, "demoted": demoted, "manager": manager}
    roles |= {"owner": scene.owner, "operator": operator, "outsider": outsider, "stranger": stranger, "banned": banned}
    message, copy = (
        await spare.send_text(room, "hello"),
        await spare.send_text(room, "Case 1 \u00b7 serious \u00b7 tickets"),
    )
    for victim in victims:
        await victim.send_text(room, "a raffle")
    await scene.owner.ban(room, banned.user)
    await ask(manager, bot, scene.desk, f"!vouch {member.user}")
    await ask(manager, bot, scene.desk, f"!mute {muted.user} 1d")
    await scene.until_level(muted.user, -1)
    assert [role for role in roles if role not in ROLES] == []
    pairs = await asyncio.gather(*(open_direct(who, bot) for who in roles.values()))
    cards = {}
    for role, victim in zip(("manager", "owner"), victims, strict=True):
        ((n,),) = bot.rows("SELECT n FROM cases WHERE subject = ?", victim.user)
        cards[role] = EventId((await scene.card(manager, n)).id)
    await bot.idle()  # who lost their role is out of the desk
    return Cast(
        scene=scene,
        roles=roles,
        direct=dict(zip(roles, pairs, strict=True)),
        cards=cards,
        copy=copy,
        message=message,
    )


async def test_reactions_follow_the_rights_table_for_every_role(theatre: Theatre) -> None:
    pressed = await press_everything(await cast(theatre))
    assert [line for role in ROLES for line in pressed[role]] == []


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
    card = everybody.cards.get(role, everybody.cards["manager"])
    place = {"desk": everybody.scene.desk, "group": everybody.scene.room, "direct": everybody.direct[role]}
    under = {"card": card, "copy": everybody.copy, "message": everybody.message}
    try:
        return await everybody.roles[role].react(place[pressed.place], under[pressed.under], pressed.key)
    except MatrixError as error:
        assert error.errcode == "M_FORBIDDEN" or "same room" in str(error)
        return None


_FOLLOWS: dict[type[Fact], str] = {
    CaseDecided: DECIDES,
    CaseClaimed: CLAIMS,
    CaseExtended: PUTS_OFF,
    CaseMoved: "acknowledges",
    Reported: REPORTS,
}


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


@pytest.mark.long
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
