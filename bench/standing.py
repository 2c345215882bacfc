"""Rooms that were there before a measurement: copies of one that the bot has entered, with its desk.

To enter a room takes the bot a tenth of a second, so ten thousand would take longer than all that is measured.

Rules kept here:
- The first room was entered by invitation. Its copies differ from it by ids, codes and people only, on the homeserver
  and in the bot's tables. Each has an owner of its own.
- The bot is stopped meanwhile, and goes on from after the copies: it is not told about them.
- There are no records of the copies, so what is read from records is not in the figures.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain, count, repeat
from typing import Any

from bench.simulated import OWNER, Deployment
from moderation.values.ids import group_code
from storage.database.place import FILE
from tests.fakes.homeserver_answers import device_place_of, token

Row = dict[str, Any]
Copies = Sequence[tuple[str, Sequence[str]]]  # the ids of copies, and of the events that were asked for


async def add_copies(bot: Deployment, first: str, people: Sequence[Sequence[str]]) -> None:
    """Let the bot serve a copy of its room `first` for each list of people.

    The first of them owns it; they may be more than there are in `first`.
    """
    await bot.bot.stop()
    ((desk, notice, introduced),) = bot.rows(
        "SELECT d.room, r.notice, r.introduced FROM rooms r JOIN rooms d ON d.code = r.desk WHERE r.room = ?", first
    )
    those = [OWNER, *(who for (who,) in bot.rows(_OTHERS.format("user"), first, OWNER, bot.user))]
    groups: Copies = await bot.server.order(
        "copies", room=first, people=people, instead_of=those, named=[notice] if notice else []
    )
    owners = [each[:1] for each in people]
    desks: Copies = await bot.server.order(
        "copies", room=desk, people=owners, instead_of=[OWNER], named=[introduced] if introduced else []
    )
    place = await bot.server.order("place")
    await asyncio.to_thread(_write, bot, (first, desk), list(zip(groups, desks, people, strict=True)), place)
    bot.rooms += [room for room, _ in groups]
    bot.bot.start()
    await bot.bot.until_ready()
    await bot.caught_up()


_OTHERS = "SELECT {} FROM members WHERE room = ? AND user NOT IN (?, ?) ORDER BY seen, user"


def _write(
    bot: Deployment,
    first: tuple[str, str],
    copies: Sequence[tuple[tuple[str, Sequence[str]], tuple[str, Sequence[str]], Sequence[str]]],
    place: int,
) -> None:
    """Write the rows of the copies, and let the bot go on from `place`."""
    with closing(sqlite3.connect(bot.data_dir / FILE)) as db, db:
        db.row_factory = sqlite3.Row
        group, desk = (_rows(db, "SELECT * FROM rooms WHERE room = ?", each)[0] for each in first)
        others = _rows(db, _OTHERS.format("*"), first[0], OWNER, bot.user)
        (own, theirs) = (_rows(db, "SELECT * FROM members WHERE room = ?", each) for each in first)
        own = [each for each in own if each not in others]
        (served,) = _rows(db, "SELECT * FROM desk_groups WHERE desk = ?", desk["code"])
        codes = _codes({row["code"] for row in _rows(db, "SELECT code FROM rooms")})
        made: dict[str, list[Row]] = {"rooms": [], "members": [], "desk_groups": []}
        for (room, notices), (its_desk, introductions), people in copies:
            named = {"code": next(codes), "desk": next(codes)}
            events = dict(zip(("notice",), notices, strict=False)) | dict(
                zip(("introduced",), introductions, strict=False)
            )
            made["rooms"] += [
                {**_owned(group, people[0]), **named, **events, "room": room},
                {**_owned(desk, people[0]), "room": its_desk, "code": named["desk"], "served": named["code"]},
            ]
            made["desk_groups"].append({**served, "desk": named["desk"], "served": named["code"]})
            there = zip(chain(others, repeat(others[-1])), people[1:])  # noqa: B905 - the first is endless
            made["members"] += [
                *({**_owned(each, people[0]), "room": room} for each in own),
                *({**like, "room": room, "user": user, "display_name": _name(user)} for like, user in there),
                *({**_owned(each, people[0]), "room": its_desk} for each in theirs),
            ]
        for table, rows in made.items():
            marks = ", ".join(f":{name}" for name in rows[0])
            names = ", ".join(f'"{name}"' for name in rows[0])
            db.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)
        ((known,),) = db.execute("SELECT value FROM meta WHERE key = 'sync_token'")
        db.execute("UPDATE meta SET value = ? WHERE key = 'sync_token'", (token(place, device_place_of(known)),))


def _owned(row: Row, owner: str) -> Row:
    """Return a row that names another owner."""
    names = {OWNER: owner, _name(OWNER): _name(owner)}
    return {
        column: names.get(value, value.replace(OWNER, owner)) if isinstance(value, str) else value
        for column, value in row.items()
    }


def _rows(db: sqlite3.Connection, sql: str, *values: str) -> list[Row]:
    return [dict(row) for row in db.execute(sql, values)]


def _codes(taken: set[str]) -> Iterator[str]:
    return (code for code in map(group_code, count()) if code not in taken)


def _name(user: str) -> str:
    return user[1:].partition(":")[0]
