"""Files that the chosen records mention, if the bot kept them.

Rules kept here:
- A file is exported only if a part that is shown names its SHA-256, and only if that is its SHA-256.

Left to others: opening them, which may mean decrypting (the caller's `Media`).
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from moderation.values.events import Json

from .bundle import Bundle
from .selection import text_of

Media = Callable[[str], BinaryIO | None]  # opens the file of this SHA-256; None if it was not kept

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PIECE = 1 << 20


def kept_files(data_dir: Path) -> Media:
    """Return a function that opens files kept as they came, by their SHA-256."""

    def opened(digest: str) -> BinaryIO | None:
        try:
            return (data_dir / "media" / digest).open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return None

    return opened


def media_named(parts: Iterable[Json]) -> set[str]:
    """Return the SHA-256 of files, in hexadecimal, that these parts name."""
    return {digest for part in parts if _DIGEST.fullmatch(digest := text_of(part, "sha256"))}


def add_media(bundle: Bundle, digests: Iterable[str], media: Media) -> int:
    """Add the files that exist and return how many; a file whose hash differs from its name is left out."""
    count = 0
    for digest in digests:
        if _digest_of(digest, media) == digest:
            _add(bundle, digest, media)
            count += 1
    return count


def _digest_of(digest: str, media: Media) -> str:
    file = media(digest)
    if file is None:
        return ""
    total = hashlib.sha256()
    with file:
        while piece := file.read(_PIECE):
            total.update(piece)
    return total.hexdigest()


def _add(bundle: Bundle, digest: str, media: Media) -> None:
    file = media(digest)
    assert file
    with file, bundle.file(f"media/{digest}") as target:
        while piece := file.read(_PIECE):
            target.write(piece)
