"""A refusal as a line for the person refused, each field as the kind of value it is."""

from moderation.values.errors import Refused
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, Span, Value, Who


def refusal_line(refused: Refused) -> Line:
    """Say what was wrong, and the next step."""
    return Line(refused.key, {name: _shown(name, value) for name, value in refused.fields.items()})


def _shown(name: str, value: object) -> Value:
    if name == "who":
        return Who(str(value))
    if name == "room":
        return RoomName(str(value))
    if name == "state":
        return Phrase(f"state.{value}")
    if name == "until":
        return Moment(int(str(value)))
    return value if isinstance(value, int | str | Code | Span | Who) else str(value)
