"""The floor of `bench/react.py`: a loop that only looks for words and redacts. It keeps nothing and tells nobody.

    python -m bench.floor_bot FOLDER WORD ...        (its session is in FOLDER/session.json)

One loop: /sync, look into each message, redact bad ones, several at once, repeat. In encrypted rooms it reads the
messages whose keys it was given; a key that it has stays in memory, and nothing is noted of what was read.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
import vodozemac

from bot.crypto.machine import CryptoMachine, SyncPart
from bot.crypto.store import place_of
from bot.crypto.store_key import StoreKey
from bot.matrix.client import Session
from bot.matrix.http import Wire
from storage.database.place import DatabasePlace

_ROOM = {"ephemeral": {"types": []}, "timeline": {"limit": 1000}}  # a homeserver may give less
_FILTER = json.dumps({"presence": {"types": []}, "account_data": {"types": []}, "room": _ROOM})
_ENCRYPTION = ("device_lists", "device_one_time_keys_count", "device_unused_fallback_key_types")
READY = "ready"  # the file that says that the floor is ready
AT_ONCE = 4  # redactions at once, as many as the bot sends


class Floor:
    """The loop."""

    def __init__(self, session: Session, http: aiohttp.ClientSession, machine: CryptoMachine, words: list[str]) -> None:
        self._url = f"{session.url}/_matrix/client/v3"
        self._user = session.user
        self._http = http
        self._machine = machine
        self._words = words
        self._keys: dict[str, vodozemac.InboundGroupSession] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def run(self, ready: Callable[[], object]) -> None:
        """Run until ended; `ready` is called when it has begun to listen."""
        since = ""
        while True:
            query = {"timeout": "30000" if since else "0", "filter": _FILTER, **({"since": since} if since else {})}
            async with self._http.get(f"{self._url}/sync", params=query) as response:
                answer = orjson.loads(await response.read())
            await self._keys_of(answer, initial=not since)
            for room, part in answer.get("rooms", {}).get("join", {}).items():
                news = await self._news(room, part["timeline"], since) if since else []
                bad = [event for event in news if event["sender"] != self._user and await self._is_bad(event)]
                await asyncio.gather(*(self._redact(room, event["event_id"]) for event in bad))
            if not since:
                ready()
            since = answer["next_batch"]

    async def _news(self, room: str, timeline: dict[str, Any], since: str) -> list[dict[str, Any]]:
        """Return the events since the last answer, oldest first; events that this one left out are asked for."""
        found: list[dict[str, Any]] = timeline["events"]
        start = timeline["prev_batch"] if timeline.get("limited") else ""
        path = f"{self._url}/rooms/{quote(room, safe='')}/messages"
        while start:
            query = {"dir": "b", "from": start, "to": since, "limit": "100"}
            async with self._http.get(path, params=query) as response:
                page = orjson.loads(await response.read())
            found = [*reversed(page["chunk"]), *found]
            start = page.get("end", "") if page["chunk"] else ""
        return found

    async def _keys_of(self, answer: dict[str, Any], *, initial: bool) -> None:
        messages = answer.get("to_device", {}).get("events", ())
        if initial or messages:
            fields = {name: answer[name] for name in _ENCRYPTION if name in answer}
            await self._machine.receive(SyncPart.of(messages, fields, initial=initial))
            await self._machine.tend()

    async def _is_bad(self, event: dict[str, Any]) -> bool:
        content = event["content"]
        if event["type"] == "m.room.encrypted":
            content = await self._opened(content)
        body = str(content.get("body", ""))
        return any(word in body for word in self._words)

    async def _opened(self, content: dict[str, Any]) -> dict[str, Any]:
        key = content.get("session_id", "")
        if key not in self._keys:
            machine = self._machine
            sql = "SELECT pickle FROM room_keys WHERE session = ?"
            row = await machine.store.run(lambda db: db.execute(sql, (key,)).fetchone())
            if row is None:
                return {}
            self._keys[key] = vodozemac.InboundGroupSession.from_pickle(row[0], machine.store.pickle_key)
        message = vodozemac.MegolmMessage.from_base64(content["ciphertext"])
        found: dict[str, Any] = orjson.loads(self._keys[key].decrypt(message).plaintext)["content"]
        return found

    async def _redact(self, room: str, event: str) -> None:
        path = f"{self._url}/rooms/{quote(room, safe='')}/redact/{quote(event, safe='')}/floor{event[1:12]}"
        async with self._at_once, self._http.put(path, data=b"{}") as response:
            await response.read()


async def _main(folder: Path, words: list[str]) -> None:
    session = Session(*json.loads((folder / "session.json").read_text(encoding="utf-8")))
    headers = {"Authorization": f"Bearer {session.token}"}
    wire = Wire(session.url, token=session.token)
    key = StoreKey(bytes(32))
    machine = await CryptoMachine.open(
        place_of(DatabasePlace(folder), session.device), key, wire, session.user, session.device
    )
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as http:
        await Floor(session, http, machine, words).run((folder / READY).touch)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2:]))
