"""The web console: links to it and its sessions."""

from sqlalchemy import Index, Integer, String

from .columns import PERSON, PLAIN, ROWS, Column, table, words_of

# Links to the web console that people got in their direct rooms, by the hash of what a link ends in.
console_links = table(
    "console_links",
    Column("record", Integer, primary_key=True),
    Column("ticket", String, unique=True, info=words_of("user")),
    Column("user", String, info=PERSON),
    Column("room", String, info=PLAIN),  # the direct room
    Column("at", Integer),
    Column("until", Integer),
    info=ROWS,
)
Index("console_links_by_user", console_links.c.user, console_links.c.at)

# Sessions of the web console that people opened by such a link, by the hash of what the browser holds.
console_sessions = table(
    "console_sessions",
    Column("record", Integer, primary_key=True),
    Column("session", String, unique=True, info=words_of("user")),
    Column("link", Integer, unique=True),  # record of the link; below 0: they logged in at an issuer
    Column("user", String, info=PERSON),
    Column("room", String, info=PLAIN),  # the direct room
    Column("at", Integer),
    Column("until", Integer),
    Column("ended", Integer, server_default="0"),  # when it ended before its time
    info=ROWS,
)
