"""The texts of a message: everything in its content that a client may show.

Client-server API, sections "m.room.message msgtypes", "Media captions" and "Rich replies"; polls are MSC3381,
extensible events MSC1767, both also under the names they had before they were stable.

Rules kept here:
- The body, if there is one, comes first.
- No text is empty.
- The same text in another form (formatted, extensible) is given once, compared with white space folded.
- A field of the wrong type counts as missing, since clients read it so.

Left to others: relations and mentions (`parse_message.py`), HTML (`parse_html.py`).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from moderation.values.events import Json, Text, Where
from moderation.values.ids import UserId

from .parse_fields import filled_text_of, list_of, object_of, text_of
from .parse_html import PictureKind, ShownText, in_reply, shown, without_reply
from .parse_media import mxc_of
from .visual_order import visual

# `body` of these is a file name or a caption; that of a location or sticker describes it.
_FILES = frozenset({"m.image", "m.video", "m.audio", "m.file"})

# Each with the names it had before it was stable.
_TEXT_KEYS = ("m.text", "org.matrix.msc1767.text", "org.matrix.msc1767.message", "m.message")
_HTML_KEYS = ("org.matrix.msc1767.html", "m.html")
_CAPTION_KEYS = ("m.caption", "org.matrix.msc1767.caption")
_LOCATION_KEYS = ("m.location", "org.matrix.msc3488.location")
_PREVIEW_KEYS = ("com.beeper.linkpreviews", "m.url_previews", "matrix_url_previews")
_PROFILE_KEYS = ("com.beeper.per_message_profile", "m.per_message_profile")
GALLERY_KEYS = ("itemtypes", "dm.filament.itemtypes")
_POLL_KEYS = ("m.poll", "org.matrix.msc3381.poll.start", "m.poll.start")

_APART = " \n"  # joins texts to be judged as one, so that many cost no more; no word reaches across
# Fields that never hold words a client shows, in events of any type: ids and keys.
_NO_WORDS = frozenset({"m.relates_to", "m.mentions", "event_id", "room_id", "user_id", "sender", "rel_type"})


@dataclass(slots=True)
class Texts:
    """The texts found so far, each once."""

    found: list[Text] = field(default_factory=list)
    pictures: list[tuple[PictureKind, str]] = field(default_factory=list)  # in the text, with their addresses
    tallest: int = 0  # pixels that one of them is said to be high
    mentions: set[UserId] = field(default_factory=set)
    _folded: set[str] = field(default_factory=set)

    def add(self, where: Where, value: str | None) -> None:
        """Add a text, unless it is empty or already there."""
        if not value or (folded := " ".join(value.split())) in self._folded:
            return
        self._folded.add(folded)
        self.found.append(Text(where, value))
        for seen in visual(value):
            self.add(where, seen)

    def include(self, others: "Texts | ShownText") -> None:
        """Add the people, the pictures and the height of other texts, without their words."""
        self.mentions |= others.mentions
        self.pictures += others.pictures
        self.tallest = max(self.tallest, others.tallest)

    def add_html(self, where: Where, html: str | None) -> None:
        """Add what a client would show of `html`, and the people it links to."""
        if html:
            seen = shown(html)
            self.include(seen)
            self.add(where, seen.text)
            self.add(where, _APART.join(seen.told))


def texts_of(where: Where, *values: str | None) -> tuple[Text, ...]:
    """Return those of these texts that are not empty, each as it was written and as it is seen."""
    texts = Texts()
    for value in values:
        texts.add(where, value)
    return tuple(texts.found)


def message_texts(content: dict[str, Json], *, is_reply: bool) -> Texts:
    """Return the texts of the content of an `m.room.message` or `m.sticker`, or of its `m.new_content`."""
    texts = Texts()
    body, html = text_of(content.get("body")), text_of(content.get("formatted_body"))
    if is_reply:
        body, html = body and without_quotation(body), html and without_reply(html)
    for where, value in _named(content, body):
        texts.add(where, value)
    texts.add_html("formatted", html)
    for key in _LOCATION_KEYS:
        texts.add("body", text_of(object_of(content.get(key)).get("description")))
    _add_extensible(texts, content, "body", "formatted")
    for key in _CAPTION_KEYS:
        _add_extensible(texts, object_of(content.get(key)), "caption", "formatted")
    for item in (object_of(item) for key in GALLERY_KEYS for item in list_of(content.get(key))):
        texts.add("caption", text_of(item.get("body")))
        texts.add("filename", text_of(item.get("filename")))
        texts.add_html("formatted", text_of(item.get("formatted_body")))
        for key in _CAPTION_KEYS:
            _add_extensible(texts, object_of(item.get(key)), "caption", "formatted")
        _add_extensible(texts, item, "caption", "formatted")
    _add_beside(texts, content)
    return texts


def _add_beside(texts: Texts, content: dict[str, Json]) -> None:
    """Add what clients show next to the words: previews of links in the event, and the name it is said under."""
    previews = [object_of(found) for key in _PREVIEW_KEYS for found in list_of(content.get(key))]
    told = [text for preview in previews for value in preview.values() if (text := text_of(value))]
    texts.add("preview", _APART.join(told))
    for key in _PROFILE_KEYS:
        texts.add("display_name", text_of(object_of(content.get(key)).get("displayname")))


def quoted_texts(content: dict[str, Json]) -> Texts:
    """Return what a reply claims that the message it answers says."""
    body, html = text_of(content.get("body")) or "", text_of(content.get("formatted_body")) or ""
    quoted = Texts()
    own = without_quotation(body)
    if len(own) < len(body):
        lines = body[: len(body) - len(own)].split("\n")
        quoted.add("body", "\n".join(line.removeprefix(">").removeprefix(" ") for line in lines).strip())
    quoted.add_html("formatted", in_reply(html))
    return quoted


def leaf_texts(content: dict[str, Json]) -> Texts:
    """Return all texts in the content of an event of an unknown type: some client may show any of them."""
    texts, leaves = Texts(), list[str]()
    parts = deque[Json]([content])
    while parts:
        part = parts.popleft()
        if isinstance(part, str) and "<" in part:
            seen = shown(part)
            texts.pictures += seen.pictures
            leaves.append(seen.text)
        elif isinstance(part, str):
            leaves.append("" if mxc_of(part) and " " not in part else part)  # an address of a file is no words
        elif isinstance(part, dict):
            parts.extend(value for key, value in part.items() if key not in _NO_WORDS)
        elif isinstance(part, list):
            parts.extend(part)
    texts.add("other", _APART.join(leaf for leaf in map(text_of, leaves) if leaf))
    return texts


def poll_texts(content: dict[str, Json]) -> Texts:
    """Return question and answers of a poll, then what its fallback says beyond them."""
    texts = Texts()
    for key in _POLL_KEYS:
        poll = object_of(content.get(key))
        for part in (poll.get("question"), *list_of(poll.get("answers"))):
            _add_extensible(texts, object_of(part), "poll", "poll")
            texts.add("poll", text_of(object_of(part).get("body")))
    fallback = Texts()
    _add_extensible(fallback, content, "poll", "poll")
    fallback.add("poll", text_of(content.get("body")))
    for text in fallback.found:
        if _says_more(text.value, texts.found):
            texts.add("poll", text.value)
    texts.include(fallback)
    _add_beside(texts, content)
    return texts


def topic_texts(content: dict[str, Json]) -> Texts:
    """Return the topic, plain and (since v1.15, `m.topic`) rich."""
    texts = Texts()
    texts.add("topic", text_of(content.get("topic")))
    _add_extensible(texts, object_of(content.get("m.topic")), "topic", "topic")
    return texts


def without_quotation(body: str) -> str:
    """Return `body` without the quotation that older clients put before a reply ("Rich replies").

    Only the exact form is removed: the quotation, the empty line after it, and then words of the sender's own. What
    merely looks like a quotation may be the message.
    """
    if not body.startswith(("> <@", "> * <@")):
        return body
    lines = body.split("\n")
    quoted = next((at for at, line in enumerate(lines) if not line.startswith(">")), len(lines))
    if quoted == len(lines) or lines[quoted].strip():
        return body
    own = "\n".join(lines[quoted + 1 :])
    return own if own.strip() else body


def _named(content: dict[str, Json], body: str | None) -> Iterator[tuple[Where, str | None]]:
    """Yield the body under its proper name ("Media captions", since v1.10): for a file its caption or its name."""
    if text_of(content.get("msgtype")) not in _FILES:
        yield "body", body
        return
    filename = filled_text_of(content.get("filename"))
    if filename is None or filename == body:
        yield "filename", body
    else:
        yield "caption", body
        yield "filename", filename


def _add_extensible(texts: Texts, block: dict[str, Json], where: Where, where_html: Where) -> None:
    for key in _TEXT_KEYS:
        value = block.get(key)
        texts.add(where, text_of(value))
        for part in map(object_of, list_of(value)):
            if part.get("mimetype") == "text/html":
                texts.add_html(where_html, text_of(part.get("body")))
            else:
                texts.add(where, text_of(part.get("body")))
    for key in _HTML_KEYS:
        texts.add_html(where_html, text_of(block.get(key)))


def _says_more(fallback: str, known: Iterable[Text]) -> bool:
    """Tell whether letters are left when question and answers are removed: "Lunch?\\n1. Rice" says no more."""
    for text in sorted((text.value for text in known), key=len, reverse=True):
        fallback = fallback.replace(text, " ")
    return any(letter.isalpha() for letter in fallback)
