"""Redaction of events: ids and signatures cover only what it leaves.

Specification: "Room versions" v1.19, "Redactions".
"""

from collections.abc import Mapping
from typing import Any

from .room_versions import EVERYTHING, Paths, RoomVersion


def redacted(event: Mapping[str, Any], version: RoomVersion) -> dict[str, Any]:
    """Return the event as a redaction leaves it, by the rules of its room version. `unsigned` is not kept."""
    left = {name: value for name, value in event.items() if name in version.kept}
    kind, content = event.get("type"), event.get("content")
    paths = version.kept_content.get(kind, ()) if isinstance(kind, str) else ()
    left["content"] = _kept(content, paths) if isinstance(content, Mapping) else {}
    return left


def _kept(content: Mapping[str, Any], paths: Paths) -> dict[str, Any]:
    if paths == EVERYTHING:
        return dict(content)
    left: dict[str, Any] = {}
    for name, *inner in paths:
        if name not in content:
            continue
        value = content[name]
        if not inner:
            left[name] = value
        elif isinstance(value, Mapping):  # it stays, even if it is empty then
            left[name] = {inner[0]: value[inner[0]]} if inner[0] in value else {}
    return left
