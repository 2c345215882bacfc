"""The files of messages, fetched and opened.

Rules kept here:
- A file is fetched once for all who want it at the same time, and never beyond the size limit.
- Only a limited amount is fetched for one person in an hour (`PER_PERSON`). Work on their files counts, too.
- A server that keeps the homeserver waiting is left alone for a while (`RESTS_S`), so that the files of others are not.
- The file is handed on and not kept.

Left to others: what is done with it (`media_hash.py`, `ask_plugin.py`), making the requests (`bot/matrix/`).
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

from bot.crypto.attachments import EncryptedFile
from bot.crypto.encoding import MalformedKey
from bot.crypto.errors import NotTrusted
from bot.matrix.client import Homeserver
from bot.matrix.errors import Answered, TooLarge
from bot.outbox.handler import Done, RetryLater
from moderation.values.errors import Invalid
from moderation.values.ids import UserId

PER_PERSON = 10  # files of the largest size, in an hour
RESTS_S = 30.0
_SLOW_S = 5.0
_TRIES, _LAST_MS = 8, 1_200_000  # of a file on such a server: about an hour
_HOUR_S = 3_600.0


class NotFetched(Exception):
    """A file that is not to be had: it is too large, or was refused for the reason `code`."""

    def __init__(self, result: Literal["refused", "large"], code: str = "-") -> None:
        super().__init__(result, code)
        self.result: Literal["refused", "large"] = result
        self.code = code


def name_of(url: str, file: Mapping[str, Any] | None) -> str:
    """Return what tells one file from another: its address and, if it is encrypted, how it is opened."""
    return json.dumps((url, file), sort_keys=True)


class FileFetcher:
    """Fetches files from the homeserver."""

    def __init__(self, homeserver: Homeserver, limit_bytes: int) -> None:
        self._homeserver = homeserver
        self._limit = limit_bytes
        self._running: dict[str, asyncio.Task[bytes]] = {}
        self._rests: dict[str, float] = {}  # servers that were slow -> until when
        self._fetched: dict[UserId, deque[tuple[float, int]]] = {}  # for whom, when, how much

    async def fetch(self, url: str, file: Mapping[str, Any] | None, subject: UserId, slow: Done) -> bytes:
        """Return the content of a file that somebody posted.

        Raises `NotFetched`, `HomeserverError`, and `RetryLater` while its server rests; at last `slow` is the outcome.
        """
        name = name_of(url, file)
        task = self._running.get(name)
        if task is None:
            if self._spent(subject) >= PER_PERSON * self._limit:
                raise NotFetched("refused", "budget")
            if asyncio.get_running_loop().time() < self._rests.get(_server(url), 0.0):
                first_ms = int(RESTS_S * 1000)
                raise RetryLater("its server rests", slow, tries=_TRIES, first_ms=first_ms, last_ms=_LAST_MS)
            task = self._running[name] = asyncio.create_task(self._fetch(url, file, subject), name="fetch file")
            task.add_done_callback(lambda done: self._ended(name, done))
        return await asyncio.shield(task)  # others may want it, too

    def charge(self, user: UserId, share: float) -> None:
        """Count work on a file of somebody as if so much of the largest size had been fetched."""
        self._spend(user, round(share * self._limit))

    def _ended(self, name: str, done: asyncio.Task[bytes]) -> None:
        del self._running[name]
        if not done.cancelled():
            done.exception()  # mark it as retrieved: everybody who waited for it may be gone

    async def _fetch(self, url: str, file: Mapping[str, Any] | None, subject: UserId) -> bytes:
        try:
            data = await self._download(url)
            self._spend(subject, len(data))
            return await asyncio.to_thread(_opened, file, data) if file else data
        except TooLarge:
            self._spend(subject, self._limit)
            raise NotFetched("large") from None
        except (Invalid, MalformedKey, NotTrusted):
            raise NotFetched("refused", "address") from None
        except Answered as error:
            raise NotFetched("refused", error.errcode or "-") from error

    async def _download(self, url: str) -> bytes:
        clock = asyncio.get_running_loop().time
        began = clock()
        self._rests = {each: until for each, until in self._rests.items() if until > began}
        try:
            return await self._homeserver.download(url, at_most=self._limit)
        finally:
            if clock() - began > _SLOW_S:
                self._rests[_server(url)] = clock() + RESTS_S

    def _spend(self, user: UserId, size: int) -> None:
        self._fetched.setdefault(user, deque()).append((asyncio.get_running_loop().time(), size))

    def _spent(self, user: UserId) -> int:
        """Return how many bytes were fetched for somebody within the last hour."""
        now = asyncio.get_running_loop().time()
        for each in [each for each, times in self._fetched.items() if times[-1][0] < now - _HOUR_S]:
            del self._fetched[each]
        times = self._fetched.get(user, deque())
        while times and times[0][0] < now - _HOUR_S:
            times.popleft()
        return sum(size for _, size in times)


def _server(url: str) -> str:
    return url.removeprefix("mxc://").partition("/")[0]


def _opened(file: Mapping[str, Any], data: bytes) -> bytes:
    """Return the decrypted content of an encrypted file. Raises `MalformedKey`, `NotTrusted`."""
    return EncryptedFile.of(file).open(data)
