"""Other shards: what was learnt from their logs, and the keys of these."""

from sqlalchemy import Index, Integer, String

from .columns import PERSON, PLAIN, Column, table

# What was learnt from the logs of other shards (`storage/projections/shards.py`); the rows that it made say about whom.
learnt = table(
    "learnt",
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
    Column("of_era", String, server_default="-", info=PLAIN),  # the era in which that one is named
)
Index("learnt_by_record", learnt.c.record)
Index("learnt_that_waits", learnt.c.of, learnt.c.refers, learnt.c.waits)

# Bans that were ordered for all rooms of all shards, here or elsewhere, and that this shard carries out.
orders = table(
    "orders",
    Column("record", Integer, primary_key=True),
    Column("origin", String, info=PLAIN),  # the log where it was given, its era and the record there; "-": here
    Column("era", String, info=PLAIN),
    Column("idx", Integer),
    Column("n", Integer),  # our case
    Column("subject", String, info=PERSON),
    Column("person", String, info=PERSON),
    Column("by", String, info=PERSON),
    Column("at", Integer),
    Column("until", Integer),
    Column("ended", Integer, default=0),
)
Index("orders_by_person", orders.c.person, orders.c.ended)
Index("orders_by_case", orders.c.n)
Index("orders_by_place", orders.c.origin, orders.c.idx)

# The keys of their logs, as they were first seen; a key in the configuration holds instead.
shard_keys = table(
    "shard_keys",
    Column("origin", String, primary_key=True, info=PLAIN),
    Column("vkey", String, info=PLAIN),
    Column("record", Integer),
)
