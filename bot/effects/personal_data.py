"""The handing over of people's own data: the receipt of a message, and all that is held on them.

Rules kept here:
- The data goes into their direct room, as files.
- Nobody else's parts are in it.
- It is recorded that data was given.

Left to others: what people may ask for (`bot/commands/personal_data.py`), the form of an export (`storage/export`),
erasing (`bot/admin/records.py`).
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import orjson
import structlog

from bot.admin.identity import Forgotten, IdentityOperations
from bot.admin.records import Operations
from bot.bot_rooms.direct_rooms import DirectRooms
from bot.matrix.errors import HomeserverError, LoggedOut, RateLimited, Unreachable
from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from bot.texts.catalog import Catalog
from moderation.model.actions.people import Erase, EraseAlso, GiveData, GiveReceipt
from moderation.model.actions.telling import Tell
from moderation.model.facts import DataGiven
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Code, Line, Moment, Phrase, line
from storage import queries
from storage.export.export import ExportRequest, export
from storage.export.selection import Selection
from storage.identity.store import Locked
from storage.journal.journal import Journal
from storage.journal.line_format import open_line
from storage.journal.reader import Log
from storage.journal.transparency.tlog_proof import disclose, prove

from .record_readers import Own, readers_of

log = structlog.get_logger()


class ExportTexts:
    """The texts of one language, as the export asks for them."""

    def __init__(self, catalog: Catalog, language: str) -> None:
        self._catalog = catalog
        self._language = language

    @property
    def language(self) -> str:
        """The language code, as in ``<html lang>``."""
        return self._language

    def has(self, key: str) -> bool:
        """Tell whether there is a text of this key."""
        return self._catalog.has(key)

    def text(self, key: str, **fields: object) -> str:
        """Return the text with its fields filled in."""
        return self._catalog.text(self._language, key, **fields)


class OwnData(ActionHandler):
    """The handlers of `GiveReceipt` and `GiveData`."""

    def __init__(
        self, services: Services, direct: DirectRooms, catalog: Catalog, data_dir: Path, identity: IdentityOperations
    ) -> None:
        super().__init__(services)
        self._catalog = catalog
        self._records = data_dir / "records"
        self._identity = identity
        self._direct = direct
        self.handles: Handlers = {GiveReceipt: self.receipt, GiveData: self.mydata}

    async def receipt(self, action: GiveReceipt, txn: str) -> Done:
        """Give a record with only the person's own part shown, and the proof that it is in the signed log."""
        raw, proof = await self._pipeline.journal.use(lambda journal: _proved(journal, action), signed=True)
        room, name = await self._room(action.subject), f"record-{action.on}"
        files = (
            _File(f"{name}.json", "application/json", "record", _made(raw)),
            _File(f"{name}.tlog-proof", "text/plain", "proof", _made(proof.encode())),
        )
        answer = await self._give(room, files, txn)
        return self._answered(action, "receipt", 1, answer, (line("own.receipt-given"),))

    async def mydata(self, action: GiveData, txn: str) -> Done:
        """Give an export of all parts about the person's accounts, the list of who read it, and what they proved."""
        user, count = action.subject, 0

        async def data() -> bytes:
            nonlocal count
            zipped, count = await self._export(user, await self._language(user))
            return zipped

        files = (
            _File("my-data.zip", "application/zip", "data", data),
            _File("who-read-it.json", "application/json", "readers", partial(self._readers, user)),
            _File("my-identity.json", "application/json", "identity", partial(self._proved, user)),
        )
        room = await self._room(user)
        answer = await self._give(room, files, txn)
        words = [line("own.mydata-given")] if "data" in answer.given else []
        words += [line("own.mydata-identity")] if "identity" in answer.given else []
        return self._answered(action, "mydata", count, answer, words)

    async def _give(self, room: RoomId, files: Sequence["_File"], txn: str) -> "_Answer":
        """Send files one by one: one that cannot be made or sent does not stop the others."""
        answer = _Answer()
        for file in files:
            try:
                data = await file.make()
                if data is None:
                    continue
                sent = await self._homeserver.send_file(room, file.name, file.mimetype, data, f"{txn}.{file.what}")
            except (RateLimited, Unreachable, LoggedOut):
                raise  # everything is tried again later; the homeserver knows by its transaction id what was sent
            except Refused as refused:
                answer.missing.append(line(refused.key, **{name: str(value) for name, value in refused.fields.items()}))
            except HomeserverError as error:
                log.warning("own_data_part_refused", part=file.what, why=str(error))
                answer.missing.append(line("own.part-missing", file=Code(file.name)))
            except Exception:
                log.exception("own_data_part_failed", part=file.what)
                answer.missing.append(line("own.part-missing", file=Code(file.name)))
            else:
                answer.given[file.what] = sent
        return answer

    def _answered(
        self,
        action: GiveReceipt | GiveData,
        what: Literal["receipt", "mydata"],
        count: int,
        answer: "_Answer",
        words: Sequence[Line],
    ) -> Done:
        """Return the outcome: the record of what was given, and the message about what came and what is missing.

        The record does not depend on whether the message can be sent.
        """
        given = DataGiven(room=action.room, what=what, count=count, subject=action.subject)
        lines = tuple(words if answer.given else ()) + tuple(answer.missing)
        told = Tell(room=action.room, subject=action.subject, lines=lines, alone=True)
        made = next(iter(answer.given.values()), "")
        return Done((given,) if made else (), (told,), made=made, result="done" if made else "abandoned")

    async def _export(self, user: UserId, language: str) -> tuple[bytes, int]:
        await self._pipeline.journal.use(lambda _: None, signed=True)
        _, hidden = await self._hidden(user)
        selection = Selection(persons=await self._accounts(user), without=hidden)
        request = ExportRequest(selection, self._clock(), by=user, reason="mydata")
        words = ExportTexts(self._catalog, language)

        def work() -> tuple[bytes, int]:
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "my-data.zip"
                summary = export(self._records, out, request, words)
                return out.read_bytes(), summary.records

        return await asyncio.to_thread(work)

    async def _accounts(self, user: UserId) -> frozenset[UserId]:
        return frozenset(await self._database.fetch(queries.accounts_of, user))

    async def _hidden(self, user: UserId) -> tuple[frozenset[int], frozenset[int]]:
        """Return what a legal bar keeps from the person: files about them, and the records that mention these."""
        return await self._database.fetch(queries.hidden_from, user)

    async def _room(self, user: UserId) -> RoomId:
        return await self._direct.with_(user, await self._language(user))

    async def _language(self, user: UserId) -> str:
        return self._speech.language(await self._database.fetch(queries.language_of, user))

    async def _readers(self, user: UserId) -> bytes:
        async with self._database.read() as db:
            accounts = frozenset(await queries.accounts_of(db, user))
            cases = await queries.cases_about(db, accounts)
            files = frozenset(each.record for each in await queries.all_dossiers(db) if each.subject in accounts)
            hidden, _ = await queries.hidden_from(db, user)
        return await asyncio.to_thread(readers_of, self._records, Own(accounts, cases, files, hidden))

    async def _proved(self, user: UserId) -> bytes | None:
        """Return what the person proved about themselves, as JSON, or None. Raises Refused if the store is locked."""
        try:
            claims = await self._identity.own(user)
        except Locked as error:
            log.warning("identity_unreadable", why=str(error))
            raise Refused("own.mydata-locked") from error
        return orjson.dumps(claims, option=orjson.OPT_INDENT_2) if claims else None


