"""Measures: ledger entries, sanctions, and values kept in rooms because of sanctions."""

from sqlalchemy import Index, Integer, String, Text

from .columns import PERSON, PLAIN, Column, table, words_of

credit = table(
    "credit",
    Column("record", Integer, primary_key=True),
    Column("person", String, info=PERSON),
    Column("user", String, info=PERSON),
    Column("at", Integer),
    Column("entry", String, info=PLAIN),
    Column("cost", Integer),
    Column("grade", String, info=PLAIN),
    Column("rule", String, info=PLAIN),
    Column("n", Integer),
    Column("room", String, default="", info=PLAIN),
    Column("undoes", Integer, default=-1),
    Column("ledger", String, server_default="credit", info=PLAIN),
    Column("reach", String, server_default="", info=PLAIN),  # a community; "": the whole deployment
)
Index("credit_by_person", credit.c.person)
Index("credit_by_case", credit.c.n)

sanctions = table(
    "sanctions",
    Column("record", Integer, primary_key=True),
    Column("kind", String, info=PLAIN),
    Column("room", String, default="", info=PLAIN),  # "": every protected room
    Column("subject", String, info=PERSON),
    Column("person", String, info=PERSON),
    Column("at", Integer),
    Column("until", Integer),  # 0: no end
    Column("n", Integer),
    Column("basis", String, info=PLAIN),
    Column("rule", String, info=PLAIN),
    Column("by", String, default="", info=PERSON),
    Column("reason", Text, default="", info=words_of("by")),
    Column("event", String, default="", info=words_of("subject")),
    Column("ended", Integer, default=0),
    Column("why_ended", String, default="", info=PLAIN),
    Column("every", Integer, server_default="0"),  # of slow mode: milliseconds
    Column("reach", String, server_default="", info=PLAIN),  # in all rooms of this community; "": as `room`
    # Of a sweep: the record of the oldest message that it redacts; it redacts those before its own record.
    Column("oldest", Integer, server_default="0"),
    Column("server", String, server_default="", info=PLAIN),  # that the room lets in no longer
)
Index("sanctions_by_room", sanctions.c.room, sanctions.c.kind, sanctions.c.ended)
Index("sanctions_by_event", sanctions.c.event)
Index("sanctions_by_person", sanctions.c.person, sanctions.c.ended)
Index("sanctions_in_force", sanctions.c.ended, sanctions.c.until)

# Values that the bot changed in rooms because of sanctions, and the values before.
holds = table(
    "holds",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    # level | ban; for the room itself: posting, posting TYPE, joining, acl SERVER
    Column("what", String, primary_key=True, info=PLAIN),
    Column("step", String, info=PLAIN),  # intended | held
    Column("prior", String, info=PLAIN),
    Column("held", String, info=PLAIN),
    Column("corrections", Integer, default=0),
)
