"""Gives people what is theirs: the receipt of a message, and all that is held on them.

Rules kept here: it goes into their direct room, as files; nobody else's parts are in it; that it was given is
recorded. Left to others: what they may ask (`commands/own.py`), the form of an export (`storage/export`), erasing
(`operations.py`).
"""

import asyncio
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

from moderation.actions import Action, Erase, GiveData, GiveReceipt, Tell
from moderation.errors import Broken, Refused
from moderation.facts import DataGiven
from moderation.ids import RoomId, UserId
from moderation.notices import Line, Moment, Phrase, line
from storage import views
from storage.database import Database
from storage.export.export import Request, export
from storage.export.selection import Selection
from storage.identity_store import Locked
from storage.records.draft import Record
from storage.records.journal import Journal
from storage.records.line import open_line
from storage.records.reader import Log
from storage.records.tlog_proof import disclose, prove

from .act import Done
from .clock import Clock
from .direct import DirectRooms
from .homeserver_sealed import SealedHomeserver
from .messages.catalog import Catalog
from .notify import MESSAGE
from .operations import Operations
from .operations_identity import Forgotten, Identity
from .pipeline import Pipeline
from .speech import Speech

log = structlog.get_logger()

PROVED = "identity"  # `what` of the records of who read what a person proved about themselves


class Words:
    """The texts of one language, as the export asks for them."""

    def __init__(self, catalog: Catalog, language: str) -> None:
        self._catalog = catalog
        self._language = language

    @property
    def language(self) -> str:
        """As in ``<html lang>``."""
        return self._language

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return self._catalog.has(key)

    def text(self, key: str, **fields: object) -> str:
        """The text, filled."""
        return self._catalog.text(self._language, key, **fields)


class OwnData:
    """The handlers of `GiveReceipt` and `GiveData`."""

    def __init__(
        self,
        homeserver: SealedHomeserver,
        database: Database,
        pipeline: Pipeline,
        direct: DirectRooms,
        speech: Speech,
        catalog: Catalog,
        clock: Clock,
        data_dir: Path,
        identity: Identity,
    ) -> None:
        self._homeserver = homeserver
        self._database = database
        self._pipeline = pipeline
        self._speech = speech
        self._catalog = catalog
        self._clock = clock
        self._records = data_dir / "records"
        self._identity = identity
        self._direct = direct

    async def receipt(self, action: Action, txn: str) -> Done:
        """The record with the person's own part, and the proof that it is in the signed log."""
        assert isinstance(action, GiveReceipt)
        raw, proof = await self._pipeline.with_journal(lambda journal: _proved(journal, action), signed=True)
        room = await self._room(action.subject)
        await self._send_file(room, f"record-{action.on}.json", "application/json", raw, f"{txn}.record")
        name = f"record-{action.on}.tlog-proof"
        made = await self._send_file(room, name, "text/plain", proof.encode(), f"{txn}.proof")
        await self._explain(room, action.subject, ("own.receipt-given",), f"{txn}.word")
        return Done((self._given(action.room, action.subject, "receipt", 1),), made=made)

    async def mydata(self, action: Action, txn: str) -> Done:
        """An export of all parts that are about the person, by any of their accounts."""
        assert isinstance(action, GiveData)
        language = await self._language(action.subject)
        try:
            data, count = await self._export(action.subject, language)
        except Refused as refused:
            told = Tell(room=action.room, subject=action.subject, lines=(line(refused.key),))
            return Done(result="abandoned", actions=(told,))
        room = await self._room(action.subject)
        made = await self._send_file(room, "my-data.zip", "application/zip", data, f"{txn}.data")
        files, _ = await self._hidden(action.subject)
        accounts = await self._accounts(action.subject)
        readers = await asyncio.to_thread(readers_of, self._records, action.subject, files, accounts)
        await self._send_file(room, "who-read-it.json", "application/json", readers, f"{txn}.readers")
        proved = await self._proved(room, action.subject, f"{txn}.identity")
        await self._explain(room, action.subject, ("own.mydata-given", *proved), f"{txn}.word")
        return Done((self._given(action.room, action.subject, "mydata", count),), made=made)

    async def _export(self, user: UserId, language: str) -> tuple[bytes, int]:
        await self._pipeline.with_journal(lambda _: None, signed=True)
        _, hidden = await self._hidden(user)
        selection = Selection(persons=await self._accounts(user), without=hidden)
        request = Request(selection, self._clock(), by=user, reason="mydata")
        words = Words(self._catalog, language)

        def work() -> tuple[bytes, int]:
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "my-data.zip"
                summary = export(self._records, out, request, words)
                return out.read_bytes(), summary.records

        return await asyncio.to_thread(work)

    async def _accounts(self, user: UserId) -> frozenset[UserId]:
        async with self._database.read() as db:
            return frozenset(await views.accounts_of(db, user))

    async def _hidden(self, user: UserId) -> tuple[frozenset[int], frozenset[int]]:
        """What a legal bar keeps from the person: files about them, and the records that speak of these."""
        async with self._database.read() as db:
            return await views.hidden_from(db, user)

    async def _room(self, user: UserId) -> RoomId:
        return await self._direct.with_(user, await self._language(user))

    async def _language(self, user: UserId) -> str:
        async with self._database.read() as db:
            return self._speech.language(await views.language_of(db, user))

    async def _send_file(self, room: RoomId, name: str, mimetype: str, data: bytes, txn: str) -> str:
        return await self._homeserver.send_file(room, name, mimetype, data, txn)

    async def _proved(self, room: RoomId, user: UserId, txn: str) -> tuple[str, ...]:
        """Send what they proved about themselves, if anything. What is to be said about it."""
        try:
            claims = await self._identity.own(user)
        except (Locked, Broken) as error:
            log.warning("identity_unreadable", why=str(error))
            return ("own.mydata-locked",)
        if not claims:
            return ()
        data = orjson.dumps(claims, option=orjson.OPT_INDENT_2)
        await self._send_file(room, "my-identity.json", "application/json", data, txn)
        return ("own.mydata-identity",)

    async def _explain(self, room: RoomId, user: UserId, keys: tuple[str, ...], txn: str) -> None:
        content = self._speech.message(tuple(line(key) for key in keys), await self._language(user), {})
        await self._homeserver.send(room, MESSAGE, content, txn)

    def _given(self, room: RoomId, user: UserId, what: str, count: int) -> DataGiven:
        return DataGiven(room=room, what=what, count=count, subject=user)  # type: ignore[arg-type]


