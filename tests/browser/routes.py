"""Every page of the console, at addresses of a world.

A new address of the console fails `test_pages.py` until it is told here what stands in its place of `{...}`.
"""

from collections.abc import Callable, Iterable

from bot.console.app import routes
from tests.browser.world import World

PAGES = tuple(dict.fromkeys(route.path for route in routes() if route.method == "GET"))

# What is asked of a page beside its bare address.
ASKED = {"/cases": ("", "?tab=all", "?tab=mine", "?class=serious")}
_PLACES: dict[str, Callable[[World], Iterable[object]]] = {
    "/cases/{n}": lambda world: (world.cases[each] for each in ("waiting", "appealed", "reported", "muted")),
    "/people/{user}": lambda world: (each.user for each in (*world.scene.members[:2], world.gardener)),
    "/rooms/{code}": lambda world: map(world.bot.code, (world.scene.room, world.elsewhere)),
}


def addresses(path: str, world: World) -> list[str]:
    """Return the addresses of a page that are looked at in a world."""
    if "{" in path:
        assert path in _PLACES, f"say in {__name__} what stands in the address {path}"
        before, _, rest = path.partition("{")
        return [f"{before}{value}{rest.partition('}')[2]}" for value in _PLACES[path](world)]
    return [f"{path}{asked}" for asked in ASKED.get(path, ("",))]
