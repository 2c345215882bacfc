"""Sanctions that hold in a room: `moderation/model/reach.py` as a query."""

from sqlalchemy import ColumnElement, and_, or_

from storage import schema


def holding_in(room: str, community: str) -> ColumnElement[bool]:
    """Return the condition that a sanction holds in a room of this community, whether or not it has ended."""
    s = schema.sanctions.c
    there = (s.room == "", s.room == room, and_(s.reach != "", s.reach == community))
    return or_(*there)