def readers_of(
    records: Path, user: UserId, hidden: frozenset[int] = frozenset(), accounts: Collection[UserId] = ()
) -> bytes:
    """When content was read or exported at the command line that was, or may have been, about a person; as JSON.

    What was asked for about somebody else alone is left out, and so are the files that are `hidden`.
    """
    found = []
    for record in Log(records).read():
        if record.kind not in ("access", "export"):
            continue
        said = {name: value for part in record.parts for name, value in part.items() if name not in ("p", "s")}
        asked = orjson.loads(str(said.get("filters") or "{}"))
        persons = _persons_of(record, asked)
        if asked.get("dossier") in hidden:
            continue
        own = sorted({user, *accounts} & set(persons or ()))
        if persons is None or own:
            only = {"persons": own} if persons is not None else {}
            when = {"record": record.index, "at_ms": record.at_ms, "what": record.fields.get("what", record.kind)}
            case = {"case": record.fields["n"]} if record.fields.get("what") == PROVED else {}
            found.append({**when, **case, "by": said.get("reader"), "reason": said.get("reason"), **only})
    return orjson.dumps(found, option=orjson.OPT_INDENT_2)


def _persons_of(record: Record, asked: Mapping[str, Any]) -> Collection[str] | None:
    """Whom reading or an export was about; None: about anybody. What somebody proved is read of them alone."""
    if record.fields.get("what") == PROVED:
        return [str(part["mxid"]) for part in record.parts if "mxid" in part]
    persons = asked.get("person") or None
    return [persons] if isinstance(persons, str) else persons


def _proved(journal: Journal, action: GiveReceipt) -> tuple[bytes, str]:
    """The line of a record with only the person's own parts shown, and its proof."""
    raw = Log(journal.folder).raw(action.on)
    own = [
        place
        for place, part in enumerate(open_line(raw).parts)
        if isinstance(part, dict) and part.get("mxid") == action.subject
    ]
    return disclose(raw, own), prove(journal.folder, action.on)


class Eraser:
    """The handler of `Erase`: erases, and tells the person what went and what stays, and why."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def handle(self, action: Action, _txn: str) -> Done:
        """A person asked for it, and confirmed."""
        assert isinstance(action, Erase)
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
        told = (*(proved or (line("own.erase.nothing"),)), *kept)
        return Done(actions=(Tell(room=action.room, subject=action.subject, lines=told),))


def _of_identity(done: Forgotten) -> tuple[Line, ...]:
    """What became of what the person proved about themselves; nothing is said where there was nothing."""
    if done.held is not None:
        until, duty = Moment(done.held.until_ms), done.held.duty
        return (line("own.erase.identity-kept", until=until, duty=duty),)
    gone = (line("own.erase.identity"),) if done.claims else ()
    return (*gone, line("own.erase.identity-marks")) if done.marks else gone
