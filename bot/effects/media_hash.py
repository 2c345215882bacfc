"""The hashes and sizes of files in messages: they show later which file was posted, without keeping it.

Rules kept here:
- Of an encrypted file the decrypted content is hashed.
- If a rule knows pictures by what they look like, so are pictures (`picture_hash.py`), one after the other in a thread.
- A file is fetched once, however many messages and edits show it, and never beyond the size limit.
- Only a limited amount is fetched for one person in an hour (`PER_PERSON`).
- A server that keeps the homeserver waiting is left alone for a while (`RESTS_S`), so that the files of others are not.
- A file that cannot be fetched is noted as such.
- The file itself is not kept. What is known of fetched files is forgotten at a restart.

Left to others: which messages have files (`bot/events/parse_message.py`), the rule on media
(`moderation/rules/media.py`).
"""

import asyncio
import hashlib
import json
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.crypto.attachments import EncryptedFile
from bot.crypto.encoding import MalformedKey
from bot.crypto.errors import NotTrusted
from bot.matrix.client import Homeserver
from bot.matrix.errors import Answered, TooLarge
from bot.outbox.handler import Done, Handlers, RetryLater
from moderation.model.actions import HashMedia
from moderation.model.facts import MediaKept, MediaResult
from moderation.values.errors import Invalid
from moderation.values.ids import UserId

from .picture_hash import pdq_of

PER_PERSON = 10  # files of the largest size, in an hour
RESTS_S = 30.0
_SLOW_S = 5.0
_TRIES, _LAST_MS = 8, 1_200_000  # of a file on such a server: about an hour
_HOUR_S = 3_600.0
_REMEMBERED = 10_000  # files


@dataclass(frozen=True, slots=True)
class _Hashed:
    size: int
    sha256: str
    pdq: str = ""


def _opened(file: Mapping[str, Any], data: bytes) -> bytes:
    """Return the decrypted content of an encrypted file. Raises `MalformedKey`, `NotTrusted`."""
    return EncryptedFile.of(file).open(data)


class MediaHasher:
    """The handler of `HashMedia`."""

    def __init__(self, homeserver: Homeserver, limit_bytes: int, *, pictures: bool = False) -> None:
        self._homeserver = homeserver
        self._pictures = asyncio.Semaphore(1) if pictures else None  # a picture takes memory while it is open
        self._limit = limit_bytes
        self.handles: Handlers = {HashMedia: self.handle}
        self._known: OrderedDict[str, _Hashed] = OrderedDict()
        self._rests: dict[str, float] = {}  # servers that were slow -> until when
        self._fetched: dict[UserId, deque[tuple[float, int]]] = {}  # for whom, when, how much

    async def handle(self, action: HashMedia, _txn: str) -> Done:
        """Fetch and hash the file, and return the fact about it."""
        name = json.dumps((action.url, action.file), sort_keys=True)
        if (known := self._known.get(name)) is not None:
            return Done((self._fact(action, hashed=known),))
        if self._spent(action.subject) >= PER_PERSON * self._limit:
            return Done((self._fact(action, result="refused"),), code="budget")
        try:
            data = await self._download(action)
            self._spend(action.subject, len(data))
            if action.file:
                data = await asyncio.to_thread(_opened, action.file, data)
        except TooLarge:
            self._spend(action.subject, self._limit)
            return Done((self._fact(action, result="large"),))
        except (Invalid, MalformedKey, NotTrusted):
            return Done((self._fact(action, result="refused"),), code="address")
        except Answered as error:
            return Done((self._fact(action, result="refused"),), code=error.errcode or "-")
        self._known[name] = hashed = await self._hashed(data)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return Done((self._fact(action, hashed=hashed),))

    async def _download(self, action: HashMedia) -> bytes:
        """Fetch a file. Raises `RetryLater` while its server rests."""
        server, clock = action.url.removeprefix("mxc://").partition("/")[0], asyncio.get_running_loop().time
        began = clock()
        if began < self._rests.get(server, 0.0):
            lost = Done((self._fact(action, result="refused"),), code="slow")
            raise RetryLater("its server rests", lost, tries=_TRIES, first_ms=int(RESTS_S * 1000), last_ms=_LAST_MS)
        self._rests = {each: until for each, until in self._rests.items() if until > began}
        try:
            return await self._homeserver.download(action.url, at_most=self._limit)
        finally:
            if clock() - began > _SLOW_S:
                self._rests[server] = clock() + RESTS_S

    async def _hashed(self, data: bytes) -> _Hashed:
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        if self._pictures is None:
            return _Hashed(len(data), digest)
        async with self._pictures:
            return _Hashed(len(data), digest, " ".join(await asyncio.to_thread(pdq_of, data)))

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

    def _fact(self, action: HashMedia, *, result: MediaResult = "done", hashed: _Hashed = _Hashed(0, "")) -> MediaKept:
        return MediaKept(
            room=action.room,
            on=action.on,
            bytes=hashed.size,
            result=result,
            subject=action.subject,
            sha256=hashed.sha256,
            pdq=hashed.pdq,
            url=action.url,
        )
