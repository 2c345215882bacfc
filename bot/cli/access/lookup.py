"""Reading the database of a running bot, and finding the room or person that was typed.

Rules kept here:
- It only reads, so it is safe while the bot works.
- What is not found is answered with the nearest match.

Left to others: what is shown of it (the file of each command).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from bot.cli.terminal.output import nearest
from bot.cli.terminal.progress import progress
from moderation.values.errors import Refused
from moderation.values.notices import Code

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config.config import Config
    from bot.config.identity_key import GivenKey
    from storage.database.place import DatabasePlace
    from storage.identity.store import IdentityStoreState
    from storage.queries import RoomLabel

T = TypeVar("T")
P = ParamSpec("P")


def read(
    config: "Config",
    query: "Callable[Concatenate[AsyncConnection, P], Awaitable[T]]",
    *arguments: P.args,
    **options: P.kwargs,
) -> T:
    """Run `query` on the deployment's database and return its result. Raises `Refused` if there is no database yet."""
    from storage.database.database import is_there

    if not is_there(config.place):
        raise Refused("cli.read.no_database", data_dir=config.data_dir)
    with progress():
        return asyncio.run(query_database(config.place, query, *arguments, **options))


async def query_database(
    place: "DatabasePlace",
    query: "Callable[Concatenate[AsyncConnection, P], Awaitable[T]]",
    *arguments: P.args,
    **options: P.kwargs,
) -> T:
    """Run `query` on a database, which is only read. Raises `DatabaseRefused` if its server fails meanwhile."""
    from sqlalchemy.exc import DBAPIError

    from storage.database.database import Database
    from storage.database.refusals import refusal_of

    database = await Database.open(place, read_only=True)
    try:
        return await database.fetch(query, *arguments, **options)
    except DBAPIError as error:
        raise refusal_of(error, place) or error from error
    finally:
        await database.close()


def identity_store(config: "Config") -> "tuple[GivenKey, IdentityStoreState | None]":
    """Return the key of the identity store that was given, and the state of the store if there is one."""
    from bot.config.identity_key import given_key
    from storage.identity.store import open_for_reading

    given = given_key(config)
    store = open_for_reading(config.place, given.kek)
    if store is None:
        return given, None
    with closing(store):
        return given, store.state()


def now_ms() -> int:
    """Return the time in milliseconds since 1970 UTC, taken once a command."""
    return time.time_ns() // 1_000_000


async def find_room(db: "AsyncConnection", typed: str) -> "RoomLabel":
    """Return the room with this code, id or name. Raises `Refused` with the nearest, if there is none."""
    from storage import queries

    rows = await queries.room_labels(db)
    names: dict[str, RoomLabel] = {}
    shared = Counter(row.name.casefold() for row in rows)
    for row in rows:
        for name in (row.name, row.room, row.code):  # a code wins over a room of that name
            if name and (name != row.name or shared[name.casefold()] == 1):
                names[name.casefold()] = row
    if found := names.get(typed.strip().casefold()):
        return found
    raise _unknown("room", typed, {name: row.code for name, row in names.items()})


async def find_code(db: "AsyncConnection", typed: str) -> str:
    """Return the code of the room that was typed. Raises `Refused` with the nearest, if there is none."""
    return str((await find_room(db, typed)).code)


async def find_person(db: "AsyncConnection", typed: str) -> str:
    """Return the user id that was typed, if the bot has met that account. Raises `Refused` with the nearest."""
    from storage import queries

    users = await queries.people_met(db)
    wanted = typed.strip()
    if wanted in users:
        return wanted
    if len(namesakes := [user for user in users if user.partition(":")[0] == wanted]) == 1:  # as tables show them
        return namesakes[0]
    known = {user: user for user in users} | {user.partition(":")[0].removeprefix("@"): user for user in users}
    raise _unknown("person", typed, known)


def _unknown(what: str, typed: str, known: Mapping[str, str]) -> Refused:
    if not known:
        return Refused(f"cli.read.no_{what}s")
    if near := nearest(typed, known):
        return Refused(f"cli.read.unknown_{what}_near", typed=Code(typed), near=Code(near))
    return Refused(f"cli.read.unknown_{what}", typed=Code(typed))
