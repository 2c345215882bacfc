"""The message catalog, which turns a key and fields into text for a person, in English or Chinese.

All text that people read stands in `en.toml` and `zh.toml` in this folder.

Rules kept here:
- A field is escaped when it is rendered, so a display name can never become markup, a mention or a line of its own.
- Times, durations and numbers are written as the language writes them (Babel).
- A point in time is given in one time zone, and names its offset.

Left to others: which text goes to whom (`bot/effects/send_notice.py`).
"""

import datetime as dt
import html
import math
import os
import re
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal

from moderation.values.notices import Code, Moment, Span, Who

LANGUAGES = ("en", "zh")
_LOCALES = {"en": "en_GB", "zh": "zh_CN"}
_WHEN = {"en": "d MMM y, HH:mm", "zh": "y年M月d日 HH:mm"}
_UNITS: tuple[tuple[Literal["day", "hour", "minute"], int], ...] = (("day", 86_400), ("hour", 3_600), ("minute", 60))
_NAMED_BY_NUMBER = frozenset({"n", "last", "pid"})  # fields that hold numbers of cases and processes
# Control characters, and the bidirectional overrides that let a name rewrite its line.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Rendered:
    """One text in two forms: `plain` for `body`, `html` for `formatted_body` (org.matrix.custom.html)."""

    plain: str
    html: str


class Catalog:
    """The message files, loaded once."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]], zone: dt.tzinfo = dt.UTC) -> None:
        self._texts = texts
        self._zone = zone

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> "Catalog":
        """Read both message files. Raises `tomllib.TOMLDecodeError` if one is damaged."""
        return cls({language: _flat(_read(language)) for language in LANGUAGES})

    def with_prefix(self, prefix: str) -> "Catalog":
        """Return the same texts, with commands written with the prefix of this deployment."""
        shown = "`" + prefix.replace("{", "{{").replace("}", "}}")
        return Catalog(
            {
                language: {key: text.replace("`!", shown) for key, text in texts.items()}
                for language, texts in self._texts.items()
            },
            self._zone,
        )

    def with_zone(self, name: str) -> "Catalog":
        """Return the same texts, with points in time given in this time zone."""
        return Catalog(self._texts, dt.UTC if name == "UTC" else ZoneInfo(name))

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
        return _fill(self.template(language, key), self._plainly(fields, language))

    def render(self, language: str, key: str, **fields: object) -> Rendered:
        """Return plain text and HTML at once, for a message."""
        template = self.template(language, key)
        marked = {k: _html(self._local(k, v, language), language) for k, v in fields.items()}
        return Rendered(
            plain=_fill(template.replace("`", ""), self._plainly(fields, language)),
            html=_fill(_markup(template).replace("\n", "<br>"), marked),
        )

    def _plainly(self, fields: Mapping[str, object], language: str) -> dict[str, str]:
        return {name: _plain(self._local(name, value, language), language) for name, value in fields.items()}

    def _local(self, name: str, value: object, language: str) -> object:
        return _when(value, language, self._zone) if isinstance(value, Moment) else _ordinal(name, value)


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
    return string.Formatter().vformat(template, (), fields)


def _markup(template: str) -> str:
    """Turn `code` marks into HTML. Nothing else in our texts is markup."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(template, quote=False))


def _tame(text: str) -> str:
    """Put a text on one line, without characters that could rearrange or hide text."""
    return _UNSAFE.sub("", text).replace("\n", " ").replace("\t", " ")


def _ordinal(name: str, value: object) -> object:
    """Leave a number that names something without separators: "case 1,234" could not be typed back."""
    return str(value) if name in _NAMED_BY_NUMBER and isinstance(value, int) else value


def _when(moment: Moment, language: str, zone: dt.tzinfo) -> str:
    """Write a time as clocks in `zone` show it, with the offset from UTC: a night may have an hour twice."""
    when = dt.datetime.fromtimestamp(moment.ms / 1000, zone)
    written = format_datetime(when.replace(tzinfo=None), _WHEN.get(language, _WHEN["en"]), locale=_locale(language))
    return f"{written} UTC{_offset(when)}"


def _offset(when: dt.datetime) -> str:
    minutes = round((when.utcoffset() or dt.timedelta()) / dt.timedelta(minutes=1))
    hours, rest = divmod(abs(minutes), 60)
    if not minutes:
        return ""
    return f"{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"


def _locale(language: str) -> str:
    return _LOCALES.get(language, "en_GB")


def _span(ms: int, locale: str) -> str:
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
    locale = _locale(language)
    match value:
        case Rendered():
            return value.plain
        case Span():
            return _span(value.ms, locale)
        case bool():
            return str(value)
        case int():
            return format_decimal(value, locale=locale)
        case Who():
            return _tame(value.user)
        case Code():
            return _tame(value.text)
        case _:
            return _tame(str(value))


def _html(value: object, language: str) -> str:
    match value:
        case Rendered():
            return value.html
        case Who():
            target = quote(value.user, safe="@:")
            return f'<a href="https://matrix.to/#/{target}">{html.escape(_tame(value.user))}</a>'
        case Code():
            return f"<code>{html.escape(_tame(value.text))}</code>"
        case _:
            return html.escape(_plain(value, language))
