"""Duties of managers: who took one on, is away, or has hours."""

from sqlalchemy import Integer, String, Text

from .columns import PERSON, PLAIN, ROWS, Column, table, words_of

# Managers who took on the duty in a room, though they came into its desk before the room did.
duty_accepted = table(
    "duty_accepted",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column("record", Integer),
    info=ROWS,
)

# People who are away from their duties, everywhere.
away = table(
    "away",
    Column("user", String, primary_key=True, info=PERSON),
    Column("record", Integer),
    Column("since", Integer),
    Column("until", Integer),
    info=ROWS,
)

# The hours in which people are on duty in a room; if a room has none, everybody is on duty.
rosters = table(
    "rosters",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column("record", Integer),
    Column("hours", Text, info=words_of("user")),
    info=ROWS,
)
