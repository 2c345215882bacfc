"""The roster: the operator imports it, hands out codes for it and removes people at the command line.

Rules kept here:
- The account that runs the bot reads the file and writes the list of codes (0600). So nothing of it goes through the
  records or the socket but counts and faults.
- People who are removed are from that moment no longer verified by it.

Left to others: the file (`roster_csv.py`), keeping it (`storage/identity/roster.py`).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.model.facts import ContentRead, Fact, PersonVerified
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.ids import PersonId, UserId
from storage import schema
from storage.database.database import Database
from storage.identity.roster import METHOD, Changes, Listed, ListedStatus, Roster
from storage.identity.store import IdentityStore
from storage.journal import disk

from .request import ByName, Request
from .roster_csv import Sheet, parse, write

SHOWN = 20  # entries shown of what is new, changed, gone
WRONG_SHOWN = 200
LISTED = 1_000
CODE_DAYS = 30
MAX_BYTES = 100 * 1024 * 1024


class RosterOperations:
    """Operations that import, list, hand out codes, and remove."""

    def __init__(self, pipeline: Pipeline, database: Database, store: IdentityStore, clock: Clock) -> None:
        self._pipeline = pipeline
        self._database = database
        self._store = store
        self._roster = Roster(store)
        self._clock = clock

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {
            "roster-import": self._do_import,
            "roster-list": self._do_list,
            "roster-codes": self._do_codes,
            "roster-remove": self._do_remove,
        }

    async def _do_import(self, asked: Request) -> dict[str, Any]:
        dry_run, remove = bool(asked.arguments.get("dry_run")), bool(asked.arguments.get("remove_gone"))
        sheet = await asyncio.to_thread(_read, Path(asked.string("file")))
        refused = {each.identifier for each in sheet.wrong if each.identifier}
        if not dry_run:
            await self._note(asked, "roster-import", entries=len(sheet.listed))
        changes = await asyncio.to_thread(
            self._roster.load, sheet.listed, refused, remove_gone=remove, dry_run=dry_run, progress=asked.progress
        )
        if remove and not dry_run:
            for identifier in changes.gone:
                await self._revoke(identifier)
        return _summary(changes, sheet)

    async def _do_list(self, asked: Request) -> dict[str, Any]:
        await self._note(asked, "roster-list")
        found = await asyncio.to_thread(lambda: list(self._roster.all()))
        counts = {"entries": len(found), "used": sum(1 for each in found if each.used)}
        return {**counts, "shown": [_entry(each) for each in found[: min(asked.number("limit"), LISTED)]]}

    async def _do_codes(self, asked: Request) -> dict[str, Any]:
        now, out = self._clock(), Path(asked.string("out"))
        until = now + int(asked.arguments.get("days") or CODE_DAYS) * DAY_MS
        only = [str(each) for each in asked.arguments.get("only") or ()]
        if await asyncio.to_thread(out.exists):
            raise Refused("cli.roster.exists", file=out)
        await self._note(asked, "roster-codes")
        made = await asyncio.to_thread(self._roster.codes, now, until, only, partial(_write, out))
        return {"codes": made, "until": until, "file": str(out)}

    async def _do_remove(self, asked: Request) -> dict[str, Any]:
        await self._note(asked, "roster-remove")
        gone = await asyncio.to_thread(self._roster.remove, asked.string("identifier"))
        if gone is None:
            raise Refused("cli.roster.unknown")
        return {"revoked": await self._revoke(gone.listed.identifier)}

    async def _note(self, asked: Request, what: str, **filters: int) -> None:
        """Record who looks at, or changes, the roster, before it is done. It holds no member's name."""
        said = json.dumps(filters) if filters else ""
        noted = ContentRead(what=what, reader=asked.reader, reason=asked.string("reason"), filters=said)
        await self._pipeline.commit((noted,))

    async def _revoke(self, identifier: str) -> int:
        """End what the roster proved of the person who used this entry. Return how many verifications ended."""
        person = await asyncio.to_thread(self._store.find, METHOD, "", identifier)
        if person is None:
            return 0
        count = 0

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            nonlocal count
            for fact in await _revocations(db, person, self._clock()):
                count += 1
                yield (fact,)

        await self._pipeline.commit_with(make)
        claims = await asyncio.to_thread(self._store.claims_of, person)
        theirs = [c.id for c in claims if c.method == METHOD and c.fields.get("identifier") == identifier]
        await asyncio.to_thread(self._store.drop, theirs)
        return count


async def _revocations(db: AsyncConnection, person: PersonId, now_ms: int) -> list[PersonVerified]:
    v = schema.verifications.c
    query = select(v.record, v.user, v.level, v.until).where(
        v.person == person, v.method == METHOD, v.revoked == 0, v.until > now_ms
    )
    return [
        PersonVerified(
            step="revoked", method="roster", level=row.level, until=now_ms, undoes=row.record, subject=UserId(row.user)
        )
        for row in await db.execute(query)
    ]


def _read(path: Path) -> Sheet:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Refused("cli.roster.too_large", file=path, limit=MAX_BYTES // 2**20)
        data = path.read_bytes()
    except OSError as error:
        raise Refused("cli.roster.unreadable", file=path, why=error.strerror or str(error)) from None
    return parse(data)


def _write(out: Path, made: Sequence[tuple[Listed, str]]) -> None:
    rows = ((each.identifier, each.name, each.email, code) for each, code in made)
    text = write(("identifier", "name", "email", "code"), rows)
    try:
        disk.create_once(out, text.encode("utf-8-sig"), disk.SECRET_MODE)
        disk.give_to_owner_of(out.parent, out)
    except OSError as error:
        raise Refused("cli.roster.not_written", file=out, why=error.strerror or str(error)) from None


def _summary(changes: Changes, sheet: Sheet) -> dict[str, Any]:
    shown = {name: list(getattr(changes, name)[:SHOWN]) for name in ("new", "changed", "gone")}
    counts = {name: len(getattr(changes, name)) for name in ("new", "changed", "gone")}
    wrong = [{"line": each.line, "why": each.why, "other": each.other} for each in sheet.wrong[:WRONG_SHOWN]]
    return {"counts": {**counts, "same": changes.same, "wrong": len(sheet.wrong)}, "shown": shown, "wrong": wrong}


def _entry(each: ListedStatus) -> dict[str, Any]:
    return {**asdict(each.listed), "code_until": each.code_until, "used": each.used}
