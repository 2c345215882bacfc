"""The parser of commands in messages. Pure, so that it can be fuzzed.

Rules kept here:
- A command is a message that begins with the prefix, in one of its spellings, and a letter.
- A name picked in a client (a "pill") counts as its Matrix id, a pill of a message as the link to it.
- Arguments are checked against what the command declares; an error names the argument.
- Nothing here knows who is asking.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import MappingProxyType
from urllib.parse import unquote

from bot.events.parse_fields import text_of
from bot.texts.command_prefix import spellings
from moderation.values.durations import parse_duration
from moderation.values.errors import Refused
from moderation.values.events import MessagePosted
from moderation.values.ids import GroupCode, UserId, is_group_code, is_user_id

from .permalinks import MESSAGE

MAX_LENGTH = 2_000  # characters of a whole command
MAX_REASON = 500
# How the keys of refusals begin that are about how a command was written, whichever it is.
WORDING = ("error.missing", "error.superfluous", "error.user", "error.case.form", "error.duration", "error.too-long")

EVERYWHERE = frozenset({"everywhere", "各群"})

_LINK = re.compile(r"https://matrix\.to/#/(?P<id>@[^?/]+|%40[^?/]+)|matrix:u/(?P<name>[^?/]+)", re.IGNORECASE)
_LINKS = ("matrix.to/#/", "matrix:u/")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A command as it was written: its name, its words, and the room it names, if any."""

    name: str
    words: tuple[str, ...]
    group: GroupCode | None = None
    too_long: bool = False
    pills: Mapping[str, str] = field(default_factory=dict)  # Matrix id -> the words shown in its place


@dataclass(frozen=True, slots=True)
class Arguments:
    """The parsed arguments of a command; absent ones are None or empty."""

    user: UserId | None = None
    case: int | None = None
    request: int | None = None  # the number that confirms a request
    duration_ms: int | None = None
    sweep_ms: int | None = None  # how far back what the person wrote is redacted
    word: str = ""
    everywhere: bool = False  # in all rooms in which the person may give the order
    server: str = ""
    count: int | None = None  # of people whom an order shuts out
    reason: str = ""
    text: str = ""  # all that is left, however long


def read(event: MessagePosted, prefix: str) -> Spoken | None:
    """Return the command in a message, or None if it is not a command."""
    if event.is_notice or event.replaces is not None or not is_command(event.body, prefix):
        return None
    if len(event.body) > MAX_LENGTH:
        name = event.body[len(prefix) : MAX_LENGTH].split(maxsplit=1)[0]
        return Spoken(name.lower()[:40], (), too_long=True)
    text, pills = _text(event, prefix)
    return spoken_in(text[len(prefix) :], pills)


def spoken_in(text: str, pills: Mapping[str, str] = MappingProxyType({})) -> Spoken:
    """Return the command in a text that holds nothing else and no prefix."""
    words = text.split()
    group = next((GroupCode(word.upper()) for word in words[1:] if is_group_code(word.upper())), None)
    rest = tuple(word for word in words[1:] if group is None or word.upper() != group)
    return Spoken(words[0].lower()[:40], rest, group, pills=pills)


def is_command(body: str, prefix: str) -> bool:
    """Tell whether a text begins like a command."""
    return body.startswith(spellings(prefix)) and body[len(prefix) : len(prefix) + 1].isalpha()


def shows(words: str, user: UserId, name: str) -> bool:
    """Tell whether the words of a pill name the person it leads to: by id, its first part, or their display name."""
    said = words.strip().removeprefix("@").strip()
    ids = (user[1:].casefold(), user[1:].partition(":")[0].casefold())
    return bool(said) and (said.casefold() in ids or said == name.strip().removeprefix("@").strip())


def bind(spec: str, words: tuple[str, ...], *, replied_to: UserId | None = None) -> Arguments:
    """Match words with what a command declares, such as ``"user duration? reason*"``.

    A "user" may be left out in a reply: then it is the sender of the message replied to. Raises `Refused`.
    """
    left = list(words)
    values: dict[str, object] = {}
    for item in spec.split():
        name, optional = item.rstrip("?*"), item[-1] in "?*"
        if name == "reason":
            values["reason"] = _reason(" ".join(left))
            left = []
            continue
        if name == "person":
            values["user"] = _person(left)
            continue
        if name == "text":
            values["text"], left = " ".join(left), []
            continue
        if name == "everywhere":
            values |= _everywhere(left, timed="duration_ms" not in values and "duration?" in spec.split())
            continue
        value = _take(name, left, optional)
        if value is None and name == "user":
            value = replied_to
        if value is None and not optional:
            raise Refused(f"error.missing.{name}")
        if value is not None:
            values[_FIELDS[name]] = value
    if left:
        raise Refused("error.superfluous", words=" ".join(left)[:60])
    return Arguments(**values)  # type: ignore[arg-type]


_FIELDS = {
    "user": "user",
    "case": "case",
    "request": "request",
    "duration": "duration_ms",
    "sweep": "sweep_ms",
    "word": "word",
    "server": "server",
    "count": "count",
}
_SWEEP = ("redact", "移除")
_LONGEST_COUNT = 8


