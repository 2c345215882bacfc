"""`!help` is short, fits who asks, and knows each command by its name in both languages."""

import json
from pathlib import Path

import pytest

from bot.commands.registry import COMMANDS
from moderation.values.notices import lines_from_json
from tests.door.offline import DESK, LEVELS, MARK, offline
from tests.people.client import Client
from tests.theatre.scene import Theatre, ask, open_direct, told
from tests.theatre.served import ServedBot, like

MOST_LINES = 8


async def test_help_shows_eight_lines_and_only_what_one_may_use(theatre: Theatre) -> None:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(bot=f'operators = ["{operator.user}"]')
    bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
    people = {"member": ann, "manager": manager, "owner": scene.owner, "operator": operator}
    seen = {}
    for role, person in people.items():
        direct = await open_direct(person, bot)
        short = await ask(person, bot, direct, f"!help {bot.code(scene.room)}")
        assert len(short.splitlines()) <= MOST_LINES, role
        seen[role] = _named(await ask(person, bot, direct, f"!help all {bot.code(scene.room)}"))
        assert _named(short) <= seen[role], role
    everybody = {command.name for command in COMMANDS.values() if command.who == "everyone"}
    assert seen["member"] == everybody
    assert seen["manager"] >= everybody | {"ban", "uphold"}
    assert seen["owner"] - seen["manager"] == {"acl", "adopt", "leave", "close", "lockdown", "policy", "reopen"}
    assert seen["operator"] - seen["owner"] == {"approve"}


@pytest.mark.parametrize(
    ("levels", "lacks"),
    [
        ({}, {"close", "lockdown", "reopen"}),
        ({"ban": 60}, {"close", "lockdown", "reopen", "ban", "unban"}),
        ({"kick": 60}, {"close", "lockdown", "reopen", "kick", "mute", "unmute", "unban"}),
        ({"redact": 60}, {"close", "lockdown", "reopen", "redact"}),
    ],
)
async def test_help_leaves_out_what_the_level_of_a_manager_does_not_allow(
    tmp_path: Path, levels: dict[str, int], lacks: set[str]
) -> None:
    async with offline(tmp_path, levels={**LEVELS, **levels}) as bot:
        await bot.say(MARK, "!help all", DESK)
        (answer,) = await bot.rows("SELECT action FROM outbox WHERE action LIKE '%help.all%'")
        for each in sorted(lacks):
            await bot.say(MARK, f"!help {each}", DESK)
        assert await bot.rows("SELECT COUNT(*) FROM outbox WHERE action LIKE '%help.not-yours%'") == [(len(lacks),)]
    shown = {each.key.split(".")[1] for each in lines_from_json(json.loads(answer[0])["lines"])}
    measured = {command.name for command in COMMANDS.values() if command.deed is not None}
    assert measured - shown == lacks


@pytest.mark.parametrize("said", ["!help", "！help", "！帮助"])
async def test_help_in_a_group_is_answered_to_the_person_alone(theatre: Theatre, said: str) -> None:
    scene = await theatre.scene()
    (ann,) = scene.members
    await ann.send_text(scene.room, said)
    assert await _lines(ann, scene.bot) <= MOST_LINES


async def _lines(person: Client, bot: ServedBot) -> int:
    return len((await told(person, bot, like("help.head"))).body.splitlines())


def _named(said: str) -> set[str]:
    return {words[0].removeprefix("!") for line in said.splitlines() if (words := line.split()) and words[0][0] == "!"}
