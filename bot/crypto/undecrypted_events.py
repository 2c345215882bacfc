"""Events that could not be read yet, why, and what is done about it.

Rules this module keeps: an event waits from when it could not be read until its caller says that it is done with it,
so that a crash between does not lose it; the newest word of a sender on why a key is withheld counts; a key is asked
for once, of our own other devices only (others do not answer).
Left to others: reading them again (`machine.py`), how long to wait (its caller).

Specification: client-server API v1.19, "Key requests", "Reporting that decryption keys are withheld".
"""

import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from .account import MEGOLM
from .encoding import MalformedKey, Object, restored, stored, text_of
from .store import Db


def wait(db: Db, event: str, room: str, session: str, raw: Object, told: str, now_ms: int) -> None:
    """Keep an event that cannot be read yet, and why, as the caller is told; one nested too deeply never will be."""
    with suppress(MalformedKey):
        db.execute(
            "INSERT OR IGNORE INTO waiting (event, room, session, raw, since_ms, told) VALUES (?, ?, ?, ?, ?, ?)",
            (event, room, session, stored(raw), now_ms, told),
        )


def told(db: Db, reasons: Iterable[tuple[str, str]]) -> None:
    """The caller knows why these events (ids, with the code) cannot be read."""
    db.executemany("UPDATE waiting SET told = ? WHERE event = ?", [(code, event) for event, code in reasons])


def untold(db: Db) -> list[tuple[str, str, str, str]]:
    """The events of which a sender said since why they give no key: event, room, session, code."""
    rows = db.execute(
        "SELECT waiting.event, room, session, code, sender, raw FROM waiting JOIN withheld USING (room, session)"
        " WHERE code <> told ORDER BY number"
    )
    return [tuple(about) for *about, sender, raw in rows if restored(raw).get("sender") == sender]


def readable(db: Db) -> list[tuple[str, dict[str, Any]]]:
    """The waiting events whose key is there now, with their rooms, in the order in which they began to wait."""
    rows = db.execute("SELECT waiting.room, raw FROM waiting JOIN room_keys USING (room, session) ORDER BY number")
    return [(room, restored(raw)) for room, raw in rows]


def done(db: Db, events: Iterable[str]) -> None:
    """These need not wait any more."""
    db.executemany("DELETE FROM waiting WHERE event = ?", [(event,) for event in events])


def given_up(db: Db, before_ms: int) -> list[tuple[str, str, str, str]]:
    """The events that have waited since before then: event, room, session, sender. They are kept until `done`."""
    rows = db.execute("SELECT event, room, session, raw FROM waiting WHERE since_ms < ? ORDER BY number", (before_ms,))
    return [(event, room, session, str(restored(raw).get("sender", ""))) for event, room, session, raw in rows]


# Withheld


def note_withheld(db: Db, sender: str, content: Object, now_ms: int) -> tuple[str, str] | None:
    """A device says that it gives us no key, and why. Room and session, if it names them."""
    try:
        code = _code(text_of(content, "code"))
        room, session = text_of(content, "room_id"), text_of(content, "session_id")
    except MalformedKey:
        return None
    db.execute("INSERT OR REPLACE INTO withheld VALUES (?, ?, ?, ?, ?)", (room, session, sender, code, now_ms))
    return room, session


def _code(code: str) -> str:
    """A code that can be shown: what a stranger writes there may be anything."""
    return code if re.fullmatch(r"[A-Za-z0-9._-]{1,100}", code) else "unknown"


def code_of(db: Db, room: str, session: str, sender: str) -> str | None:
    """Why `sender` withholds that key, if they said."""
    row = db.execute(
        "SELECT code FROM withheld WHERE room = ? AND session = ? AND sender = ?", (room, session, sender)
    ).fetchone()
    return row[0] if row else None


# Asking our own devices


def ask(db: Db, room: str, session: str, device: str) -> dict[str, Any] | None:
    """The content of a request for that key; None if it was asked for before."""
    request = secrets.token_hex(16)
    made = db.execute("INSERT OR IGNORE INTO key_requests VALUES (?, ?, ?)", (room, session, request))
    if not made.rowcount:
        return None
    body = {"algorithm": MEGOLM, "room_id": room, "session_id": session}
    return {"action": "request", "body": body, "request_id": request, "requesting_device_id": device}


def asked_for(db: Db, room: str, session: str) -> str | None:
    """The request for that key, if there was one and no key came yet."""
    row = db.execute("SELECT request FROM key_requests WHERE room = ? AND session = ?", (room, session)).fetchone()
    return row[0] if row else None


def answered(db: Db, room: str, session: str, device: str) -> dict[str, Any] | None:
    """The key came: what tells our other devices that nobody need answer any more."""
    request = asked_for(db, room, session)
    if request is None:
        return None
    db.execute("DELETE FROM key_requests WHERE room = ? AND session = ?", (room, session))
    return {"action": "request_cancellation", "request_id": request, "requesting_device_id": device}


def count(db: Db) -> int:
    """How many events wait."""
    return int(db.execute("SELECT count(*) FROM waiting").fetchone()[0])
