"""All actions by name, and how one is read back from JSON."""

from collections.abc import Mapping
from typing import Any

from moderation.values.events import Json
from moderation.values.notices import lines_from_json

from . import alerts, anchors, cards, files, lists, people, removal, rooms, telling
from .base import Action

_SUBJECTS = (removal, rooms, lists, telling, cards, anchors, alerts, files, people)
ACTIONS: dict[str, type[Action]] = {
    value.NAME: value
    for subject in _SUBJECTS
    for value in vars(subject).values()
    if isinstance(value, type) and issubclass(value, Action) and value is not Action
}


def from_json(raw: Mapping[str, Json]) -> Action:
    """Return the action that `to_json` wrote."""
    cls = ACTIONS[str(raw["do"])]
    given = {n: value for n, value in raw.items() if n != "do"}
    values: dict[str, Any] = {
        n: lines_from_json(value) if n in cls.LINES else _tupled(value) for n, value in given.items()
    }
    return cls(**values)


def _tupled(value: Json) -> Any:
    if not isinstance(value, list):
        return value
    return tuple(from_json(each) if isinstance(each, dict) else each for each in value)
