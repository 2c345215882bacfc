"""Events that cannot be read yet, the reasons, and the requests for their keys.

Rules this module keeps:
- An event waits until the caller says that it is done with it, so that a crash in between does not lose it.
- A sender's latest reason for withholding a key counts.
- A key is requested once, and only from our own other devices (others do not answer).
Left to others: reading the events again (`machine.py`), how long to wait (its caller).

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
from .tables import KEY_REQUESTS, WITHHELD


def wait(db: Db, event: str, room: str, session: str, raw: Object, told: str, now_ms: int) -> None:
    """Store an event that cannot be read yet, with the reason reported to the caller; skip one nested too deeply."""
    with suppress(MalformedKey):
        db.execute(
            "INSERT INTO waiting (number, event, room, session, raw, since_ms, told)"
            " VALUES ((SELECT coalesce(max(number), 0) + 1 FROM waiting), ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (event, room, session, stored(raw), now_ms, told),
        )


def mark_told(db: Db, reasons: Iterable[tuple[str, str]]) -> None:
    """Note that the caller knows why these events (ids, with the code) cannot be read."""
    db.executemany("UPDATE waiting SET told = ? WHERE event = ?", [(code, event) for event, code in reasons])


def untold(db: Db) -> list[tuple[str, str, str, str]]:
    """Return events whose sender has given a new reason for withholding the key: event, room, session, code."""
    rows = db.execute(
        "SELECT waiting.event, room, session, code, sender, raw FROM waiting JOIN withheld USING (room, session)"
        " WHERE code <> told ORDER BY number"
    )
    return [tuple(about) for *about, sender, raw in rows if restored(raw).get("sender") == sender]


def readable(db: Db) -> list[tuple[str, dict[str, Any]]]:
    """Return the waiting events whose key has come, with their rooms, in the order in which they began to wait."""
    rows = db.execute("SELECT waiting.room, raw FROM waiting JOIN room_keys USING (room, session) ORDER BY number")
    return [(room, restored(raw)) for room, raw in rows]


def delete_events(db: Db, events: Iterable[str]) -> None:
    """Delete events that need not wait any more."""
    db.executemany("DELETE FROM waiting WHERE event = ?", [(event,) for event in events])


def given_up(db: Db, before_ms: int) -> list[tuple[str, str, str, str]]:
    """Return the events that have waited since before `before_ms`: event, room, session, sender.

    They are kept until `delete_events`.
    """
    rows = db.execute("SELECT event, room, session, raw FROM waiting WHERE since_ms < ? ORDER BY number", (before_ms,))
    return [(event, room, session, str(restored(raw).get("sender", ""))) for event, room, session, raw in rows]


# Withheld


def note_withheld(db: Db, sender: str, content: Object, now_ms: int) -> tuple[str, str] | None:
    """Store a device's reason for giving us no key. Returns room and session, or None if it names none."""
    try:
        code = _code(text_of(content, "code"))
        room, session = text_of(content, "room_id"), text_of(content, "session_id")
    except MalformedKey:
        return None
    db.execute(WITHHELD.put(), (room, session, sender, code, now_ms))
    return room, session


def _code(code: str) -> str:
    """Return a code that is safe to show, since a stranger may write anything there."""
    return code if re.fullmatch(r"[A-Za-z0-9._-]{1,100}", code) else "unknown"


def code_of(db: Db, room: str, session: str, sender: str) -> str | None:
    """Return why `sender` withholds a key, or None."""
    row = db.execute(
        "SELECT code FROM withheld WHERE room = ? AND session = ? AND sender = ?", (room, session, sender)
    ).fetchone()
    return row[0] if row else None


# Asking our own devices


def request_key(db: Db, room: str, session: str, device: str) -> dict[str, Any] | None:
    """Return the content of a request for a key; None if it was requested before."""
    request = secrets.token_hex(16)
    made = db.execute(KEY_REQUESTS.insert_if_new(), (room, session, request))
    if not made.rowcount:
        return None
    body = {"algorithm": MEGOLM, "room_id": room, "session_id": session}
    return {"action": "request", "body": body, "request_id": request, "requesting_device_id": device}


def asked_for(db: Db, room: str, session: str) -> str | None:
    """Return the id of the open request for a key, or None."""
    row = db.execute("SELECT request FROM key_requests WHERE room = ? AND session = ?", (room, session)).fetchone()
    return row[0] if row else None


def close_key_request(db: Db, room: str, session: str, device: str) -> dict[str, Any] | None:
    """Close the request for a key that came. Returns the cancellation for our other devices, or None."""
    request = asked_for(db, room, session)
    if request is None:
        return None
    db.execute("DELETE FROM key_requests WHERE room = ? AND session = ?", (room, session))
    return {"action": "request_cancellation", "request_id": request, "requesting_device_id": device}


def count(db: Db) -> int:
    """Return the number of waiting events."""
    return int(db.execute("SELECT count(*) FROM waiting").fetchone()[0])
