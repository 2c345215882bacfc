"""The message catalog, which turns a key and fields into text for a person, in English or Chinese.

All text that people read stands in `en.toml` and `zh.toml` in this folder.

Rules kept here:
- A field is escaped when it is rendered, so a display name can never become markup, a mention or a line of its own.
- Times, durations and numbers are written as the language writes them (Babel).
- A point in time is given in one time zone, and names its offset. `{due:short}` leaves out the year if it is near;
  `{due:left}` is the time left until then.
- A person is shown by their display name, if one is known, with the id behind it. A name that holds an id is not shown.
- In our texts, `code` and **bold** are markup.

Left to others: which text goes to whom (`bot/effects/send_notice.py`).
"""

import datetime as dt
import html
import math
import os
import re
import string
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal

from moderation.values.notices import Code, Link, Moment, Phrase, Quoted, RoomName, RuleText, Span, Who

from .others_words import name_of, parts, tame

LANGUAGES = ("en", "zh")
USUAL_PREFIX = "!"  # of commands, as the files write them
_LOCALES = {"en": Locale.parse("en_GB"), "zh": Locale.parse("zh_CN")}  # found once: Babel looks through a thousand
_WHEN = {"en": "d MMM y, HH:mm", "zh": "y年M月d日 HH:mm"}
_SHORT = {"en": "d MMM, HH:mm", "zh": "M月d日 HH:mm"}
_LEFT = {"en": ("{} min", "{} h", "{} days"), "zh": ("{} 分钟", "{} 小时", "{} 天")}
_BEHIND = {"en": "{} ({})", "zh": "{}（{}）"}
_NEAR_MS = 300 * 86_400_000
_CELL = {"en": ("d MMM HH:mm", "d MMM y"), "zh": ("M月d日 HH:mm", "y年M月d日")}  # of a table: near, and far away
_UNITS: tuple[tuple[Literal["day", "hour", "minute"], int], ...] = (("day", 86_400), ("hour", 3_600), ("minute", 60))
MATRIX_TO = "https://matrix.to/#/"
_NAMED_BY_NUMBER = frozenset({"n", "last", "pid"})  # fields that hold numbers of cases and processes


@dataclass(frozen=True, slots=True)
class Rendered:
    """One text in two forms: `plain` for `body`, `html` for `formatted_body` (org.matrix.custom.html)."""

    plain: str
    html: str


@dataclass(frozen=True, slots=True)
class ShownPerson:
    """A person by their Matrix id and the display name that they chose ("": none is known)."""

    user: str
    name: str


class _When(str):
    """A point in time as text, with shorter forms of it by which a template can ask for it."""

    __slots__ = ("forms",)
    forms: Mapping[str, str]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Catalog:
    """The message files, loaded once."""

    def __init__(
        self,
        texts: Mapping[str, Mapping[str, str]],
        zone: dt.tzinfo = dt.UTC,
        clock: Callable[[], int] = _now_ms,
        people: str = "",
    ) -> None:
        self._texts = texts
        self._zone = zone
        self._clock = clock
        self._people = people  # where pages about people are; "": links lead to Matrix

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> "Catalog":
        """Read both message files. Raises `tomllib.TOMLDecodeError` if one is damaged."""
        return cls({language: _flat(_read(language)) for language in LANGUAGES})

    def with_prefix(self, prefix: str) -> "Catalog":
        """Return the same texts, with commands written with the prefix of this deployment."""
        if prefix == USUAL_PREFIX:
            return self
        shown = "`" + prefix.replace("{", "{{").replace("}", "}}")
        return Catalog(
            {
                language: {key: text.replace(f"`{USUAL_PREFIX}", shown) for key, text in texts.items()}
                for language, texts in self._texts.items()
            },
            self._zone,
            self._clock,
            self._people,
        )

    def with_zone(self, name: str) -> "Catalog":
        """Return the same texts, with points in time given in this time zone."""
        return Catalog(self._texts, dt.UTC if name == "UTC" else ZoneInfo(name), self._clock, self._people)

    def with_clock(self, clock: Callable[[], int]) -> "Catalog":
        """Return the same texts, with the time left counted by this clock."""
        return Catalog(self._texts, self._zone, clock, self._people)

    def with_people_at(self, address: str) -> "Catalog":
        """Return the same texts for a site with a page of each person; a link to a message is shown in words there."""
        return Catalog(self._texts, self._zone, self._clock, address)

    def keys(self, language: str) -> frozenset[str]:
        """Return all keys of one language."""
        return frozenset(self._texts[language])

    def template(self, language: str, key: str) -> str:
        """Return the text with its `{fields}` unfilled.

        In English if the language lacks it. Raises `KeyError` for an unknown key.
        """
        return self._texts.get(language, {}).get(key) or self._texts["en"][key]

    def has(self, key: str) -> bool:
        """Tell whether there is such a text."""
        return key in self._texts["en"]

    def text(self, language: str, key: str, **fields: object) -> str:
        """Return plain text for a terminal or a `body`."""
        return _fill(self.template(language, key).replace("**", ""), self._plainly(fields, language))

    def render(self, language: str, key: str, **fields: object) -> Rendered:
        """Return plain text and HTML at once, for a message."""
        plain = _fill(_unmarked(self.template(language, key)), self._plainly(fields, language))
        return Rendered(plain=plain, html=self.html(language, key, **fields))

    def html(self, language: str, key: str, **fields: object) -> str:
        """Return HTML, for a page."""
        marked = {name: self._marked(self._local(name, value, language), language) for name, value in fields.items()}
        return _fill(_markup(self.template(language, key)), marked)

    def _plainly(self, fields: Mapping[str, object], language: str) -> dict[str, str]:
        return {name: _plain(self._local(name, value, language), language) for name, value in fields.items()}

    def _marked(self, value: object, language: str) -> str:
        if isinstance(value, Link) and self._people:
            return (
                f'<a href="{html.escape(value.url)}">{html.escape(self.template(language, "console.case.message"))}</a>'
            )
        return _html(value, language, self._people or MATRIX_TO)

    def _local(self, name: str, value: object, language: str) -> object:
        if isinstance(value, Moment):
            return _when(value, language, self._zone, self._clock())
        if isinstance(value, Phrase):
            return self.render(language, value.key)
        return _ordinal(name, value)


