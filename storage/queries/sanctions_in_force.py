"""Which sanctions hold in a room: the same as `moderation/model/reach.py` says, asked of the table."""

from sqlalchemy import ColumnElement, and_, or_

from storage import schema


def holding_in(room: str, community: str) -> ColumnElement[bool]:
    """Whether a sanction holds in a room of this community; whether it is in force yet is another question."""
    s = schema.sanctions.c
    there = (s.room == "", s.room == room, and_(s.reach != "", s.reach == community))
    return or_(*there)