def _take(name: str, left: list[str], optional: bool) -> object:
    if not left:
        return None
    word = left[0]
    if name == "user":
        word = linked_user(word) or word
        return UserId(word.rstrip(":,")) if _looks_like_user(word) and left.pop(0) else None
    if name in ("case", "request"):
        return _case(left.pop(0)) if word.lstrip("#").isdecimal() or not optional else None
    if name == "count":
        return int(left.pop(0)) if word.isascii() and word.isdecimal() and len(word) < _LONGEST_COUNT else None
    if name == "duration":
        return _duration(left, word)
    if name == "sweep":
        return _sweep(left)
    return left.pop(0)


def _everywhere(left: list[str], *, timed: bool) -> dict[str, object]:
    """Take the word for all rooms, the number that may follow it, and with `timed` a duration behind it."""
    if not left or left[0].lower() not in EVERYWHERE:
        return {}
    left.pop(0)
    found: dict[str, object] = {"everywhere": True}
    if left and (number := case_number(left[0])) is not None and left[0].isdigit():
        left.pop(0)
        return found | {"request": number}
    if timed and left and (lasts := _duration(left, left[0])) is not None:
        found["duration_ms"] = lasts
    return found


def linked_user(word: str) -> str:
    """Return the id that a link leads to, such as ``https://matrix.to/#/@ann:example.org``; "" if it is none."""
    link = _LINK.match(word.strip("<>"))
    return _id_of(link) if link is not None else ""


def _id_of(link: re.Match[str]) -> str:
    return unquote(link["id"]) if link["id"] else "@" + unquote(link["name"])


def _person(left: list[str]) -> UserId | None:
    """Take an id, and leave anything else to what follows."""
    word = linked_user(left[0]) or left[0].rstrip(":,") if left else ""
    return UserId(word) if is_user_id(word) and left.pop(0) else None


def _looks_like_user(word: str) -> bool:
    if not word.startswith("@"):
        return False
    if not is_user_id(word.rstrip(":,")):
        raise Refused("error.user.form", given=word[:60])
    return True


def case_number(word: str) -> int | None:
    """Return the number of a case, such as ``12`` or ``#12``; None if it cannot be one."""
    digits = word.lstrip("#")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else None


def _case(word: str) -> int:
    number = case_number(word)
    if number is None:
        raise Refused("error.case.form", given=word[:60])
    return number


def _duration(left: list[str], word: str) -> int | None:
    """Take a duration.

    A word that begins with a digit is meant as one, so a wrong one is an error, not a reason.
    """
    if not word[0].isdigit():
        return None
    try:
        value = parse_duration(word)
    except ValueError:
        raise Refused("error.duration.form", given=word[:60]) from None
    left.pop(0)
    return value


def _sweep(left: list[str]) -> int | None:
    """Take how far back to redact, such as ``redact 24h``; without a duration the word belongs to the reason."""
    if left[0].lower() not in _SWEEP or len(left) < 2 or not left[1][0].isdigit():
        return None
    left.pop(0)
    return _duration(left, left[0])


def _reason(text: str) -> str:
    if len(text) > MAX_REASON:
        raise Refused("error.reason.long", limit=MAX_REASON)
    return text


class _Pills(HTMLParser):
    """The text of a formatted body, with the Matrix id in the place of each pill."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.shown: dict[str, str] = {}  # Matrix id -> what is shown of the pill
        self.has_links = False  # of Matrix, to people, rooms or messages
        self._user = ""
        self._inside = 0
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href") or ""
        if tag == "mx-reply":
            self._skipped += 1
        elif self._skipped:  # people named in the quoted text are not meant
            return
        elif tag == "a" and (link := _LINK.match(href) or MESSAGE.match(href)):
            self.has_links = True
            self._user = "" if link.re is MESSAGE else _id_of(link)
            self.text += self._user or href
            if self._user:
                self.shown.setdefault(self._user, "")
            self._inside += 1
        elif tag in ("br", "p"):
            self.text += " "

    def handle_endtag(self, tag: str) -> None:
        if tag == "mx-reply":
            self._skipped = max(self._skipped - 1, 0)
        elif tag == "a":
            self._inside = max(self._inside - 1, 0)

    def handle_data(self, data: str) -> None:
        if self._skipped:
            return
        if not self._inside:
            self.text += data
        elif self._user:
            self.shown[self._user] = self.shown.get(self._user, "") + data


def _text(event: MessagePosted, prefix: str) -> tuple[str, dict[str, str]]:
    """Return a command with ids in the place of pills, and what the pills show."""
    formatted = text_of(event.content.get("formatted_body"))
    if formatted is None or not any(each in formatted for each in _LINKS) or len(formatted) > 4 * MAX_LENGTH:
        return event.body, {}
    pills = _Pills()
    try:
        pills.feed(formatted)
        pills.close()
    except (AssertionError, ValueError):  # some Pythons raise these for "<![x" and for "&#" with 5,000 digits
        return event.body, {}
    text = pills.text.strip()
    return (text, pills.shown) if pills.has_links and is_command(text, prefix) else (event.body, {})
