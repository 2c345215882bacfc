"""Events: those recorded and those withheld, and counts by day."""

from sqlalchemy import Index, Integer, String

from .columns import PERSON, PLAIN, ROWS, Column, table, words_of

# Every recorded event: so that no event is recorded twice, and each can be found by its id. In the order of the
# records, so that new rows are written next to each other: in the order of ids, which are random, they would be
# scattered.
events = table(
    "events",
    Column("record", Integer, primary_key=True),
    Column("event", String, unique=True, info=words_of("sender")),
    Column("room", String, info=PLAIN),
    Column("sender", String, info=PERSON),
    Column("kind", String, info=PLAIN),
    Column("at", Integer),
    info=ROWS,
)
Index("events_by_sender", events.c.room, events.c.sender, events.c.at)
Index("events_by_kind", events.c.room, events.c.kind)  # in it, as in every index, rows of one key stand by their record

# Events of people that left `events` (`storage/projections/old_events.py`): so that none is recorded twice, and each
# can still be found by its id.
old_events = table(
    "old_events",
    Column("record", Integer, primary_key=True),
    Column("event", String, unique=True, info=PLAIN),  # a digest of its id
    Column("at", Integer),
    # That in `events`; "": a message that stood, and is counted in `spoke`.
    Column("kind", String, server_default="", info=PLAIN),
)

# Events that were refused before their delivery: they are no events of their rooms, and count nowhere as such.
withheld = table(
    "withheld",
    Column("record", Integer, primary_key=True),
    Column("event", String, info=words_of("subject")),
    Column("room", String, info=PLAIN),
    Column("subject", String, info=PERSON),
    Column("at", Integer),
    info=ROWS,
)
Index("withheld_by_event", withheld.c.event)

# What rules on trial would have found, by the record of the event.
trials = table(
    "trials",
    Column("record", Integer, primary_key=True),
    Column("room", String, info=PLAIN),
    Column("rule", String, info=PLAIN),
    Column("message", Integer),
    Column("at", Integer),
)
Index("trials_by_room", trials.c.room, trials.c.at)

# How many records of a kind a group had a day (`storage/projections/daily.py`).
daily = table(
    "daily",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("day", Integer, primary_key=True),  # since 1970, UTC
    Column("kind", String, primary_key=True, info=PLAIN),  # message | finding | report | decision | appeal
    Column("count", Integer),
    Column("record", Integer),  # the first of them
)
Index("daily_by_day", daily.c.day, daily.c.kind, daily.c.count)  # whole: sums are read from it alone
