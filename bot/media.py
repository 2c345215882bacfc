"""Notes the files of messages by hash and size: what was shown can then be told from what was not, without keeping it.

Rules kept here: of an encrypted file it is the file itself that is hashed; a file is fetched once, to its limit and not
beyond; what cannot be fetched is noted as such; the file itself is not kept. Left to others: which messages have files
(`receive_message.py`), the rule on media (`moderation/rules/media.py`).
"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

from moderation.actions import Action, HashMedia
from moderation.errors import Invalid
from moderation.facts import MediaKept

from .act import Done
from .crypto.attachments import EncryptedFile
from .crypto.encoding import Malformed
from .crypto.errors import NotTrusted
from .homeserver import Homeserver
from .homeserver_errors import Answered, TooLarge


def _opened(file: Mapping[str, Any], data: bytes) -> bytes:
    """The file itself; what it was sent as is noise. Raises `Malformed`, `NotTrusted`."""
    return EncryptedFile.of(file).open(data)


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
            if action.file:
                data = await asyncio.to_thread(_opened, action.file, data)
        except TooLarge:
            return Done((self._fact(action, result="large"),))
        except (Invalid, Malformed, NotTrusted):
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
