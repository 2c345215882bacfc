"""The hashes and sizes of files in messages: they show later which file was posted, without keeping it.

Rules kept here:
- Of an encrypted file the decrypted content is hashed.
- If a rule knows pictures by what they look like, so are pictures, one after the other, each in a process of its own
  (`picture_process.py`). One that is too much work has no hash. The work counts as files of the person who posted it.
- A file is hashed once, however many messages and edits show it.
- A file that cannot be fetched is noted as such.
- The file itself is not kept. What is known of fetched files is forgotten at a restart.

Left to others: which messages have files (`bot/events/parse_message.py`), fetching them (`fetch_file.py`), the rule on
media (`moderation/rules/media.py`).
"""

import asyncio
import hashlib
from dataclasses import dataclass, replace

from bot.outbox.handler import Done, Handlers, RetryLater
from bot.runtime.newest import Newest
from moderation.model.actions.files import HashMedia
from moderation.model.facts import MediaKept, MediaResult

from .fetch_file import FileFetcher, NotFetched, name_of
from .picture_process import Interrupted, hash_apart

_REMEMBERED = 10_000  # files
_TRIES, _FIRST_MS, _LAST_MS = 8, 1_000, 1_200_000  # if there is no process to be had


@dataclass(frozen=True, slots=True)
class _Hashed:
    size: int
    sha256: str
    pdq: str = ""
    code: str = "-"


class MediaHasher:
    """The handler of `HashMedia`."""

    def __init__(self, files: FileFetcher, *, pictures: bool = False) -> None:
        self._files = files
        self._pictures = asyncio.Semaphore(1) if pictures else None  # a picture takes memory while it is open
        self.handles: Handlers = {HashMedia: self.handle}
        self._known: Newest[str, _Hashed] = Newest(_REMEMBERED)

    async def handle(self, action: HashMedia, _txn: str) -> Done:
        """Fetch and hash the file, and return the fact about it."""
        name = name_of(action.url, action.file)
        if (known := self._known.get(name)) is not None:
            return Done((self._fact(action, hashed=known),), code=known.code)
        slow = Done((self._fact(action, result="refused"),), code="slow")
        try:
            data = await self._files.fetch(action.url, action.file, action.subject, slow)
        except NotFetched as error:
            return Done((self._fact(action, result=error.result),), code=error.code)
        self._known[name] = hashed = await self._hashed(action, data)
        return Done((self._fact(action, hashed=hashed),), code=hashed.code)

    async def _hashed(self, action: HashMedia, data: bytes) -> _Hashed:
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        plain = _Hashed(len(data), digest)
        if self._pictures is None:
            return plain
        async with self._pictures:
            try:
                work = await hash_apart(data)
            except Interrupted as error:
                lost = Done((self._fact(action, hashed=plain),), code="process")
                raise RetryLater(str(error), lost, tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS) from error
        self._files.charge(action.subject, work.share)
        return replace(plain, pdq=work.hashes, code="heavy" if work.too_heavy else "-")

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
