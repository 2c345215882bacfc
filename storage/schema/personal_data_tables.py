"""Personal data: who read it, and what people asked about their own."""

from sqlalchemy import Index, Integer, String

from .columns import OPERATORS, PERSON, PLAIN, ROWS, Column, table

# Readings of data held on people: so that no note is recorded twice, and mere looks once a day.
readings = table(
    "readings",
    Column("record", Integer, primary_key=True),
    Column("note", String, info=PLAIN),  # the name the command line gave it; "-" for none
    Column("what", String, info=PLAIN),
    Column("subject", String, server_default="", info=PERSON),  # "": possibly anybody
    Column("by", String, server_default="", info=PERSON),  # in a chat
    Column("reader", String, server_default="", info=OPERATORS),  # on the command line
    Column("day", Integer),  # since 1970
)
Index("readings_by_note", readings.c.note)
Index("readings_by_day", readings.c.day, readings.c.subject)

# Requests of people about their own data: an erasure is confirmed by the number of its record.
requests = table(
    "requests",
    Column("record", Integer, primary_key=True),  # of the message that asked
    Column("user", String, info=PERSON),
    Column("what", String, info=PLAIN),
    Column("at", Integer),
    info=ROWS,
)
