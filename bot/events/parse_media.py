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
from .parse_html import PictureKind

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
Pictures = Iterable[tuple[PictureKind, str]]


def media_of(content: dict[str, Json], kind: MediaKind = "preview") -> Iterator[Media]:
    """Yield the files of an event's content, or of its new content, as they come; `kind`: what its type says they are.

    Pictures in HTML are left out: who reads the HTML finds them (`parse_html.py`).
    """
    parts: deque[tuple[dict[str, Json] | list[Json], MediaKind]] = deque([(content, kind)])
    while parts:
        part, kind = parts.popleft()
        if isinstance(part, list):
            parts.extend((value, "preview") for value in part if isinstance(value, dict | list))
            yield from (Media("preview", url=url) for value in part if (url := mxc_of(value)))
            continue
        if kind == "preview" and (part is content or "itemtype" in part):
            kind = _kind_of(part, part.get("msgtype" if part is content else "itemtype"))
        if kind in _SENT:
            yield from _sent_files(part, kind)
        if "key" in part and (url := mxc_of(part.get("url"))):
            yield Media(kind, url=url, sealed=part)
        for key, value in part.items():
            if isinstance(value, dict | list):
                parts.append((value, "preview"))
            elif url := mxc_of(value):
                yield Media(kind if key == "url" else "avatar" if "avatar" in key else "preview", url=url)


def pictures_in(html: Pictures, *, kind: MediaKind | None = None) -> Iterator[Media]:
    """Yield the pictures of a formatted text; `kind`: what they are, whatever they look like."""
    return (Media(kind or each, url=url) for each, url in html)


def each_once(files: Iterable[Media]) -> tuple[Media, ...]:
    """Return the files in order, each once; first those that were sent for their own sake."""
    if not (files := list(files)):
        return ()
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
    is_one = isinstance(value, str) and value.startswith("mxc://") and len(value) <= _LONGEST
    return text_of(value) if is_one else None


def _kind_of(part: dict[str, Json], named: Json) -> MediaKind:
    """Return what the file of a message, or of an item of a gallery, is, if it says `named`."""
    kind: MediaKind = "preview"
    if isinstance(named, str):
        kind = MEDIA.get(named) or (kind_of_type(named) if any(_addresses(part)) else kind)
    return "voice" if kind == "audio" and any(key in part for key in _VOICE_KEYS) else kind


def _addresses(part: dict[str, Json]) -> tuple[str | None, str | None]:
    """Return the addresses of a part's own file: the open one, and the encrypted one."""
    return mxc_of(part.get("url")), mxc_of(object_of(part.get("file")).get("url"))


def _sent_files(part: dict[str, Json], kind: MediaKind) -> Iterator[Media]:
    """Yield the file that a part says it is; one without an address if it gives none."""
    info = object_of(part.get("info"))
    size, mimetype = whole_number_of(info.get("size")), text_of(info.get("mimetype"))
    size = size if size is not None and size >= 0 else None
    url, sealed = _addresses(part)
    if url or not sealed:
        yield Media(kind, mimetype, size, url)
    if sealed:
        yield Media(kind, mimetype, size, sealed, object_of(part["file"]))
