"""A refusal as a line for the person refused, each field as the kind of value it is."""

from moderation.values.errors import Refused
from moderation.values.notices import Line, Moment, Phrase, RoomName, Value, Who


def refusal_line(refused: Refused) -> Line:
    """Say what was wrong, and the next step."""
    return Line(refused.key, {name: _shown(name, value) for name, value in refused.fields.items()})


def _shown(name: str, value: object) -> Value:
    """Return the value as it is if its type says how to show it, else as fields of this name are shown."""
    match name, value:
        case "until", int():
            return Moment(value)
        case "who", str():
            return Who(value)
        case "room" | "other", str():
            return RoomName(value)
        case "state", str():
            return Phrase(f"state.{value}")
    return value if isinstance(value, Value) else str(value)
