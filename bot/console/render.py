"""Pages from templates: words from the message files, and every value as text.

Rules kept here:
- A value becomes markup only if it is a `Markup` of ours. Characters that hide or rearrange text are shown by their
  number (`storage/export/markup.py`).
- A template that names something unknown fails; no page is shown with a hole in it.
"""

import datetime as dt
import hashlib
import html
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bot.texts.catalog import LANGUAGES, Catalog, ShownPerson, shown_name
from bot.texts.matrix_message import Speech
from moderation.values.notices import Line, Moment, Span
from storage.export.markup import escaped

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"
STATIC = HERE / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript"}


def shown(value: object) -> object:
    """Return a value of a template as it stands in the page."""
    return value if hasattr(value, "__html__") else Markup(escaped(value))  # noqa: S704 - escaped here


def typed(value: object) -> Markup:
    """Return what somebody typed as it stands in an attribute: there, no element can show a hidden character."""
    return Markup(html.escape(str(value).encode("utf-8", "replace").decode()))  # noqa: S704 - escaped here


@cache
def environment() -> Environment:
    """Return the templates, each compiled once."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["typed"] = typed
    found.globals |= {"path_of": path_of, "static": static_path}
    return found


@cache
def static_files() -> Mapping[str, tuple[str, bytes]]:
    """Return the files that pages need, with their types, by names that change with their content."""
    found = {}
    for path in sorted(each for each in STATIC.iterdir() if each.suffix in _TYPES):
        content = path.read_bytes()
        found[f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"] = (_TYPES[path.suffix], content)
    return found


@cache
def static_path(name: str) -> str:
    """Return the address of a file that pages need, such as ``console.css``."""
    stem, _, suffix = name.rpartition(".")
    return next(f"/static/{each}" for each in static_files() if each.startswith(stem) and each.endswith(suffix))


def path_of(*parts: object) -> str:
    """Return an address on this site, each part escaped."""
    return "/" + "/".join(quote(str(part), safe="") for part in parts)


class Pages:
    """The pages of one console."""

    def __init__(self, catalog: Catalog, speech: Speech, menu: Callable[[Any], Sequence[Any]]) -> None:
        self._menu = menu
        self._words = {language: PageWords(catalog, speech, language) for language in LANGUAGES}
        self._languages = {each: catalog.text(each, f"language.{each}") for each in LANGUAGES}

    def answer(self, template: str, language: str, *, status: int = 200, **fields: Any) -> web.Response:
        """Return a page as an answer."""
        text = self.html(template, language, **fields)
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")

    def html(self, template: str, language: str, **fields: Any) -> str:
        """Return a page."""
        words = self._words[language]
        return (
            environment()
            .get_template(template)
            .render(
                t=words.markup,
                plain=words.plain,
                when=words.when,
                span=words.span,
                said=words.said,
                name_of=words.name_of,
                rule_text=words.rule,
                language=language,
                languages=self._languages,
                menu=self._menu,
                **{"visit": None, "section": "", **fields},
            )
        )


class PageWords:
    """The words of a page, in one language."""

    def __init__(self, catalog: Catalog, speech: Speech, language: str) -> None:
        self._catalog = catalog
        self._speech = speech
        self._language = language
        self._fixed: dict[str, Markup] = {}  # texts without fields

    def markup(self, key: str, **fields: object) -> Markup:
        """Return a text as markup."""
        if fields:
            return self._rendered(key, fields)
        if (known := self._fixed.get(key)) is None:
            known = self._fixed[key] = self._rendered(key, fields)
        return known

    def _rendered(self, key: str, fields: Mapping[str, object]) -> Markup:
        return Markup(self._catalog.html(self._language, key, **fields))  # noqa: S704 - the catalog escapes

    def plain(self, key: str, **fields: object) -> str:
        """Return a text for an attribute or a title."""
        return self._catalog.text(self._language, key, **fields)

    def when(self, ms: int, form: str = "short") -> Markup:
        """Return a point in time; `form` as in the message files, or "left" for the time left until then."""
        if not ms:
            return Markup("–")
        at = dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat(timespec="seconds")
        text = self._catalog.text(self._language, f"console.moment.{form}", at=Moment(ms))
        return Markup(f'<time datetime="{at}">{html.escape(text)}</time>')  # noqa: S704 - escaped here

    def span(self, ms: int) -> str:
        """Return a length of time."""
        return self._catalog.text(self._language, "console.span", span=Span(ms))

    def said(self, lines: Sequence[Line], names: Mapping[str, str]) -> Sequence[Markup]:
        """Return the lines of a notice, each as markup."""
        return [Markup(self._speech.text([each], self._language, names).html) for each in lines]  # noqa: S704 - likewise

    def name_of(self, user: str, names: Mapping[str, str]) -> str:
        """Return the display name to show before an id; "" if it says nothing more."""
        return shown_name(ShownPerson(user, names.get(user, "")))

    def rule(self, rule: str, words: Mapping[str, str]) -> str:
        """Return a rule in words; `words`: those of the room's own rules."""
        return self._speech.rule(rule, self._language, words.get(rule, ""))
