"""Every address against every role, by `route_table.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

import pytest

from bot.console.app import routes
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.bot.console.browsing import Browser, ServedConsole
from tests.door.bot.console.route_table import ROUTES, Role, example
from tests.door.offline import ANNA, BOT, MARK, MINA, OLGA

KITCHEN, ELSA = RoomId("!kitchen:example.org"), UserId("@elsa:example.org")
KITCHEN_LEVELS = {"users": {str(ELSA): 100, str(BOT): 100}}


def test_the_table_has_every_address() -> None:
    assert {(route.method, route.path) for route in routes()} == set(ROUTES)


@asynccontextmanager
async def visiting(console: ServedConsole, role: Role) -> AsyncIterator[Browser]:
    """Open a browser with somebody in this role; who was a manager and is none any more came in before."""
    if role == "elsewhere":
        await console.bot.enter_room(KITCHEN, GroupCode("G-2222"), "group", KITCHEN_LEVELS, "11", (ELSA,), owner=ELSA)
    people = {"manager": MARK, "elsewhere": ELSA, "member": ANNA, "demoted": MINA, "banned": MINA}
    way_in = console.browser() if role == "nobody" else console.operator()
    async with console.person(people[role]) if role in people else way_in as browser:
        if role == "demoted":
            await console.bot.levels(OLGA, {OLGA: 100, BOT: 100, MARK: 50})
        elif role == "banned":
            await console.bot.membership(MINA, "ban")
        yield browser


@pytest.mark.parametrize("role", get_args(Role))
async def test_a_role_is_answered_as_the_table_says(console: ServedConsole, role: Role) -> None:
    for route in routes():
        row, path = ROUTES[route.method, route.path], route.path
        address = example(path)
        async with visiting(console, role) as browser:
            answer = await (browser.get(address) if route.method == "GET" else browser.post(address, row.form))
        wanted = row.status(role, path, is_for_operators=route.who == "operator")
        assert answer.status == wanted, (route.method, path, answer.words[:500])
