"""Keeps a code or address that was sent in a group out of the records, and nothing else of the message.

Rules kept here:
- Nothing else is left out, so that nobody can say things in a group that are on no record. The message must be a plain
  `m.text` without further content, consisting only of the command, a way to verify, and one token in the form of that
  way.
- The recorded text has that form again, so that it is recognised when it is read back.
Left to others: removing such a message in the same step, and recording it completely if it cannot be removed
(`bot/pipeline/pipeline.py`).
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from bot.texts.command_prefix import prefix_pattern
from moderation.values.events import Json, MessagePosted, Received, Text
from moderation.values.ids import is_event_id

LEFT_OUT = "…"
MAX_ADDRESS = 254

_ADDRESS = r"[!-;=?A-~]{1,64}@[A-Za-z0-9.-]{1,189}"
_DIGITS = r"[0-9]{4}[ -]?[0-9]{4}"
_ROSTER = r"[A-Za-z0-9]{4}(?:[ -]?[A-Za-z0-9]{4}){3}"
_BESIDE = frozenset({"msgtype", "body", "m.mentions", "m.relates_to"})
_OF_THREADS = frozenset({"rel_type", "event_id", "is_falling_back", "m.in_reply_to"})


class SaidAloud:
    """Knows the forms of the command."""

    def __init__(self, prefix: str, name: str, aliases: tuple[str, ...]) -> None:
        names = "|".join(map(re.escape, (name, *aliases)))
        ways = "|".join(
            (
                rf"(?P<plain>)(?:{_ADDRESS}|{_DIGITS}|{LEFT_OUT})",
                rf"(?P<email>email)[\s:]{{1,9}}(?:{_ADDRESS}|{LEFT_OUT})",
                rf"(?P<roster>roster)[\s:]{{1,9}}(?:{_ROSTER}|{LEFT_OUT})",
            )
        )
        command = rf"\s{{0,9}}{prefix_pattern(prefix)}\s{{0,9}}(?:{names})(?![a-z])[\s:]{{0,9}}(?:{ways})\s{{0,9}}"
        self._command = re.compile(command, re.IGNORECASE)
        self._written = f"{prefix}{name}"

    def without_token(self, event: Received) -> MessagePosted | None:
        """Return the event as it is recorded; None if it is another message, which is recorded unchanged."""
        if not isinstance(event, MessagePosted) or not _is_text_alone(event):
            return None
        found = self._command.fullmatch(event.body)
        if found is None or len(event.body) > MAX_ADDRESS + len(self._written) + 40:
            return None
        way = (found["email"] or found["roster"] or "").lower()
        body = " ".join(filter(None, (self._written, way, LEFT_OUT)))
        return replace(event, content={**event.content, "body": body}, texts=(Text("body", body),))


def _is_text_alone(event: MessagePosted) -> bool:
    content = event.content
    plain = event.type == "m.room.message" and content.get("msgtype") == "m.text" and event.replaces is None
    return plain and content.keys() <= _BESIDE and not content.get("m.mentions") and _relates(content)


def _relates(content: Mapping[str, Json]) -> bool:
    """Tell whether the relation, if any, is only a thread or a reply and carries no other content."""
    relates = content.get("m.relates_to", {})
    if not isinstance(relates, dict) or not relates.keys() <= _OF_THREADS:
        return False
    reply = relates.get("m.in_reply_to", {})
    if not isinstance(reply, dict) or not reply.keys() <= {"event_id"}:
        return False
    ids = [part["event_id"] for part in (relates, reply) if "event_id" in part]
    known = all(isinstance(found, str) and is_event_id(found) and len(found) <= 64 for found in ids)
    falls_back = relates.get("is_falling_back", False)
    return known and relates.get("rel_type", "m.thread") == "m.thread" and isinstance(falls_back, bool)
