"""A deployment worth looking at: two rooms, their people, and cases in every state, made by the real bot.

The same script is played with the words of a tame and of a hostile world: what a stranger can write (names of people
and rooms, messages, reports, appeals, comments), and nothing else, differs. So their pages have the same elements.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.cli.access.admin_client import ask_bot
from moderation.model.facts import CaseOpened, TaskOpened
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId
from tests.fakes.homeserver import SimulatedHomeserver
from tests.fakes.ports import free_port
from tests.fakes.times import noon_clock
from tests.long.browser.console import Console
from tests.people.client import Client
from tests.theatre.rules import grave, loud, no_elephants, tickets
from tests.theatre.scene import Scene, Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import ServedBot, like
from tests.theatre.simulated import SimulatedAccounts
from tests.theatre.stage import Stage

WORDS = 'text = {{ en = "No purple elephants", zh = "不要紫色大象" }}'
RULES = no_elephants("minor", WORDS) + loud("moderate") + tickets('interim = "redact"') + grave()
RULES += """
[console]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
"""
HOSTILE = "</script><img src=x onerror=alert(1)>{{7*7}}{%raw%}\u202e'\"\x00&lt;"
LONG = 50_000  # letters; an event may have 65,536 bytes


@dataclass(frozen=True)
class Strangers:
    """The words of strangers."""

    names: tuple[str, ...] = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Fay")
    room: str = "Garden club"
    message: str = "and more"
    reason: str = "it is about my family"


TAME = Strangers()
NASTY = Strangers((HOSTILE,), HOSTILE, f"{HOSTILE} {'W' * LONG}", HOSTILE)


@dataclass(frozen=True)
class World:
    """The world after its story. `cases` names cases by what they show, and `records` records by what they are of."""

    scene: Scene
    operator: Client
    elsewhere: RoomId
    gardener: Client  # owns the other room
    cases: dict[str, int]
    records: dict[str, int]
    console: Console

    @property
    def manager(self) -> Client:
        """The manager who decides."""
        return self.scene.managers[0]

    @property
    def bot(self) -> ServedBot:
        """The bot that was there."""
        return self.scene.bot


@asynccontextmanager
async def world_in(folder: Path, strangers: Strangers = TAME) -> AsyncIterator[World]:
    """Provide a world whose bot and console run."""
    clock = noon_clock()  # pages of worlds are compared: they show the same day
    async with (
        SimulatedHomeserver(name="localhost", clock=clock) as homeserver,
        Stage(SimulatedAccounts(homeserver), clock) as stage,
    ):
        theatre = Theatre(stage, folder)
        try:
            world = await _play(theatre, free_port(), strangers)
            async with world.console:
                yield world
        finally:
            await theatre.close()


async def _play(theatre: Theatre, port: int, strangers: Strangers) -> World:
    operator, gardener, stranger = await theatre.people("operator", "gardener", "stranger")
    scene = await theatre.scene(
        RULES.format(port=port), managers=2, members=6, bot=f'operators = ["{operator.user}"]', known=("owner",)
    )
    bot, room, (ann, ben, cleo, dan, eve, fay) = scene.bot, scene.room, scene.members
    await scene.owner.set_state(room, "m.room.name", {"name": strangers.room})
    await asyncio.gather(*map(_rename, scene.members, itertools.cycle(strangers.names)))
    elsewhere = await theatre.room(bot, gardener, [], [stranger, ben])
    await theatre.enter_desk(bot, elsewhere, gardener)
    script = _Script(scene, strangers, operator)
    cases = {
        "automatic": await script.case(ann, room, "a purple elephant"),
        "waiting": await script.case(ben, room, "forbidden 17"),
        "appealed": await script.case(cleo, room, "forbidden 18"),
        "dismissed": await script.case(dan, room, "forbidden 19"),
        "muted": await script.case(eve, room, "a geyser"),
        "elsewhere": await script.case(ben, elsewhere, "forbidden 20"),
        "second": await script.case(ann, room, "forbidden 21"),
    }
    await script.decide("upheld", cases["appealed"], cleo)
    await script.decide("dismissed", cases["dismissed"], dan)
    await script.appeal(cases["appealed"], cleo)
    cases["reported"] = await script.report(dan, [ann, ben])
    await ask(scene.managers[0], bot, scene.desk, f"!comment {cases['waiting']} {strangers.reason}")
    await ask(scene.managers[1], bot, await open_direct(scene.managers[1], bot), "!away 2d")
    cases["severe"] = await script.severe(fay)
    await script.order("bar", person=stranger.user, until=bot.clock() + 90 * DAY_MS)
    dossier = int((await script.order("dossier-new", person=fay.user, cases=[]))["dossier"])
    await bot.idle()
    await bot.stop()  # then the log is signed
    bot.ahead_ms += 2_000  # the pause is one that is recorded, however fast the machine is
    bot.start()
    await bot.idle()
    message = bot.record_of(script.said[cases["waiting"]])
    opened = next(number for number, fact in bot.numbered_facts() if getattr(fact, "n", 0) == cases["waiting"])
    records = {"message": int(message.index), "case": opened, "dossier": dossier}
    return World(scene, operator, elsewhere, gardener, cases, records, Console(bot))


class _Script:
    """The acts that the story repeats."""

    def __init__(self, scene: Scene, strangers: Strangers, operator: Client) -> None:
        self._scene = scene
        self._strangers = strangers
        self._operator = operator
        self.said: dict[int, str] = {}  # case -> message

    async def order(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have the bot do something as the operator."""
        who = {"by": self._operator.user, "reader": "root", "reason": self._strangers.reason}
        return await ask_bot(self._scene.bot.data_dir, do, {**who, **arguments}, None)

    async def severe(self, who: Client) -> int:
        """Do what operators are asked about: something severe after a warning. Return the number of the case."""
        scene, bot = self._scene, self._scene.bot
        await ask(scene.managers[0], bot, scene.room, f"!warn {who.user} please stay calm")
        n = await self.case(who, scene.room, "a volcano")
        await bot.until(lambda: bot.facts(TaskOpened), "a task for operators")
        return n

    async def case(self, who: Client, room: RoomId, words: str) -> int:
        """Say what a rule finds, and return the number of its case."""
        bot = self._scene.bot
        before = len(bot.facts(CaseOpened))
        said = await who.send_text(room, f"{words} {self._strangers.message}")
        await bot.until(lambda: len(bot.facts(CaseOpened)) > before, "a case")
        n = int(bot.facts(CaseOpened)[-1].n)
        self.said[n] = said
        return n

    async def decide(self, what: str, n: int, who: Client) -> None:
        """Decide a case, and wait until the person has been told."""
        order = {"upheld": "uphold", "dismissed": "dismiss"}[what]
        await ask(self._scene.managers[0], self._scene.bot, self._scene.desk, f"!{order} {n} clear enough")
        await told(who, self._scene.bot, like(f"notice.message.{what}"))

    async def appeal(self, n: int, who: Client) -> None:
        """Appeal a decision."""
        await who.send_text(await direct_room(who, self._scene.bot), f"!appeal {n} {self._strangers.reason}")
        await told(who, self._scene.bot, like("notice.appealed.other", n=str(n)))

    async def report(self, whom: Client, by: list[Client]) -> int:
        """Report a message that no rule finds, and return the number of its case."""
        bot, room = self._scene.bot, self._scene.room
        before = len(bot.facts(CaseOpened))
        said = await whom.send_text(room, f"you are all fools {self._strangers.message}")
        await bot.has(said)
        link = f"https://matrix.to/#/{room}/{said}?via=localhost"
        for each in by:
            await ask(each, bot, await open_direct(each, bot), f"!report {link} {self._strangers.reason}")
        await bot.until(lambda: len(bot.facts(CaseOpened)) > before, "a case from reports")
        return int(bot.facts(CaseOpened)[-1].n)


async def _rename(person: Client, name: str) -> None:
    await person.request("PUT", "profile", person.user, "displayname", json={"displayname": name})
