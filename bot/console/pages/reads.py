"""The readings of data held on people: reader, person concerned, and reason."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from bot.console.visit import Bad, Route, Visit, is_number
from moderation.values.errors import Broken
from moderation.values.ids import is_user_id
from storage import queries
from storage.journal.reader import Log
from storage.journal.record import Record
from storage.queries import ListedReading

MOST_LISTED = 50
_END = 2**53


async def reads(visit: Visit) -> web.Response:
    """Show the newest readings, or those about somebody."""
    person, before = visit.said("person"), visit.said("before")
    if (person and not is_user_id(person)) or (before and not is_number(before)):
        raise Bad("console.records.bad_filter")
    found = await queries.readings_listed(visit.db, below=int(before or _END), most=MOST_LISTED, subject=person)
    records, damaged = await asyncio.to_thread(_records, visit.site.log, found)
    people = {each for row in found for each in (row.subject, row.by) if each}
    rooms = sorted(await queries.all_rooms(visit.db))
    rows = [_row(visit, each, records.get(each.record)) for each in found]
    return visit.page(
        "reads.html",
        section="records",
        rows=rows,
        person=person,
        more=found[-1].record if len(found) == MOST_LISTED else 0,
        damaged=damaged,
        names=await queries.display_names(visit.db, people, rooms),
        json=[{name: value for name, value in row.items() if name != "what_key"} for row in rows],
    )


def _records(log: Log, found: Sequence[ListedReading]) -> tuple[Mapping[int, Record], str]:
    """Return the records of the readings; and what is wrong if they cannot be read."""
    try:
        return log.several([each.record for each in found]), ""
    except Broken as error:
        return {}, str(error)


def _row(visit: Visit, reading: ListedReading, record: Record | None) -> dict[str, Any]:
    """Return one reading. The reason is the reader's own words; it is "" if there is none, or it was erased."""
    parts = [part for part in record.parts if isinstance(part, Mapping)] if record else []
    reasons = [str(part["reason"]) for part in parts if part.get("reason")]
    key = f"console.reads.kind.{reading.what}"
    read_ms = record.fields.get("read", 0) if record else 0
    return {
        "record": reading.record,
        "at": (read_ms if type(read_ms) is int else 0) or (record.at_ms if record else reading.day * 86_400_000),
        "reader": reading.reader,
        "by": reading.by,
        "subject": reading.subject,
        "what": reading.what,
        "what_key": key if visit.site.catalog.has(key) else "",
        "reason": reasons[0] if reasons else "",
    }


ROUTES = (Route("GET", "/reads", reads, who="operator"),)
