"""Entries for tests."""

from moderation.lists.entries import Advice, Entry, Kind
from moderation.values.ids import EventId, UserId


def made(kind: Kind, entity: str = "", *, digest: str = "", advice: Advice = "ban", key: str = "k") -> Entry:
    """Return an entry."""
    return Entry(
        kind=kind,
        key=key,
        entity=entity,
        digest=digest,
        advice=advice,
        recommendation=f"m.{advice}",
        reason="spam",
        sender=UserId("@mod:lists.example"),
        event=EventId("$e"),
        at_ms=1,
    )
