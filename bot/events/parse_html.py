"""The text a client shows for a `formatted_body`, and the people it links to.

The client-server API, section "m.room.message msgtypes", lists the HTML subset of `org.matrix.custom.html`. What
senders really write may be anything, and some write it to hide words.

Rules kept here:
- Tags are cut where the HTML standard ("Tokenization") cuts them, so that `ca<b x=y">si</b>no` reads "casino" here as
  it does on a screen.
- Text that some clients show and others drop (comments, `<style>`, an unclosed tag) is kept too, at the end, so that it
  can neither hide nor split a word.
- The time taken grows linearly with the length. Nothing raises.

Left to others: judging; links other than those to people.

Why not `html.parser`: in the Python 3.11.7 measured here, 64 KB of `<a ` take it half a minute (quadratic time is what
CVE-2025-6069 is about), and `<![x` makes it raise. Anybody may send either.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Literal
from urllib.parse import unquote

from moderation.values.ids import UserId

from .parse_fields import user_id_of

# Possessive throughout ("*+"): no backtracking, so no quadratic time.
_S = r"[\t\n\f\r ]"
_VALUE = r"""("[^"]*+"|'[^']*+'|(?!["'])[^\t\n\f\r >]*+)"""
_ATTRIBUTE = rf"([^\t\n\f\r />][^\t\n\f\r />=]*+)(?:{_S}*+={_S}*+{_VALUE})?+"
_ATTRIBUTES = re.compile(_ATTRIBUTE)
_TAG = re.compile(rf"<(/?)([A-Za-z][^\t\n\f\r />]*+)((?:[\t\n\f\r /]++|{_ATTRIBUTE})*+)>")
_TAG_START = re.compile(r"</?[A-Za-z]")
_COMMENT = re.compile(r"<!---?>|<!--(.*?)(?:--!?>|\Z)|<[!?/]([^>]*+)(?:>|\Z)", re.DOTALL)
_SIMPLE_TAG = re.compile(r"<[^<>]*>")

_ZEROS = re.compile(r"&#([xX]?)0++(?=[0-9a-fA-F])")
_BEYOND_UNICODE = re.compile(r"&#(?:[0-9]{9,}+|[xX][0-9a-fA-F]{9,}+);?")

_BREAKING = re.compile(
    r"address|article|aside|blockquote|br|caption|center|d[dlt]|details|div|figure|footer|h[1-6r]|header|li|main"
    r"|nav|ol|p|pre|section|summary|table|tbody|t[dhr]|tfoot|thead|ul"
)
_UNSEEN = frozenset({"script", "style", "textarea", "option", "title", "template", "noscript"})
# Attributes that clients show: an image's replacement text, the reason for a spoiler
# ("Spoiler messages"), a formula ("Mathematical messages").
_SHOWN = {"img": ("alt",), "span": ("data-mx-spoiler", "data-mx-maths"), "div": ("data-mx-maths",)}

PictureKind = Literal["image", "sticker"]  # a sticker is a small one

_DIGITS = re.compile(r"[\t\n\f\r ]*+0*+([0-9]{1,7})", re.ASCII)
_HIGHEST = 1_000_000

_REPLY_OPENS, _REPLY_CLOSES = "<mx-reply>", "</mx-reply>"
_USER_LINK = re.compile(r"(?:https?://(?:www\.)?matrix\.to/#/(?:@|%40)|matrix:u/)([^?/#]+)", re.IGNORECASE)


@dataclass(slots=True)
class ShownText:
    """The text read so far; `aside` holds what not every client shows."""

    parts: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # what is shown to a reader who points at an element
    pictures: list[tuple[PictureKind, str]] = field(default_factory=list)  # those on the homeserver, with addresses
    tallest: int = 0  # pixels that the tallest of these is said to be high
    mentions: set[UserId] = field(default_factory=set)
    inside: str = ""  # the unseen element being read

    @property
    def text(self) -> str:
        """The whole text, last the parts that only some clients show."""
        text = "".join(self.parts).strip()
        aside = "".join(self.aside).strip()
        return f"{text}\n{aside}".strip() if aside else text

    def add(self, raw: str) -> None:
        """Add text that stands between two tags."""
        if raw:
            (self.aside if self.inside else self.parts).append(_unescaped(raw))


