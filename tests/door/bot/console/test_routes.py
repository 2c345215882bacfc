"""Every address against every role, by `route_table.py`."""

import re
from typing import get_args

import pytest

from bot.console.app import routes
from tests.door.bot.console.browsing import ServedConsole
from tests.door.bot.console.route_table import EXAMPLES, ROUTES, Role


def test_the_table_has_every_address() -> None:
    assert {(route.method, route.path) for route in routes()} == set(ROUTES)


@pytest.mark.parametrize("role", get_args(Role))
@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda part: part)
async def test_a_role_is_answered_as_the_table_says(console: ServedConsole, method: str, path: str, role: Role) -> None:
    row = ROUTES[method, path]
    address = re.sub(r"\{(\w+)\}", lambda found: EXAMPLES[found[1]], path)
    async with console.browser() if role == "nobody" else console.operator() as browser:
        answer = await (browser.get(address) if method == "GET" else browser.post(address, row.form))
    assert answer.status == getattr(row, role), answer.words[:500]
