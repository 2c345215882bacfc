"""Notes the files of messages by hash and size: what was shown can then be told from what was not, without keeping it.

Rules kept here: a file is fetched once, to its limit and not beyond; what cannot be fetched is noted as such; the file
itself is not kept. Left to others: which messages have files (`receive_message.py`), the rule on media
(`moderation/rules/media.py`).
"""

import asyncio
import hashlib

from moderation.actions import Action, HashMedia
from moderation.errors import Invalid
from moderation.facts import MediaKept

from .act import Done
from .homeserver import Homeserver
from .homeserver_errors import Answered, TooLarge


class MediaHasher:
    """The handler of `HashMedia`."""

    def __init__(self, homeserver: Homeserver, limit_bytes: int) -> None:
        self._homeserver = homeserver
        self._limit = limit_bytes

    async def handle(self, action: Action, _txn: str) -> Done:
        """Fetch, hash, forget."""
        assert isinstance(action, HashMedia)
        try:
            data = await self._homeserver.download(action.url, at_most=self._limit)
        except TooLarge:
            return Done((self._fact(action, result="large"),))
        except Invalid:
            return Done((self._fact(action, result="refused"),), code="address")
        except Answered as error:
            return Done((self._fact(action, result="refused"),), code=error.errcode or "-")
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        return Done((self._fact(action, size=len(data), sha256=digest),))

    def _fact(self, action: HashMedia, *, result: str = "done", size: int = 0, sha256: str = "") -> MediaKept:
        return MediaKept(
            room=action.room,
            on=action.on,
            bytes=size,
            result=result,  # type: ignore[arg-type]
            subject=action.subject,
            sha256=sha256,
            url=action.url,
        )
