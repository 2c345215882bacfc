"""Messages that are too long, or that consist of signs: walls of text, drawings, letters under heaps of accents.

Rules kept here:
- Each text of an event is measured alone, as a reader sees it (invisible characters do not count).
- Letters, digits, spaces, and the marks that spelling needs are text; everything else is a sign: punctuation, emoji,
  and marks beyond two on a letter.
"""

import unicodedata
from typing import ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from .base import InChat, RuleBase, StrictSettings
from .check import Hit, Judged, View
from .event_texts import looked_at
from .normalise_text import visible

FEWEST = 20  # characters below which no share of signs is too large
_MOST_MARKS = 2  # on one letter


class ShapeSettings(StrictSettings):
    """Settings of a shape rule: how long a text may be, and how much of it may be signs."""

    max_length: int | None = Field(
        default=None, ge=1, le=65_536, description="so many characters may a text have; left out: any", examples=[4000]
    )
    max_lines: int | None = Field(
        default=None, ge=1, le=10_000, description="so many lines may a text have; left out: any", examples=[60]
    )
    max_signs: int | None = Field(
        default=None,
        ge=1,
        le=99,
        description="so many per cent of a text may be signs and emoji; left out: any",
        examples=[90],
    )

    @model_validator(mode="after")
    def _limits_something(self) -> "ShapeSettings":
        if self.max_length is None and self.max_lines is None and self.max_signs is None:
            raise PydanticCustomError("shape_nothing", "expected max_length, max_lines or max_signs")
        return self


class Shape:
    """The measure of texts."""

    def __init__(self, settings: ShapeSettings, where: frozenset[str] = frozenset()) -> None:
        self._settings, self._where = settings, where

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return a hit for the first text that is longer than allowed, or has more signs."""
        del view
        for text in looked_at(event, self._where):
            for value, limit in self._measured(text.value.strip()):
                if value > limit:
                    return Hit(where=text.where, numbers={"count": value, "limit": limit})
        return None

    def _measured(self, text: str) -> tuple[tuple[int, int], ...]:
        rule = self._settings
        return (
            *(((len(text), rule.max_length),) if rule.max_length is not None else ()),
            *(((len(text.splitlines()), rule.max_lines),) if rule.max_lines is not None else ()),
            *(((share_of_signs(text), rule.max_signs),) if rule.max_signs is not None else ()),
        )


class ShapeRule(RuleBase, ShapeSettings):
    """A rule about how long messages are, and of what they consist."""

    IN_CHAT: ClassVar = InChat(values=("max_length", "max_lines", "max_signs"))

    kind: Literal["shape"]

    def compiled(self, *, own: bool = False) -> Shape:
        """Return its measure."""
        del own
        return Shape(self, frozenset(self.where))


def share_of_signs(text: str) -> int:
    """Return how many per cent of a text are signs; 0 of a text that is too short to tell."""
    seen = visible(text)
    if len(seen) < FEWEST:
        return 0
    signs = marks = 0
    for char in seen:
        category = unicodedata.category(char)[0]
        marks = marks + 1 if category == "M" else 0
        signs += (category in "PSC" and not char.isspace()) or marks > _MOST_MARKS
    return 100 * signs // len(seen)
