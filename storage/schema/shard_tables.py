"""Other shards: what was learnt from their logs, and the keys of these."""

from sqlalchemy import Index, Integer, String, Table

from .columns import PLAIN, Column, metadata

# What was learnt from the logs of other shards (`storage/projections/shards.py`); the rows that it made say about whom.
learnt = Table(
    "learnt",
    metadata,
    Column("origin", String, primary_key=True, info=PLAIN),
    Column("era", String, primary_key=True, info=PLAIN),
    Column("idx", Integer, primary_key=True),  # there
    Column("record", Integer),  # of ours
    Column("position", Integer),  # how far that log is known with it
    Column("size", Integer),  # of the checkpoint that proved it
    Column("root", String, info=PLAIN),
    Column("refers", Integer),  # the record that it changes; -1: none
    Column("waits", Integer),  # 1: that one is not learnt yet
    Column("what", String, info=PLAIN),
    Column("made", Integer),
    Column("until", Integer),
    Column("why", String, info=PLAIN),
    Column("method", String, info=PLAIN),
    Column("of", String, server_default="-", info=PLAIN),  # the log (or `HERE`) of the record that it changes
)
Index("learnt_by_record", learnt.c.record)
Index("learnt_that_waits", learnt.c.of, learnt.c.refers, learnt.c.waits)

# The keys of their logs, as they were first seen; a key in the configuration holds instead.
shard_keys = Table(
    "shard_keys",
    metadata,
    Column("origin", String, primary_key=True, info=PLAIN),
    Column("vkey", String, info=PLAIN),
    Column("record", Integer),
)
