"""Gives people what is theirs: the receipt of a message, and all that is held on them.

Rules kept here: it goes into their direct room, as files; nobody else's parts are in it; that it was given is
recorded. Left to others: what they may ask (`commands/own.py`), the form of an export (`storage/export`), erasing
(`operations.py`).
"""

import asyncio
import tempfile
from pathlib import Path

import orjson

from moderation.actions import Action, Erase, GiveData, GiveReceipt, Tell
from moderation.errors import Refused
from moderation.facts import DataGiven
from moderation.ids import RoomId, UserId
from moderation.notices import Moment, Phrase, line
from storage import views
from storage.database import Database
from storage.export.export import Request, export
from storage.export.selection import Selection
from storage.records.journal import Journal
from storage.records.line import open_line
from storage.records.reader import Log
from storage.records.tlog_proof import disclose, prove

from .act import Done
from .clock import Clock
from .direct import DirectRooms
from .homeserver import Homeserver
from .messages.catalog import Catalog
from .notify import MESSAGE
from .operations import Operations
from .pipeline import Pipeline
from .speech import Speech


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
        homeserver: Homeserver,
        database: Database,
        pipeline: Pipeline,
        speech: Speech,
        catalog: Catalog,
        clock: Clock,
        data_dir: Path,
    ) -> None:
        self._homeserver = homeserver
        self._database = database
        self._pipeline = pipeline
        self._speech = speech
        self._catalog = catalog
        self._clock = clock
        self._records = data_dir / "records"
        self._direct = DirectRooms(homeserver, database, pipeline, speech)

    async def receipt(self, action: Action, txn: str) -> Done:
        """The record with the person's own part, and the proof that it is in the signed log."""
        assert isinstance(action, GiveReceipt)
        raw, proof = await self._pipeline.with_journal(lambda journal: _proved(journal, action), signed=True)
        room = await self._room(action.subject)
        await self._send_file(room, f"record-{action.on}.json", "application/json", raw, f"{txn}.record")
        name = f"record-{action.on}.tlog-proof"
        made = await self._send_file(room, name, "text/plain", proof.encode(), f"{txn}.proof")
        await self._explain(room, action.subject, "own.receipt-given", f"{txn}.word")
        return Done((self._given(action.room, action.subject, "receipt", 1),), made=made)

    async def mydata(self, action: Action, txn: str) -> Done:
        """An export of all parts that are about the person."""
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
        readers = await asyncio.to_thread(readers_of, self._records, action.subject, files)
        await self._send_file(room, "who-read-it.json", "application/json", readers, f"{txn}.readers")
        await self._explain(room, action.subject, "own.mydata-given", f"{txn}.word")
        return Done((self._given(action.room, action.subject, "mydata", count),), made=made)

    async def _export(self, user: UserId, language: str) -> tuple[bytes, int]:
        await self._pipeline.with_journal(lambda _: None, signed=True)
        _, hidden = await self._hidden(user)
        selection = Selection(persons=frozenset({user}), without=hidden)
        request = Request(selection, self._clock(), by=user, reason="mydata")
        words = Words(self._catalog, language)

        def work() -> tuple[bytes, int]:
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "my-data.zip"
                summary = export(self._records, out, request, words)
                return out.read_bytes(), summary.records

        return await asyncio.to_thread(work)

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
        address = await self._homeserver.upload(data, mimetype, name)
        content = {
            "msgtype": "m.file",
            "body": name,
            "filename": name,
            "url": address,
            "info": {"mimetype": mimetype, "size": len(data)},
        }
        return await self._homeserver.send(room, MESSAGE, content, txn)

    async def _explain(self, room: RoomId, user: UserId, key: str, txn: str) -> None:
        content = self._speech.message((line(key),), await self._language(user), {})
        await self._homeserver.send(room, MESSAGE, content, txn)

    def _given(self, room: RoomId, user: UserId, what: str, count: int) -> DataGiven:
        return DataGiven(room=room, what=what, count=count, subject=user)  # type: ignore[arg-type]


def readers_of(records: Path, user: UserId, hidden: frozenset[int] = frozenset()) -> bytes:
    """When content was read or exported at the command line that was, or may have been, about a person; as JSON.

    What was asked for about somebody else alone is left out, and so are the files that are `hidden`.
    """
    found = []
    for record in Log(records).read():
        if record.kind not in ("access", "export"):
            continue
        said = {name: value for part in record.parts for name, value in part.items() if name not in ("p", "s")}
        asked = orjson.loads(str(said.get("filters") or "{}"))
        persons = asked.get("person") or []
        persons = [persons] if isinstance(persons, str) else persons
        if asked.get("dossier") in hidden:
            continue
        if not persons or user in persons:
            only = {"persons": [user]} if persons else {}
            when = {"record": record.index, "at_ms": record.at_ms, "what": record.fields.get("what", record.kind)}
            found.append({**when, "by": said.get("reader"), "reason": said.get("reason"), **only})
    return orjson.dumps(found, option=orjson.OPT_INDENT_2)


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
        first = line("own.erase.done", parts=done.parts, n=done.by) if done.parts else line("own.erase.nothing")
        kept = [
            line(
                "own.erase.kept" if each.until_ms else "own.erase.kept-open",
                parts=each.parts,
                until=Moment(each.until_ms),
                duty=each.duty or Phrase("own.erase.duty-measure"),
            )
            for each in done.kept
        ]
        return Done(actions=(Tell(room=action.room, subject=action.subject, lines=(first, *kept)),))
