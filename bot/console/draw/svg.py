"""Elements of SVG and HTML from values, and the frame of a drawing.

Rules kept here:
- All text is escaped, and characters that hide or rearrange text are shown by their number: any value is well-formed.
- There is no style, no script and no handler: only classes (`static/console.css`) and presentation attributes.
- Across, places are percentages of the drawing, so letters keep their size on every screen. Lines of many points are in
  a picture of their own, which is stretched.
- A drawing has a title, a sentence and a table, for those who do not see it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from babel import Locale
from markupsafe import Markup, escape

from bot.texts.catalog import Catalog, locale_of
from storage.export.markup import HIDDEN

ABOVE, BELOW = 10, 24  # what `.plot` leaves free above and below a drawing, in pixels
ACROSS = 1000  # points of a stretched picture from left to right
MOST_ROWS = 100  # of a table
LONGEST = 120  # characters of a word

Value: TypeAlias = "str | int | float | None"
_NO_XML = re.compile("[\ufffe\uffff]")  # the only characters besides hidden ones that XML does not have
_PLAIN = re.compile(r"[A-Za-z0-9 .,:%()/_-]*")  # most of what stands in a drawing
_SLUG = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class DrawingWords:
    """The words of drawings in one language."""

    catalog: Catalog
    language: str

    @property
    def locale(self) -> Locale:
        """The language as Babel writes it."""
        return locale_of(self.language)

    def text(self, key: str, **fields: object) -> str:
        """Return a text of the message files."""
        return self.catalog.text(self.language, key, **fields)

    def columns(self, *names: str) -> list[str]:
        """Return the names of the columns of a table."""
        return [self.text(f"console.draw.column.{name}") for name in names]

    def sentences(self, *said: str) -> str:
        """Put sentences one after the other, as the language does."""
        return ("" if self.language == "zh" else " ").join(said)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a drawing: names of the columns, the first `MOST_ROWS` rows, and how many more there are."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | int]]
    left: int = 0


def tag(name: str, *inside: str, **attributes: Value) -> Markup:
    """Return an element. Strings in it are text unless they are markup; an attribute that is None is left out."""
    given = [f' {_attribute(each)}="{shown(number(value))}"' for each, value in attributes.items() if value is not None]
    return Markup(f"<{name}{''.join(given)}>{''.join(map(shown, inside))}</{name}>")  # noqa: S704 - each part is escaped


@cache
def _attribute(name: str) -> str:
    """Return an attribute as it is written, from the name of a parameter."""
    return name.rstrip("_").replace("_", "-")


def shown(text: str) -> Markup:
    """Return text as text; hidden characters by their number."""
    if isinstance(text, Markup):
        return text
    if _PLAIN.fullmatch(text):
        return Markup(text)  # noqa: S704 - nothing in it needs escaping
    return escape(_NO_XML.sub("\ufffd", HIDDEN.sub(lambda found: f"U+{ord(found[0]):04X}", text)))


def number(value: str | int | float) -> str:
    """Write a number in few digits."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def share(part: float, whole: float) -> str:
    """Return a place as a percentage, never outside."""
    return number(100.0 * min(max(part / whole, 0.0), 1.0)) + "%" if whole else "0%"


def cut(text: str) -> str:
    """Return a text that is short enough for a drawing or a table; markup is left as it is."""
    return text if isinstance(text, Markup) or len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def words_at(x: str | int, y: float, text: str, anchor: str | None = None, class_: str | None = None) -> Markup:
    """Return a word in a drawing."""
    return tag("text", cut(text), x=x, y=y, text_anchor=anchor, class_=class_)


def rect(x: str, y: float, width: str, height: float, class_: str | None = None, *, stripes: str = "") -> Markup:
    """Return a rectangle; `stripes`: the name of what `hatched` defined, which is drawn over it."""
    plain = tag("rect", x=x, y=y, width=width, height=height, class_=class_, fill="none" if stripes else "currentColor")
    return plain + tag("rect", x=x, y=y, width=width, height=height, fill=f"url(#{stripes})") if stripes else plain


def stretched(*inside: str, height: float, top: float = 0) -> Markup:
    """Return a picture `ACROSS` wide and `height` high, as wide as the drawing; strokes keep their width."""
    return tag(
        "svg",
        *inside,
        x=0,
        y=top,
        width="100%",
        height=height,
        viewBox=f"0 0 {ACROSS} {number(height)}",
        preserveAspectRatio="none",
    )


def stroke(d: str, class_: str, *, dashes: str | None = None) -> Markup:
    """Return a line of a stretched picture."""
    return tag(
        "path", d=d, class_=class_, fill="none", stroke="currentColor", stroke_dasharray=dashes,
        vector_effect="non-scaling-stroke",
    )  # fmt: skip


def hatched(name: str) -> Markup:
    """Return the definition of stripes, which say without colour where something is missing."""
    line = tag("path", d="M-1 1l2-2M0 6l6-6M5 7l2-2", class_="stripes", stroke="currentColor")
    return tag("defs", tag("pattern", line, id=name, width=6, height=6, patternUnits="userSpaceOnUse"))


def drawing(
    name: str,
    title: str,
    says: str,
    numbers: Numbers,
    words: DrawingWords,
    *inside: str,
    height: float,
    links: bool = False,
) -> Markup:
    """Return the whole figure. `name` is its own on the page; a drawing with links is no image, but a group of them."""
    if not _SLUG.fullmatch(name):
        raise ValueError(f"not the name of a drawing: {name!r}")
    title = cut(title)
    plot = tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", says, id=f"{name}-says"),
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        class_="plot",
        role="group" if links else "img",
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-says",
        width="100%",
        height=height + ABOVE + BELOW,
    )
    caption = tag("figcaption", says)
    return tag("figure", plot, caption, _table(title, numbers, words), class_="figure", id=name)


def _table(title: str, numbers: Numbers, words: DrawingWords) -> Markup:
    head = tag("tr", *(tag("th", cut(each), scope="col") for each in numbers.columns))
    rows = [_row(row, words) for row in numbers.rows]
    table = tag("table", tag("caption", title), tag("thead", head), tag("tbody", *rows), class_="data")
    more = [tag("p", words.text("console.draw.more", count=numbers.left), class_="meta")] if numbers.left else []
    name = words.text("console.draw.numbers")
    wide = tag("div", table, class_="wide", tabindex=0, role="region", aria_label=title)
    return tag("details", tag("summary", name), wide, *more)


def _amount(value: int, words: DrawingWords) -> str:
    """Write an amount as the language does; a small one is the same in all."""
    return str(value) if 0 <= value < 1_000 else words.text("console.draw.count", count=value)


def _row(row: Sequence[str | int], words: DrawingWords) -> Markup:
    head, *rest = (cut(each) if isinstance(each, str) else each for each in row)
    cells = [
        tag("td", each) if isinstance(each, str) else tag("td", _amount(each, words), class_="num") for each in rest
    ]
    return tag("tr", tag("th", str(head), scope="row"), *cells)
