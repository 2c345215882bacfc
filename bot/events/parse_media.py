"""The files and pictures of an event: everything in its content that a client may fetch from a homeserver and show.

Client-server API, sections "m.room.message msgtypes", "Sticker messages" and "Sending encrypted attachments"; voice
messages are MSC3245, galleries MSC4274, extensible events MSC1767.

Rules kept here:
- What was sent for its own sake comes first, then what only stands for something else: thumbnails, previews, faces.
- A file is named once, however often the event shows it; one that is given both open and encrypted is two files.
- A message that claims to be a file has one, even without an address.
- Nothing raises or recurses, whatever the JSON.

Left to others: fetching them (`bot/effects/media_hash.py`).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import cast, get_args

from moderation.values.events import Json, Media, MediaKind, SentKind

from .parse_fields import object_of, text_of, whole_number_of
from .parse_html import shown

MEDIA: dict[str, SentKind] = {
    "m.image": "image",
    "m.video": "video",
    "m.audio": "audio",
    "m.file": "file",
    "m.location": "location",
}
_VOICE_KEYS = ("m.voice", "org.matrix.msc3245.voice", "org.matrix.msc3245.voice.v2")
_LONGEST = 512  # characters of an address: a server's name and an id, 255 each
_SENT = frozenset(get_args(SentKind))


def media_of(content: dict[str, Json], kind: MediaKind = "preview") -> Iterator[Media]:
    """Yield the files of an event's content, or of its new content, as they come; `kind` is that of the event."""
    parts: deque[tuple[Json, MediaKind]] = deque([(content, kind)])
    while parts:
        part, kind = parts.popleft()
        if isinstance(part, dict):
            yield from _files(part, kind := _kind_of(part, kind))
            parts.extend((value, "preview") for value in part.values() if isinstance(value, dict | list | str))
        elif isinstance(part, list):
            parts.extend((value, "preview") for value in part)
        elif isinstance(part, str) and "<" in part and "mxc:" in part.lower():
            yield from (Media("preview", url=url) for _, url in shown(text_of(part) or "").pictures)


def each_once(files: Iterable[Media]) -> tuple[Media, ...]:
    """Return the files in order, each once; first those that were sent for their own sake."""
    found: list[Media] = []
    known: set[tuple[str | None, bool]] = set()
    urls: set[str | None] = set()
    for file in sorted(files, key=lambda each: not each.is_sent):
        name = (file.url, file.sealed is not None)
        if name not in known and (file.is_sent or file.url not in urls):
            found.append(file)
        known.add(name)
        urls.add(file.url)
    return tuple(found)


def kind_of_type(name: object) -> SentKind:
    """Return what a file is in an event or item of this type, such as m.image; "file" if the type does not say."""
    last = name.rpartition(".")[2] if isinstance(name, str) else ""
    return cast("SentKind", last) if last in _SENT else "file"


def mxc_of(value: object) -> str | None:
    """Return the address of a file on a homeserver."""
    url = text_of(value)
    return url if url and url.startswith("mxc://") and len(url) <= _LONGEST else None


def _kind_of(part: dict[str, Json], kind: MediaKind) -> MediaKind:
    """Return what the file of a message, or of an item of a gallery, is."""
    named = part.get("msgtype") or part.get("itemtype")
    if named is not None:
        known = MEDIA.get(named) if isinstance(named, str) else None
        kind = known or (kind_of_type(named) if _addresses(part) else kind)
    return "voice" if kind == "audio" and any(key in part for key in _VOICE_KEYS) else kind


def _addresses(part: dict[str, Json]) -> list[tuple[str, dict[str, Json] | None]]:
    """Return the addresses of a part's own file: the open one, and the encrypted one with what opens it."""
    sealed = object_of(part.get("file"))
    both = ((mxc_of(part.get("url")), None), (mxc_of(sealed.get("url")), sealed))
    return [(url, how) for url, how in both if url]


def _files(part: dict[str, Json], kind: MediaKind) -> Iterator[Media]:
    """Yield the file of a part itself, then what its other fields name."""
    own = _addresses(part)
    info = object_of(part.get("info"))
    size, mimetype = whole_number_of(info.get("size")), text_of(info.get("mimetype"))
    size = size if size is not None and size >= 0 else None
    if kind in _SENT:
        yield from (Media(kind, mimetype, size, url, sealed) for url, sealed in own)
        if not own:
            yield Media(kind, mimetype, size)
    else:
        yield from (Media(kind, url=url, sealed=sealed) for url, sealed in own)
    for key, value in part.items():
        inner = object_of(value)
        if key != "url" and (named := mxc_of(value)):
            yield Media("avatar" if "avatar" in key else "preview", url=named)
        elif key != "file" and "key" in inner and (named := mxc_of(inner.get("url"))):
            yield Media("preview", url=named, sealed=inner)
