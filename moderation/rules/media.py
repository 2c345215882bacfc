"""Files of a kind, type or size that the room does not want.

Rules kept here:
- What the sender says of the file decides (`info` of the message); nothing is downloaded.
- For what the sender does not say, `unknown_size` and `unknown_type` decide, since the specification makes both
  optional.
- A location is no file and has neither.
- Thumbnails, previews of links and faces are not what somebody posted, so they are not looked at.
"""

import re
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from moderation.values.errors import Refused
from moderation.values.events import Media as Attached
from moderation.values.events import SentKind
from moderation.values.notices import Code

from .base import InChat, RuleBase, StrictSettings
from .check import Hit, Judged, View

_BYTES_PER = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30,
}  # fmt: skip
_SIZE = re.compile(r"(\d{1,12})\s*([A-Z]{0,3})", re.ASCII)
_TYPE = re.compile(r"[a-z0-9*?][a-z0-9!#$&^_.+*?-]*/[a-z0-9!#$&^_.+*?-]+")


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``10MB`` or ``512 KiB``. Raises `ValueError` if it is not one."""
    found = _SIZE.fullmatch(text.strip().upper())
    if not found or found[2] not in _BYTES_PER:
        raise ValueError("expected a size such as 500KB, 10MB (10,000,000 bytes) or 10MiB (10,485,760)")
    return int(found[1]) * _BYTES_PER[found[2]]


def write_size(size: int) -> str:
    """Return a size as people write it."""
    unit = next(unit for unit in ("GB", "MB", "KB", "B") if size % _BYTES_PER[unit] == 0)
    return f"{size // _BYTES_PER[unit]}{unit}"


def _size(value: object) -> object:
    try:
        return parse_size(value) if isinstance(value, str) else value
    except ValueError:
        raise PydanticCustomError("size", "expected a size") from None


def _mimetype(value: object) -> object:
    if isinstance(value, str) and not _TYPE.fullmatch(value.lower()):
        raise PydanticCustomError("media_type", "expected a media type")
    return value.lower() if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(_size), Field(gt=0)]
TypePattern = Annotated[str, BeforeValidator(_mimetype)]
Unknown = Literal["allow", "deny"]


class MediaSettings(StrictSettings):
    """Settings of a media rule: what is allowed.

    A setting left out limits nothing; an empty list allows nothing.
    """

    kinds: tuple[SentKind, ...] | None = Field(
        default=None,
        description="those allowed; audio includes voice messages; left out: all",
        examples=[["image", "video", "audio", "voice", "file", "sticker", "location"]],
    )
    max_files: int | None = Field(
        default=None, ge=1, le=1000, description="so many may one message have; left out: any", examples=[20]
    )
    max_size: Size | None = Field(default=None, description="500KB, 10MiB ...; left out: any", examples=["100MB"])
    mimetypes: tuple[TypePattern, ...] | None = Field(
        default=None,
        description="those allowed; left out: all",
        examples=[["image/*", "video/*", "audio/*", "text/plain", "application/pdf"]],
    )
    unknown_size: Unknown = Field(default="allow", description="allow or deny, when the sender does not tell the size")
    unknown_type: Unknown = Field(default="allow", description="allow or deny, when the sender tells no media type")


class MediaCheck:
    """Check of the files of an event."""

    def __init__(self, settings: MediaSettings) -> None:  # a file has no place among the texts
        self._settings = settings

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return a hit if there are too many files, or one of a kind or type not allowed, or too large."""
        del view
        files = [file for file in event.media if file.is_sent]
        most = self._settings.max_files
        if most is not None and len(files) > most:
            return Hit(numbers={"count": len(files), "limit": most})
        return next((hit for file in files if (hit := self._file(file)) is not None), None)

    def _file(self, media: Attached) -> Hit | None:
        kinds = self._settings.kinds
        if kinds is not None and media.kind not in kinds and not (media.kind == "voice" and "audio" in kinds):
            return Hit()
        if media.kind == "location":
            return None
        return self._type(media) or self._size(media)

    def _type(self, media: Attached) -> Hit | None:
        patterns = self._settings.mimetypes
        if patterns is None:
            return None
        if not media.mimetype:
            return Hit() if self._settings.unknown_type == "deny" else None
        # Parameters and case do not matter (RFC 2045): "Image/PNG; name=x" is image/png.
        name = media.mimetype.partition(";")[0].strip().lower()
        return None if any(fnmatchcase(name, pattern) for pattern in patterns) else Hit()

    def _size(self, media: Attached) -> Hit | None:
        limit = self._settings.max_size
        if limit is None:
            return None
        if media.size is None or media.size < 0:
            return Hit(numbers={"limit": limit}) if self._settings.unknown_size == "deny" else None
        return Hit(numbers={"size": media.size, "limit": limit}) if media.size > limit else None


def _is_plain(word: str) -> bool:
    return "/" in word or word in get_args(SentKind)


class MediaRule(RuleBase, MediaSettings):
    """A rule about files."""

    IN_CHAT: ClassVar = InChat(
        ("kinds", "mimetypes"), _is_plain, ("max_files", "max_size", "unknown_size", "unknown_type")
    )
    IN_WORDS: ClassVar = False

    kind: Literal["media"]

    def in_chat(self, name: str) -> str:
        """Return the value of a setting as it is written in chat, a size in the largest unit that divides it."""
        return write_size(self.max_size) if name == "max_size" and self.max_size else super().in_chat(name)

    def must_suit_a_room(self) -> None:
        """Raise `Refused` if it allows every file."""
        if all(limit is None for limit in (self.kinds, self.max_files, self.max_size, self.mimetypes)):
            raise Refused("error.rule.limits-nothing", known=Code(", ".join(self.IN_CHAT.words)))

    def compiled(self, *, own: bool = False) -> MediaCheck:
        """Return the comparison with what it allows."""
        del own
        return MediaCheck(self)
