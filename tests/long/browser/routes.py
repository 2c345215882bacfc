"""Every page of the console, at addresses of a world.

A new address of the console fails `test_pages.py` until it is told here what stands in its place of `{...}`.
"""

from collections.abc import Callable, Iterable
from urllib.parse import quote

from bot.console.app import routes
from tests.long.browser.world import World

# What is taken as a file.
FILES = ("/figures.csv", "/records/{index}/proof.txt", "/exports/{id}")
_SHOWN = [route for route in routes() if route.method == "GET" and route.path not in FILES]
PAGES = tuple(dict.fromkeys(route.path for route in _SHOWN))
MANAGERS_PAGES = tuple(dict.fromkeys(route.path for route in _SHOWN if route.who == "anybody"))

# What is asked of a page beside its bare address.
_ASKED = {"/cases": ("", "?tab=all"), "/records": ("", "?kind=case")}
PLACES: dict[str, Callable[[World], Iterable[object]]] = {
    "/cases/{n}": lambda world: (world.cases[each] for each in ("waiting", "appealed", "reported", "muted")),
    "/dossiers/{n}": lambda world: (world.records["dossier"],),
    "/duty/{code}": lambda world: (world.bot.code(world.scene.room),),
    "/people/{user}": lambda world: (quote(world.scene.members[each].user, safe="") for each in (2, 4)),
    "/records/{index}": lambda world: (world.records["case"], world.records["message"]),
    "/records/{index}/proof": lambda world: (world.records["case"],),
    "/rooms/{code}": lambda world: (world.bot.code(world.scene.room),),
}


def addresses(path: str, world: World) -> list[str]:
    """Return the addresses of a page that are looked at in a world."""
    if "{" in path:
        assert path in PLACES, f"say in {__name__} what stands in the address {path}"
        before, _, rest = path.partition("{")
        return [f"{before}{value}{rest.partition('}')[2]}" for value in PLACES[path](world)]
    return [f"{path}{asked}" for asked in _ASKED.get(path, ("",))]
