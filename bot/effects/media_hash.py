"""The hashes and sizes of files in messages: they show later which file was posted, without keeping it.

Rules kept here:
- Of an encrypted file the decrypted content is hashed.
- A file is fetched once, however many messages and edits show it, and never beyond the size limit.
- Only a limited amount is fetched for one person in an hour (`PER_PERSON`).
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
from bot.outbox.handler import Done, Handlers
from moderation.model.actions import HashMedia
from moderation.model.facts import MediaKept, MediaResult
from moderation.values.errors import Invalid
from moderation.values.ids import UserId

PER_PERSON = 10  # files of the largest size, in an hour
_HOUR_S = 3_600.0
_REMEMBERED = 10_000  # files


@dataclass(frozen=True, slots=True)
class _Hashed:
    size: int
    sha256: str


def _opened(file: Mapping[str, Any], data: bytes) -> bytes:
    """Return the decrypted content of an encrypted file. Raises `MalformedKey`, `NotTrusted`."""
    return EncryptedFile.of(file).open(data)


class MediaHasher:
    """The handler of `HashMedia`."""

    def __init__(self, homeserver: Homeserver, limit_bytes: int) -> None:
        self._homeserver = homeserver
        self._limit = limit_bytes
        self.handles: Handlers = {HashMedia: self.handle}
        self._known: OrderedDict[str, _Hashed] = OrderedDict()
        self._fetched: dict[UserId, deque[tuple[float, int]]] = {}  # for whom, when, how much

    async def handle(self, action: HashMedia, _txn: str) -> Done:
        """Fetch and hash the file, and return the fact about it."""
        name = json.dumps((action.url, action.file), sort_keys=True)
        if (known := self._known.get(name)) is not None:
            return Done((self._fact(action, size=known.size, sha256=known.sha256),))
        if self._spent(action.subject) >= PER_PERSON * self._limit:
            return Done((self._fact(action, result="refused"),), code="budget")
        try:
            data = await self._homeserver.download(action.url, at_most=self._limit)
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
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        self._known[name] = _Hashed(len(data), digest)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return Done((self._fact(action, size=len(data), sha256=digest),))

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

    def _fact(self, action: HashMedia, *, result: MediaResult = "done", size: int = 0, sha256: str = "") -> MediaKept:
        return MediaKept(
            room=action.room,
            on=action.on,
            bytes=size,
            result=result,
            subject=action.subject,
            sha256=sha256,
            url=action.url,
        )