def language_named(word: str) -> str:
    """Return the language that a word names, such as ``zh``, ``Chinese`` or ``中文``; "" if it names none."""
    texts = Catalog.load()
    for language in LANGUAGES:
        names = {language, *(texts.template(each, f"language.{language}").lower() for each in LANGUAGES)}
        if word.lower() in names:
            return language
    return ""


@cache
def fields_of(template: str) -> frozenset[str]:
    """Return the names in braces."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)


def cli_language(environ: Mapping[str, str] = os.environ) -> str:
    """Return the language of the terminal: by ANSWERABLE_LANG, else LC_ALL, LC_MESSAGES, LANG; else English."""
    for name in ("ANSWERABLE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def _read(language: str) -> dict[str, object]:
    return tomllib.loads((resources.files(__package__) / f"{language}.toml").read_text("utf-8"))


def _flat(table: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value).strip("\n")
    return flat


def _fill(template: str, fields: Mapping[str, str]) -> str:
    return "".join([before + (_in_form(fields[name], form) if name else "") for before, name, form in _taken(template)])


@cache
def _taken(template: str) -> Sequence[tuple[str, str | None, str | None]]:
    """Take one of our templates apart: what stands before each field, its name, and the form asked for."""
    return [(before, name, form) for before, name, form, _ in string.Formatter().parse(template)]


def _in_form(value: str, form: str | None) -> str:
    """Return a value in a form. Only points in time have several."""
    return value.forms[form] if form and isinstance(value, _When) else value


@cache
def _markup(template: str) -> str:
    """Turn `code`, **bold** and ends of lines in one of our templates into HTML. Nothing else in them is markup."""
    marked = re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(template, quote=False))
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", marked).replace("\n", "<br>")


def _unmarked(template: str) -> str:
    return template.replace("`", "").replace("**", "")


def shown_name(person: ShownPerson) -> str:
    """Return the display name to show before the id; "" if it says nothing more, or could be taken for an id."""
    name, local = name_of(person.name), person.user[1:].partition(":")[0]
    return "" if name.casefold() == local.casefold() else name


def _ordinal(name: str, value: object) -> object:
    """Leave a number that names something without separators: "case 1,234" could not be typed back."""
    return str(value) if name in _NAMED_BY_NUMBER and isinstance(value, int) else value


def short_time(ms: int, language: str, now_ms: int) -> str:
    """Write a time of UTC in a few columns: with the hour if it is near, else with the year."""
    form = _CELL[language][abs(now_ms - ms) >= _NEAR_MS]
    return format_datetime(dt.datetime.fromtimestamp(ms / 1000, dt.UTC), form, locale=locale_of(language))


def _when(moment: Moment, language: str, zone: dt.tzinfo, now_ms: int) -> _When:
    """Write a time as clocks in `zone` show it, with the offset from UTC: a night may have an hour twice.

    No time (0) is a dash.
    """
    if not moment.ms:
        none = _When("–")
        none.forms = {"short": none, "left": none}
        return none
    near = _SHORT if abs(moment.ms - now_ms) < _NEAR_MS else _WHEN
    whole, short = (
        _written(moment.ms // 60_000, zone, each.get(language, each["en"]), language) for each in (_WHEN, near)
    )
    written = _When(whole)
    written.forms = {"short": short, "left": _left(moment.ms - now_ms, language)}
    return written


@lru_cache(maxsize=10_000)
def _written(minute: int, zone: dt.tzinfo, form: str, language: str) -> str:
    when = dt.datetime.fromtimestamp(minute * 60, zone)
    return f"{format_datetime(when.replace(tzinfo=None), form, locale=locale_of(language))} UTC{_offset(when)}"


def _left(ms: int, language: str) -> str:
    """Write the time left as people say it: in minutes, from an hour on in hours, from two days on in days."""
    minutes = max(round(ms / 60_000), 1)
    hours, days = round(minutes / 60), round(minutes / 1440)
    in_minutes, in_hours, in_days = _LEFT.get(language, _LEFT["en"])
    if minutes < 60:
        return in_minutes.format(minutes)
    return in_hours.format(hours) if hours < 48 else in_days.format(days)


def _offset(when: dt.datetime) -> str:
    minutes = round((when.utcoffset() or dt.timedelta()) / dt.timedelta(minutes=1))
    hours, rest = divmod(abs(minutes), 60)
    if not minutes:
        return ""
    return f"{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"


def locale_of(language: str) -> Locale:
    """Return how Babel writes a language."""
    return _LOCALES.get(language, _LOCALES["en"])


def _span(ms: int, locale: Locale) -> str:
    """Write a duration exactly, in the largest unit that divides it, since people act by it; else round it."""
    seconds = max(math.ceil(ms / 1000), 1)
    length = dt.timedelta(seconds=seconds)
    for unit, size in _UNITS:
        if seconds % size == 0:
            return _units(format_timedelta(length, granularity=unit, threshold=math.inf, locale=locale))
    return _units(format_timedelta(length, threshold=2, locale=locale))


def _units(written: str) -> str:
    """Write Chinese units as people do: 30 秒, not 30秒钟."""
    return re.sub(r"(\d)(?=[年个周天小分秒])", r"\1 ", written).replace("秒钟", "秒")


def _plain(value: object, language: str) -> str:
    locale = locale_of(language)
    match value:
        case Rendered():
            return value.plain
        case Span():
            return _span(value.ms, locale)
        case bool():
            return str(value)
        case int():
            return format_decimal(value, locale=locale)
        case _When():
            return value
        case Who():
            return tame(value.user)
        case ShownPerson():
            name, user = shown_name(value), tame(value.user)
            return _BEHIND.get(language, _BEHIND["en"]).format(name, user) if name else user
        case Quoted():
            before, marked, after = parts(value)
            return f"{before}«{marked}»{after}" if marked else before + after
        case Link():
            return tame(value.url)
        case Code():
            return tame(value.text)
        case RoomName():
            return tame(value.room)
        case RuleText():
            return tame(value.rule)
        case _:
            return tame(str(value))


def _html(value: object, language: str, people: str) -> str:
    match value:
        case Rendered():
            return value.html
        case _When():
            return value
        case Who():
            return _link(people, value.user, tame(value.user))
        case ShownPerson():
            name, user = shown_name(value), tame(value.user)
            linked = _link(people, value.user, name or user)
            return _BEHIND.get(language, _BEHIND["en"]).format(linked, html.escape(user)) if name else linked
        case Quoted():
            before, marked, after = map(html.escape, parts(value))
            return f"{before}<strong>{marked}</strong>{after}" if marked else before + after
        case Link():
            return f'<a href="{html.escape(value.url)}">{html.escape(tame(value.url))}</a>'
        case Code():
            return f"<code>{html.escape(tame(value.text))}</code>"
        case _:
            return html.escape(_plain(value, language))


def _link(people: str, user: str, shown: str) -> str:
    return f'<a href="{people}{quote(user, safe="@:")}">{html.escape(shown)}</a>'
