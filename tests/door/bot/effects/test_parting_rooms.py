"""While the rooms of a desk differ, nothing is said there of a room in which somebody present has no right."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bot.effects.align_room import Reconciler
from bot.effects.leave_room import Leaver
from bot.effects.policy_state import PolicyStates
from bot.effects.public_reasons import PublicReasons
from bot.effects.redact_everything import WholeRedactions
from bot.effects.server_acl import ServerAcls
from moderation.model.actions.rooms import Leave
from moderation.model.actions.telling import Say, Tell, TellDesk
from moderation.values.ids import EventId, RoomId
from moderation.values.notices import Line
from tests.door.offline import ANNA, BOT, DESK, LEVELS, MARK, MINA, OLGA, ROOM, Offline
from tests.door.two_rooms import KITCHEN, of_two_rooms


class Homeserver:
    """A homeserver on which the bot is in its desk alone."""

    user = BOT

    def __init__(self) -> None:
        self.sent: list[RoomId] = []

    async def joined_rooms(self) -> list[RoomId]:
        return [DESK]

    async def send(self, room: RoomId, _kind: str, _content: Any, _txn: str) -> EventId:
        self.sent.append(room)
        return EventId("$sent")


@asynccontextmanager
async def of_parting_rooms(folder: Path) -> AsyncIterator[Offline]:
    """Open a bot that serves two rooms with one desk, in which Mark is who runs only one of them any more."""
    async with of_two_rooms(folder) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(ANNA, "forbidden", KITCHEN)
        levels = {user: level for user, level in LEVELS["users"].items() if user != MARK}
        await bot.event(OLGA, "m.room.power_levels", {"users": levels}, key="", room=KITCHEN)
        yield bot


def leaver(bot: Offline, homeserver: Homeserver) -> Leaver:
    services = bot.services(homeserver)
    reasons = PublicReasons(services.speech, services.policy, "neutral")
    whole = WholeRedactions(services.homeserver, services.database)
    return Leaver(services, Reconciler(services, reasons, whole), ServerAcls(services), PolicyStates(services, None))


def keys(lines: Sequence[Line]) -> list[tuple[str, object]]:
    """Return what lines say, and of which cases or room."""
    return [(each.key, each.fields.get("cases") or getattr(each.fields.get("room"), "room", "")) for each in lines]


async def test_absence_is_said_there_without_the_other_room(tmp_path: Path) -> None:
    async with of_parting_rooms(tmp_path) as bot:
        await bot.say(MINA, "!away 2d", DESK)
        waiting = [row.action for row in await bot.waiting()]
        (said,) = [each for each in waiting if isinstance(each, Say)]
        (alone,) = [each for each in waiting if isinstance(each, Tell) and each.subject == MINA and each.alone]
        assert keys(said.lines) == [("away.until", ""), ("away.keeps", "1")]
        assert keys(alone.lines) == [("away.owner", KITCHEN), ("away.keeps", "2")]
        told = [each for each in waiting if isinstance(each, TellDesk) and each.lines[0].key == "desk.away"]
        assert [each.room for each in told] == [KITCHEN]  # it waits until the rooms have parted


async def test_a_goodbye_is_said_to_those_who_run_the_room(tmp_path: Path) -> None:
    async with of_parting_rooms(tmp_path) as bot:
        homeserver = Homeserver()
        done = await leaver(bot, homeserver).leave(Leave(room=KITCHEN, subject=OLGA), "txn")
        assert homeserver.sent == []
        assert [(each.subject, each.alone) for each in done.actions if isinstance(each, Tell)] == [
            (MINA, True),
            (OLGA, True),
        ]


async def test_a_goodbye_is_said_in_the_desk_if_all_there_run_the_room(tmp_path: Path) -> None:
    async with of_parting_rooms(tmp_path) as bot:
        homeserver = Homeserver()
        done = await leaver(bot, homeserver).leave(Leave(room=ROOM, subject=OLGA), "txn")
        assert (homeserver.sent, done.actions) == ([DESK], ())
