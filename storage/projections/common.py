"""Shared parts of the projections: the dispatcher, one row, one value of the deployment, the person of an account."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import singledispatch
from typing import Any

from sqlalchemy import Table, bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import Fact
from moderation.values.events import Json
from moderation.values.ids import UserId
from storage import schema
from storage.database.dialect import upsert
from storage.database.rows import Asked, rows_of, value_of

END_MISSING = "end_missing"  # how many records were missing at the end of the log when the database was rebuilt
ERA = "era"  # of the deployment: set once its log continues from a backup
PURGED = "purged"  # the first record that is not purged
LOST_TIME = "lost_time"  # likewise: the period whose records are lost (ms)
CASES_FROM = "cases_from"  # likewise: the least number of a new case
RECKONED = "reckoned"  # the last ledger entry whose balance was corrected
REMOVED = "removed"  # in the table of pointers: somebody was removed and has not come back
WAVE = "wave"  # likewise, about nobody: many people came into a room at once
EXCHANGE_TIDY = "exchange_tidy"  # set while nothing is published for other shards that was erased here
LIST_READ = "list_read "  # with the name of a policy list: when it was last read
POLICY_SEQ = "policy_seq"  # up to where the notes of the policy server are recorded (`policy.sqlite3`)
MANY = 500  # rows in one statement
UNREAD = "coverage"  # in the table of events: an event that could not be read
JOINED = "join"  # in the table of events: somebody came in, or changed their name
SWEEP = "sweep"  # in the table of sanctions: all that somebody wrote for some time is redacted
POSTED = "posted"  # in the table of events: something that somebody wrote, not a reaction or the like


def without_marks(content: Mapping[str, Json]) -> dict[str, Json]:
    """Return content without the bot's own marks in its rooms, which name the person of a direct room."""
    return {name: value for name, value in content.items() if not name.startswith("org.answerable.")}


# Statements that each message may need are built once: building one takes longer than running it.
PERSON = select(schema.accounts.c.person).where(schema.accounts.c.user == bindparam("user"))
_INSERTS = {table: insert(table) for table in schema.metadata.tables.values()}
META = select(schema.meta.c.value).where(schema.meta.c.key == bindparam("key"))
_NEW_META = upsert(schema.meta)
_SET_META = _NEW_META.on_conflict_do_update(index_elements=["key"], set_={"value": _NEW_META.excluded.value})


async def person_of(db: AsyncConnection, user: UserId) -> str:
    """Return the person behind an account: itself, unless accounts were linked by verification."""
    return await value_of(db, PERSON, {"user": user}) or user


async def get_meta(db: AsyncConnection, key: str) -> str | None:
    """Return one stored value of the deployment."""
    found = await value_of(db, META, {"key": key})
    return str(found) if found is not None else None


async def get_metas(db: AsyncConnection, *keys: str) -> list[str | None]:
    """Return several stored values of the deployment, in order."""
    found = await rows_of(db, *((META, {"key": key}) for key in keys))
    return [str(rows[0].value) if rows else None for rows in found]


async def set_meta(db: AsyncConnection, key: str, value: str) -> None:
    """Remember one value of the deployment, such as the policy in force."""
    await set_all_meta(db, {key: value})


async def set_all_meta(db: AsyncConnection, values: Mapping[str, str], also: Sequence[Asked] = ()) -> None:
    """Remember values of the deployment, such as the sync token and how far the records were applied.

    `also`: other statements, which cost less when they are handed over with these.
    """
    await rows_of(db, *also, *((_SET_META, {"key": key, "value": value}) for key, value in values.items()))


async def add(db: AsyncConnection, table: Table, fact: Fact, index: int, at_ms: int, **other: object) -> None:
    """Add the row that a fact makes: its record, its time, its person, and each field that has the name of a column.

    `other`: values that the fact has not, or not so.
    """
    await db.execute(_INSERTS[table], await _row_of(db, table, fact, index, at_ms, other))


async def put_row(
    db: AsyncConnection, table: Table, key: Sequence[str], fact: Fact, index: int, at_ms: int, **other: object
) -> None:
    """Write the row that a fact makes, as `add` does, in place of the one with the same values in the columns `key`."""
    row = await _row_of(db, table, fact, index, at_ms, other)
    await put(db, table, {name: row.pop(name) for name in key}, **row)


async def _row_of(
    db: AsyncConnection, table: Table, fact: Fact, index: int, at_ms: int, other: Mapping[str, object]
) -> dict[str, Any]:
    said: dict[str, Any] = {field.name: getattr(fact, field.name) for field in fields(fact)}
    said |= {"record": index, "at": at_ms, "room": fact.room or "", "user": said.get("subject")}
    if "person" in table.c:
        said["person"] = await person_of(db, said["subject"])
    said |= other
    return {name: said[name] for name in said if name in table.c}


async def put(db: AsyncConnection, table: Table, key: Mapping[str, object], /, **values: object) -> None:
    """Write the row with this key: add it, or give it these values."""
    row = upsert(table).values(**key, **values)
    await db.execute(row.on_conflict_do_update(index_elements=[*key], set_=values))


@singledispatch
async def project(_fact: Fact, _db: AsyncConnection, _index: int, _at_ms: int) -> None:
    """Apply one fact. Facts that no table reflects (a finding, a start) change nothing."""


async def pointed(db: AsyncConnection, room: str, user: UserId, step: str, index: int, at_ms: int) -> None:
    """Note when somebody was last told, asked or removed for lack of something."""
    await put(db, schema.pointed, {"room": room, "user": user, "step": step}, record=index, at=at_ms)
