"""A spammer on a homeserver with default limits: until they are muted, there is a card, and the last message is gone.

    python -m bench.limited [--json FILE] [--messages N]

The homeserver limits the bot as Synapse does by default; the spammer is free, as one of another server would be. The
times count from the moment at which the last message was accepted. Nearly all of them are waits that the homeserver
orders, so they hardly depend on the machine.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from bot.demo.synapse import Synapse
from bot.matrix.known_limit import remember_limit
from moderation.model.facts import ActionTaken
from moderation.values.ids import RoomId
from tests.fakes.homeserver_limits import BURST, PER_SECOND
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre
from tests.theatre.served import ServedBot, until
from tests.theatre.stage import Stage

from .figures import Figure, measure

RULE = """
[[rules]]
name = "no-elephants"
kind = "terms"
class = "serious"
measure = "{measure}"
mute_for = "1h"
terms = ["purple elephant"]
text = {{ en = "No purple elephants" }}
"""
_WITHIN_S = 400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--messages", type=int, default=27)


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part."""
    folder = Path(tempfile.mkdtemp(prefix="bench-limited-"))
    try:
        yield from asyncio.run(_all(options.messages, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _all(messages: int, folder: Path) -> list[Figure]:
    figures: list[Figure] = []
    async with await Synapse.start(folder / "homeserver", limits="default") as server, Stage(server) as stage:
        admin = await stage.person("admin", admin=True)
        for rule in ("mute", "redact"):
            theatre = Theatre(stage, folder / rule)
            try:
                figures += await _story(theatre, admin, rule, messages)
            finally:
                await theatre.close()
    return figures


async def _story(theatre: Theatre, admin: Client, rule: str, messages: int) -> list[Figure]:
    scene = await theatre.scene(RULE.format(measure=rule), started=lambda bot: _limits(admin, bot.user, lifted=True))
    bot, spammer = scene.bot, scene.members[0]
    await bot.idle()
    await bot.stop()
    remember_limit(bot.data_dir, "limited", 0)  # as `answerable init` does
    bot.start()
    await bot.idle()
    await _limits(admin, spammer.user, lifted=True)
    await _limits(admin, bot.user, lifted=False)
    before = len(bot.facts(ActionTaken))
    said = await _all_at_once(spammer, scene.room, messages)
    since = time.monotonic()
    looks = {
        "first card": lambda: _has_card(scene),
        "told": lambda: _is_told(bot, spammer),
        "last message gone": lambda: _are_gone(scene, said),
        **({"muted": lambda: _is_muted(scene)} if rule == "mute" else {}),
    }
    times = dict(zip(looks, await asyncio.gather(*(_time(since, look) for look in looks.values())), strict=True))
    print(rule, " ".join(fact.action for fact in bot.facts(ActionTaken)[before:]))
    await _limits(admin, bot.user, lifted=True)
    await bot.idle()
    floor = max(len(said) - BURST, 0) / PER_SECOND
    return [
        Figure(f"{rule}, {len(said)} messages: {what}", "s", took, "the redactions alone", floor)
        for what, took in times.items()
    ]


async def _all_at_once(spammer: Client, room: RoomId, messages: int) -> list[str]:
    """Send all messages at once, as they come from another server; some may be too late, after the mute."""
    sent = await asyncio.gather(
        *(spammer.send_text(room, f"purple elephant {n}") for n in range(messages)), return_exceptions=True
    )
    return [each for each in sent if isinstance(each, str)]


async def _time(since: float, look: Callable[[], Awaitable[bool]]) -> float:
    """Return how long it takes until `look` finds something."""

    async def found() -> bool | None:
        return await look() or None

    await until(found, "the end of a story", _WITHIN_S)
    return time.monotonic() - since


async def _is_muted(scene: Scene) -> bool:
    return (await scene.levels()).get(scene.members[0].user, 0) < 0


async def _has_card(scene: Scene) -> bool:
    return any(fact.action == "card" for fact in scene.bot.facts(ActionTaken))


async def _is_told(bot: ServedBot, person: Client) -> bool:
    return any(fact.action == "tell" and fact.subject == person.user for fact in bot.facts(ActionTaken))


async def _are_gone(scene: Scene, said: list[str]) -> bool:
    return all(await asyncio.gather(*(scene.owner.is_redacted(scene.room, event) for event in said)))


async def _limits(admin: Client, user: str, *, lifted: bool) -> None:
    """Lift or restore somebody's limits (Synapse's admin API, "Override ratelimiting for users")."""
    path = ("v1", "users", user, "override_ratelimit")
    free = {"messages_per_second": 0, "burst_count": 0}
    await admin.request("POST" if lifted else "DELETE", *path, base="/_synapse/admin", json=free if lifted else None)


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