@dataclass(frozen=True, slots=True)
class _File:
    """One file of an answer. `make` returns None if there is nothing to give."""

    name: str
    mimetype: str
    what: str
    make: Callable[[], Awaitable[bytes | None]]


@dataclass(slots=True)
class _Answer:
    """The files that were given, with the event of each, and the lines about those that could not be given."""

    given: dict[str, str] = field(default_factory=dict)
    missing: list[Line] = field(default_factory=list)


def _made(data: bytes) -> Callable[[], Awaitable[bytes]]:
    async def make() -> bytes:
        return data

    return make


def _proved(journal: Journal, action: GiveReceipt) -> tuple[bytes, str]:
    """Return the line of a record with only the person's own parts shown, and its proof."""
    raw = Log(journal.folder).raw(action.on)
    own = [
        place
        for place, part in enumerate(open_line(raw).parts)
        if isinstance(part, dict) and part.get("mxid") == action.subject
    ]
    return disclose(raw, own), prove(journal.folder, action.on)


class DataEraser:
    """The handlers of `Erase`, which tells the person what was erased, what stays, and why, and of `EraseAlso`."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self.handles: Handlers = {Erase: self.handle, EraseAlso: self.also}

    async def also(self, action: EraseAlso, _txn: str) -> Done:
        """Erase what is held here on a person who was erased in another shard, which tells them what that means."""
        await self._operations.erase(action.subject, what="request", others="" if action.again else "erase-relayed")
        return Done()

    async def handle(self, action: Erase, _txn: str) -> Done:
        """Erase what is held on a person who asked for it and confirmed."""
        done = await self._operations.erase(action.subject, what="request")
        proved = _of_identity(done.identity)
        if done.parts:
            proved = (line("own.erase.done", parts=done.parts, n=done.by), *proved)
        kept = [
            line(
                "own.erase.kept" if each.until_ms else "own.erase.kept-open",
                parts=each.parts,
                until=Moment(each.until_ms),
                duty=each.duty or Phrase("own.erase.duty-measure"),
            )
            for each in done.kept
        ]
        rest = [line("own.erase.said", count=done.said)] if done.said else []
        rest += [line("own.erase.elsewhere", count=done.elsewhere)] if done.elsewhere else []
        told = (*(proved or (line("own.erase.nothing"),)), *kept, *rest, line("own.erase.stays"))
        return Done(actions=(Tell(room=action.room, subject=action.subject, lines=told),))


def _of_identity(done: Forgotten) -> tuple[Line, ...]:
    """Return what happened to what the person proved about themselves; no line if there was nothing."""
    if done.held is not None:
        until, duty = Moment(done.held.until_ms), done.held.duty
        return (line("own.erase.identity-kept", until=until, duty=duty),)
    gone = (line("own.erase.identity"),) if done.claims else ()
    return (*gone, line("own.erase.identity-marks")) if done.marks else gone
