"""The way into the web console from a chat: `!console`, the link, the session, and what stays of them."""

import asyncio
import json
import re
from typing import Any

import pytest

from bot.cli.access.admin_client import ask_bot
from moderation.model.facts import ConsoleEnded, ConsoleLinkGiven, ConsoleOpened
from moderation.values.errors import Refused
from tests.people.client import Client
from tests.theatre.opened import places_of
from tests.theatre.scene import Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import RULES, ServedBot, like

CONSOLE = '[console]\npublic_url = "https://console.example.org"\n'
LINK = re.compile(r"https://console\.example\.org/enter/([0-9a-f]{64})")
MINUTE_MS = 60_000


async def door(bot: ServedBot, do: str, **arguments: Any) -> dict[str, Any]:
    """Ask the bot at its socket, as the console does."""
    return await ask_bot(bot.data_dir, do, arguments, None)


async def a_link(person: Client, bot: ServedBot) -> str:
    """Ask for a link in the direct room. Returns what it ends in."""
    known = bot.rows("SELECT room FROM rooms WHERE direct_with = ?", person.user)
    room = await direct_room(person, bot) if known else await open_direct(person, bot)
    after = person.position
    await person.send_text(room, "!console")
    word = await told(person, bot, LINK, after)
    found = LINK.search(word.body)
    assert found is not None
    return found[1]


async def test_a_link_is_given_to_those_who_run_a_room_in_a_direct_room_alone(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + CONSOLE)
    bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
    assert like("error.console.nowhere").search(await ask(ann, bot, await open_direct(ann, bot), "!console"))
    for room in (scene.room, scene.desk):
        assert like("error.console.direct").search(await ask(manager, bot, room, "!console"))
    assert bot.facts(ConsoleLinkGiven) == []
    ticket = await a_link(manager, bot)
    opened = await door(bot, "console-login", ticket=ticket)
    assert (opened["user"], re.fullmatch("[0-9a-f]{64}", opened["session"]) is not None) == (manager.user, True)
    assert 0 < opened["until"] - bot.clock() <= 12 * 60 * MINUTE_MS
    assert [fact.subject for fact in bot.facts(ConsoleOpened)] == [manager.user]


@pytest.mark.long
async def test_without_a_public_address_the_refusal_says_whom_to_ask(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES, bot='operators = ["@op:localhost"]')
    bot, (manager,) = scene.bot, scene.managers
    said = await ask(manager, bot, await open_direct(manager, bot), "!console")
    assert like("error.console.off", operators="@op:localhost").search(said)


async def test_a_link_opens_one_session_and_not_when_it_is_late(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + CONSOLE)
    bot, (manager,) = scene.bot, scene.managers
    ticket = await a_link(manager, bot)
    for wrong in ("", "0" * 64, ticket.upper(), ticket + "\n", "x" * 100_000):
        with pytest.raises(Refused, match="link-over"):
            await door(bot, "console-login", ticket=wrong)
    tried = await asyncio.gather(*(door(bot, "console-login", ticket=ticket) for _ in range(3)), return_exceptions=True)
    assert [isinstance(each, Refused) for each in tried].count(True) == 2
    assert len(bot.facts(ConsoleOpened)) == 1
    second = await a_link(manager, bot)
    bot.ahead_ms += 5 * MINUTE_MS
    with pytest.raises(Refused, match="link-over"):
        await door(bot, "console-login", ticket=second)


async def test_a_link_is_dead_once_its_person_has_left_the_direct_room(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + CONSOLE)
    bot, (manager,) = scene.bot, scene.managers
    ticket = await a_link(manager, bot)
    room = await direct_room(manager, bot)
    await manager.leave(room)
    gone = "SELECT 1 FROM members WHERE room = ? AND user = ? AND membership = 'leave'"
    await bot.until(lambda: bot.rows(gone, room, manager.user), "the manager gone")
    with pytest.raises(Refused, match="link-over"):
        await door(bot, "console-login", ticket=ticket)


@pytest.mark.long
async def test_a_session_ends_when_it_is_left_or_an_operator_ends_it(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + CONSOLE)
    bot, (manager,) = scene.bot, scene.managers
    opened = await door(bot, "console-login", ticket=await a_link(manager, bot))
    assert await door(bot, "console-end", session=opened["session"]) == {"ended": True}
    assert await door(bot, "console-end", session=opened["session"]) == {"ended": False}
    again = await door(bot, "console-login", ticket=await a_link(manager, bot))
    ((key,),) = bot.rows("SELECT session FROM console_sessions WHERE ended = 0")
    with pytest.raises(Refused):
        await door(bot, "console-end", key=key, why="because")
    assert await door(bot, "console-end", key=key, why="operator", reader="olga") == {"ended": True}
    assert await door(bot, "console-end", session=again["session"]) == {"ended": False}
    assert [(fact.why, fact.subject, fact.reader) for fact in bot.facts(ConsoleEnded)] == [
        ("left", manager.user, ""),
        ("operator", manager.user, "olga"),
    ]


async def test_nobody_gets_links_without_end(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + CONSOLE)
    bot, (manager,) = scene.bot, scene.managers
    for _ in range(6):
        await a_link(manager, bot)
    said = await ask(manager, bot, await direct_room(manager, bot), "!console")
    assert like("error.too-often").search(said)
    await bot.restart()
    assert like("error.too-often").search(await ask(manager, bot, await direct_room(manager, bot), "!console"))


async def test_neither_link_nor_session_stands_anywhere_but_in_the_message(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES + CONSOLE)
    bot, (manager,) = scene.bot, scene.managers
    ticket = await a_link(manager, bot)
    opened = await door(bot, "console-login", ticket=ticket)
    await bot.idle()
    secrets = (ticket, opened["session"])
    assert [each for each in secrets if each in json.dumps(theatre.logged, default=repr)] == []

    def on_disk() -> list[str]:
        return [each for each in secrets if places_of(each, bot.config.place)]

    assert on_disk() == []
    await bot.stop()
    assert on_disk() == []
    bot.start()
