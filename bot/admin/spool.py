"""The notes of the command line and the console about who read what (`storage/journal/access.py`), turned into records.

Rules kept here:
- A record says when it was read, not when the bot found the note.
- It says whom it was about: one record for each person.
- A note makes its records once, however often it is found.
- Of lists and balances (`GLANCES`) one a day is recorded for each person and reader.
- The ids of people stand in separate parts, so that they can be erased; also those in words that were searched for.
- What says wrongly whom it was about is no note, and makes no record about nobody.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.model.facts import ContentRead, Fact, RecordsExported
from moderation.rules.mentions import mentioned
from moderation.values.access_reasons import GLANCES
from moderation.values.ids import NO_USER, UserId
from storage import queries
from storage.journal.access import FOLDER, PATTERN
from storage.record_mapping import word

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Note:
    """One note: who read what, when and why.

    `persons` and `cases` say whom it was about; both empty: nobody in particular.
    """

    name: str
    what: str
    read_ms: int
    reader: str
    reason: str
    persons: tuple[UserId, ...]
    cases: tuple[int, ...]
    filters: Mapping[str, Any]
    listed: str = ""  # for an export: which records are in it
    contents: str = ""  # and which files
    user: UserId = NO_USER  # of somebody who read in the console, by their Matrix id


class Spool:
    """The notes, which are recorded and removed."""

    def __init__(self, data_dir: Path, pipeline: Pipeline, clock: Clock) -> None:
        self._folder = data_dir / FOLDER
        self._pipeline = pipeline
        self._clock = clock

    async def pick_up(self) -> None:
        """Record what the notes say, then remove them."""
        await self._take(await asyncio.to_thread(lambda: sorted(self._folder.glob(PATTERN))))

    async def pick_up_one(self, name: str) -> None:
        """Do the same with the note of this name, if it is there."""
        wanted = f"access-{word(name)}.json"
        await self._take(await asyncio.to_thread(lambda: [*self._folder.glob(wanted)]))

    async def _take(self, paths: Sequence[Path]) -> None:
        for path in paths:
            note = await asyncio.to_thread(_read, path, self._clock())
            if note is not None:
                await self._record(note)
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _record(self, note: Note) -> None:
        async def facts(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            if fresh := await _facts_of(db, note):
                yield fresh

        await self._pipeline.commit_with(facts)


async def _facts_of(db: AsyncConnection, note: Note) -> tuple[Fact, ...]:
    persons = {*note.persons, *await queries.subjects_of_cases(db, note.cases)}
    facts: list[Fact] = []
    if note.what == "export" and not await queries.is_noted(db, note.name, UserId("")):
        facts.append(_exported(note, len(persons)))
    anybody = () if note.what == "export" else (UserId(""),)
    for person in sorted(persons) or anybody:
        if not await _is_known(db, note, person):
            facts.append(_content_read(note, person))
    return tuple(facts)


async def _is_known(db: AsyncConnection, note: Note, person: UserId) -> bool:
    if await queries.is_noted(db, note.name, person):
        return True
    return note.what in GLANCES and await queries.was_looked_at(
        db, person, note.read_ms, reader=note.reader, by=note.user
    )


def _exported(note: Note, persons: int) -> RecordsExported:
    return RecordsExported(
        count=_number(note.filters.get("records")),
        read=note.read_ms,
        note=note.name,
        records=note.listed,
        contents=note.contents,
        reader=note.reader,
        reason=note.reason,
        filters=orjson.dumps({**note.filters, "persons": persons}).decode(),
    )


def _content_read(note: Note, person: UserId) -> ContentRead:
    return ContentRead(
        what=note.what,
        n=note.cases[0] if len(note.cases) == 1 else 0,
        read=note.read_ms,
        note=note.name,
        subject=person,
        by=note.user,
        reader=note.reader,
        reason=note.reason,
        filters=orjson.dumps(note.filters).decode() if note.filters else "",
    )


def _read(path: Path, now_ms: int) -> Note | None:
    try:
        said = orjson.loads(path.read_bytes())
        filters = dict(said["filters"])
        user = UserId(str(said.get("user", "")))
        reader, reason = "" if user else str(said["by"]), str(said["reason"])
        persons, cases = _listed(filters.pop("person", None), str), _listed(filters.get("case"), int)
    except (ValueError, KeyError, TypeError) as error:
        log.warning("access_note_unreadable", file=path.name, why=str(error))
        return None
    read_ms = min(_number(said.get("at_ms")), now_ms) or now_ms
    persons += [*_taken_out(filters)]
    listed, contents = (str(filters.pop(each, "")) for each in ("listed", "contents"))
    name, what = word(path.stem.removeprefix("access-")), word(str(filters.get("what", "show")))
    about = tuple(map(UserId, persons))
    return Note(name, what, read_ms, reader, reason, about, tuple(cases), filters, listed, contents, user)


def _number(said: object) -> int:
    return said if type(said) is int and said > 0 else 0


def _listed(said: object, kind: type) -> list[Any]:
    """Return what is said, one or several; nothing if it is None. Raises `TypeError` if it is of another kind."""
    several = said if isinstance(said, list) else [said] if said is not None else []
    if not all(type(each) is kind for each in several):
        raise TypeError(f"neither one nor several of {kind.__name__}")
    return several


def _taken_out(filters: dict[str, Any]) -> Iterator[str]:
    """Take the ids of people out of the words that were searched for; yield them, also as ids are written today."""
    words = filters.get("text")
    if not isinstance(words, str):
        return
    for user in sorted(mentioned(words), key=len, reverse=True):
        words = words.replace(user, "@…")
        yield from {user, user.lower()}
    filters["text"] = "@…" if mentioned(words) else words  # a link writes them otherwise
