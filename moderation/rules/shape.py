"""Messages that are too long, or that consist of signs: walls of text, drawings, letters under heaps of accents.

Pictures in a text that are too high, and ids of senders that are too long, fill a screen as well.

Rules kept here:
- Each text of an event is measured alone, as a reader sees it (invisible characters do not count).
- A picture is as high as its sender says; for one of which nothing is said, clients choose.
- Letters, digits, spaces, and the marks that spelling needs are text; everything else is a sign: punctuation, emoji,
  and marks beyond two on a letter.
"""

import unicodedata
from typing import ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from moderation.values.events import MessagePosted

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

    max_emoji_height: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="so many pixels high may an emoji or picture in a text be; left out: any",
        examples=[64],
    )
    max_user_id: int | None = Field(
        default=None,
        ge=1,
        le=255,
        description="so many characters may the sender's id have; left out: any",
        examples=[100],
    )

    @model_validator(mode="after")
    def _limits_something(self) -> "ShapeSettings":
        if all(getattr(self, limit) is None for limit in ShapeSettings.model_fields):
            raise PydanticCustomError("shape_nothing", "expected a limit")
        return self


class Shape:
    """The measure of texts."""

    def __init__(self, settings: ShapeSettings, where: frozenset[str] = frozenset()) -> None:
        self._settings, self._where = settings, where

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return a hit for the first text that is longer than allowed, or has more signs; then for what is around."""
        del view
        for text in looked_at(event, self._where):
            for value, limit in self._measured(text.value.strip()):
                if value > limit:
                    return Hit(where=text.where, numbers={"count": value, "limit": limit})
        height = event.tallest if isinstance(event, MessagePosted) else 0
        for value, most in ((height, self._settings.max_emoji_height), (len(event.sender), self._settings.max_user_id)):
            if most is not None and value > most:
                return Hit(numbers={"count": value, "limit": most})
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

    IN_CHAT: ClassVar = InChat(values=tuple(ShapeSettings.model_fields))

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
