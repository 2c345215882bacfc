"""The people to whom a rule does not apply, as the rule names them.

Rules kept here:
- Any one of the conditions is enough.
- A pattern of people names their server in full: on a server of their own anybody can bear any name.

Left to others: whether somebody meets a condition (`moderation/judge/spared.py`).
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from moderation.values.durations import Duration
from moderation.values.ids import server_of

MOST_MESSAGES = 1_000  # that are counted of a person in a room


def _people(text: str) -> str:
    server = server_of(text)
    if not text.startswith("@") or not server or any(sign in server for sign in "*?[]"):
        raise PydanticCustomError("people", "not a pattern of Matrix ids with a whole server name")
    return text


People = Annotated[str, AfterValidator(_people)]


class Unless(BaseModel):
    """Conditions of which one is enough for a rule not to apply to a person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: tuple[People, ...] = Field(default=(), max_length=100)  # globs over Matrix ids, such as those of a bridge
    verified: Annotated[int, Field(ge=1, le=3)] | None = None  # at this level, as it counts in the room
    in_room_for: Duration | None = None  # first seen in the room so long ago
    # So many messages of theirs stand in the room, without those that were removed by a measure.
    messages: Annotated[int, Field(ge=1, le=MOST_MESSAGES)] | None = None
