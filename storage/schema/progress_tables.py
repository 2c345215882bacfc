"""Progress: how far the bot has come, what it has still to read, and what it has still to send."""

from sqlalchemy import Index, Integer, String, Text

from .columns import PLAIN, RULES, SOON, Column, table

# sync_token, applied (records applied so far), policy (JSON), anchored (`storage/state/anchor_progress.py`), alive
# (when the bot last ran), digest (the day of which desks were last told)
meta = table(
    "meta",
    Column("key", String, primary_key=True, info=PLAIN),
    Column("value", Text, info=RULES),
)

# Rooms whose history is still to be read (`storage/state/backfill.py`).
gaps = table(
    "gaps",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("until", String, server_default="", info=PLAIN),  # an event; "": until any known event
    Column("since", Integer, server_default="0"),  # when the homeserver had last been heard before
    Column("bottom", Integer, server_default="0"),  # the way back is finished, the pages are being read
    Column("told", Text, server_default="[]", info=SOON),  # state reported outside the timeline: [event, type, key]
)

# The pages passed on the way back, 0 the newest; a row is deleted when its page is read.
gap_pages = table(
    "gap_pages",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("n", Integer, primary_key=True),
    Column("start", Text, info=PLAIN),
    Column("stop", Text, info=PLAIN),
)

# Events that the homeserver delivered for rooms that are behind: they may be redacted before they are read again.
gap_events = table(
    "gap_events",
    Column("event", String, primary_key=True, info=PLAIN),
    Column("room", String, info=PLAIN),
    Column("raw", Text, info=SOON),  # JSON
    Column("n", Integer, server_default="0"),  # in the order in which they came
)
Index("gap_events_by_room", gap_events.c.room)

# Actions that wait to be sent to the homeserver. `txn` makes a repeat harmless.
outbox = table(
    "outbox",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("txn", String, unique=True, info=PLAIN),
    Column("priority", Integer),
    Column("room", String, default="", info=PLAIN),
    Column("action", Text, info=SOON),
    Column("record", Integer),
    Column("not_before", Integer, default=0),
    Column("attempts", Integer, default=0),
    Column("merge", String, nullable=True, unique=True, info=SOON),  # what makes two waiting actions the same
    Column("queued", Integer, server_default="0"),  # when; 0: by a version that did not record it
)
Index("outbox_in_order", outbox.c.priority, outbox.c.id)
Index("outbox_of_rooms", outbox.c.priority, outbox.c.room, outbox.c.not_before, outbox.c.id)
Index("outbox_by_time", outbox.c.not_before)
