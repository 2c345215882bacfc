"""Pages that are sent as they come: what is found is there at once, without any script.

Rules kept here:
- The tables are free meanwhile: the pieces are asked for after the page has given its answer.
- When the browser goes away, the work behind the page ends.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from aiohttp import web


class StreamedPage(web.StreamResponse):
    """A page in pieces of HTML, or of another type."""

    def __init__(self, pieces: AsyncGenerator[str], content_type: str = "text/html") -> None:
        super().__init__()
        self.content_type = content_type
        self.charset = "utf-8"
        self._pieces = pieces

    def enable_compression(self, *_: Any, **__: Any) -> None:
        """Leave it as it is: compressing would hold back what was found."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the pieces, and end the page."""
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                await self.write(piece.encode())
        await super().write_eof(data)
