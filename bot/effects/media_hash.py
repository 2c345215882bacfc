"""The hashes and sizes of files in messages: they show later which file was posted, without keeping it.

Rules kept here:
- Of an encrypted file the decrypted content is hashed.
- If a rule knows pictures by what they look like, so are pictures (`picture_hash.py`), one after the other in a thread.
- A file is hashed once, however many messages and edits show it.
- A file that cannot be fetched is noted as such.
- The file itself is not kept. What is known of fetched files is forgotten at a restart.

Left to others: which messages have files (`bot/events/parse_message.py`), fetching them (`fetch_file.py`), the rule on
media (`moderation/rules/media.py`).
"""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from bot.outbox.handler import Done, Handlers
from moderation.model.actions import HashMedia
from moderation.model.facts import MediaKept, MediaResult

from .fetch_file import FileFetcher, NotFetched, name_of
from .picture_hash import pdq_of

_REMEMBERED = 10_000  # files


@dataclass(frozen=True, slots=True)
class _Hashed:
    size: int
    sha256: str
    pdq: str = ""


class MediaHasher:
    """The handler of `HashMedia`."""

    def __init__(self, files: FileFetcher, *, pictures: bool = False) -> None:
        self._files = files
        self._pictures = asyncio.Semaphore(1) if pictures else None  # a picture takes memory while it is open
        self.handles: Handlers = {HashMedia: self.handle}
        self._known: OrderedDict[str, _Hashed] = OrderedDict()

    async def handle(self, action: HashMedia, _txn: str) -> Done:
        """Fetch and hash the file, and return the fact about it."""
        name = name_of(action.url, action.file)
        if (known := self._known.get(name)) is not None:
            return Done((self._fact(action, hashed=known),))
        slow = Done((self._fact(action, result="refused"),), code="slow")
        try:
            data = await self._files.fetch(action.url, action.file, action.subject, slow)
        except NotFetched as error:
            return Done((self._fact(action, result=error.result),), code=error.code)
        self._known[name] = hashed = await self._hashed(data)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return Done((self._fact(action, hashed=hashed),))

    async def _hashed(self, data: bytes) -> _Hashed:
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        if self._pictures is None:
            return _Hashed(len(data), digest)
        async with self._pictures:
            return _Hashed(len(data), digest, " ".join(await asyncio.to_thread(pdq_of, data)))

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