def shown(html: str) -> ShownText:
    """Read `html`, a text fit to be stored; return what a client would show of it."""
    seen, at = ShownText(), 0
    while (start := html.find("<", at)) >= 0:
        seen.add(html[at:start])
        if tag := _TAG.match(html, start):
            _tag(seen, closes=bool(tag[1]), name=tag[2].lower(), attributes=tag[3])
            at = tag.end()
        elif _TAG_START.match(html, start):
            # An unclosed tag: browsers drop the rest. Looking for further tags would be quadratic.
            seen.aside.append("\n" + _unescaped(_SIMPLE_TAG.sub(" ", html[start:])))
            return seen
        elif comment := _COMMENT.match(html, start):
            seen.aside.append("\n" + _unescaped(comment[1] or comment[2] or ""))
            at = comment.end()
        else:
            seen.add("<")
            at = start + 1
    seen.add(html[at:])
    return seen


def without_reply(html: str) -> str:
    """Return `html` without the quotation that older clients put before a reply ("Rich replies")."""
    start = html.lstrip()
    if not start.startswith(_REPLY_OPENS):
        return html
    _quoted, closed, rest = start.partition(_REPLY_CLOSES)
    return rest if closed and rest.strip() else html


def in_reply(html: str) -> str:
    """Return the quotation that `without_reply` removes; empty if it removes none."""
    own = without_reply(html)
    return html[: len(html) - len(own)]


def user_of_link(href: str) -> UserId | None:
    """Return the person a `matrix.to` or `matrix:` link points to (appendices, "URIs")."""
    link = _USER_LINK.match(href.strip())
    return user_id_of("@" + unquote(link[1])) if link else None


def _tag(seen: ShownText, *, closes: bool, name: str, attributes: str) -> None:
    if name in _UNSEEN:
        if closes and name == seen.inside:
            seen.inside = ""
        elif not closes and not seen.inside:
            seen.inside = name
            seen.aside.append("\n")
    elif _BREAKING.fullmatch(name):
        seen.add("\n")
    if closes or not attributes:
        return
    values = dict(_values(attributes))
    if title := values.get("title"):
        seen.told.append(_unescaped(title))
    if name == "a":
        _link(seen, values.get("href", ""))
    elif name == "img" and (source := _unescaped(values.get("src", "")).strip()).lower().startswith("mxc://"):
        kind: PictureKind = "sticker" if "data-mx-emoticon" in values else "image"
        seen.pictures.append((kind, "mxc" + source[3:]))
        seen.tallest = max(seen.tallest, _pixels(values.get("height", "")))
    if name in _SHOWN:
        for value in filter(None, map(values.get, _SHOWN[name])):
            # An image may stand for letters of a word; a spoiler's reason is separate.
            seen.add(value if name == "img" else f" {value} ")


def _pixels(written: str) -> int:
    """Return a length as browsers read it: the digits at its beginning (HTML, "rules for parsing dimension values")."""
    digits = _DIGITS.match(_unescaped(written))
    return min(int(digits[1]), _HIGHEST) if digits else 0


def _link(seen: ShownText, href: str) -> None:
    if user := user_of_link(_unescaped(href)):
        seen.mentions.add(user)


def _values(attributes: str) -> Iterator[tuple[str, str]]:
    # Last first: browsers take the first of a repeated attribute, and `dict` keeps the last.
    for found in reversed(_ATTRIBUTES.findall(attributes)):
        value = found[1]
        yield found[0].lower(), value[1:-1] if value.startswith(('"', "'")) else value


def _unescaped(raw: str) -> str:
    if "&" not in raw:
        return raw
    if "&#" in raw:
        # `unescape` raises for more digits than Python's `int` takes; leading zeros count as well.
        raw = _BEYOND_UNICODE.sub("\ufffd", _ZEROS.sub(r"&#\1", raw))
    return unescape(raw)
