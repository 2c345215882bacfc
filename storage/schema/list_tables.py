"""Policy lists: those watched, what they say and whom they mean, and our own entries."""

from sqlalchemy import Index, Integer, String, Text

from .columns import PERSON, PLAIN, ROWS, Column, table, words_of

# Policy lists that are watched because somebody chose them here; those of the configuration stand there.
chosen_lists = table(
    "chosen_lists",
    Column("list", String, primary_key=True, info=PLAIN),
    Column("list_room", String, info=PLAIN),
    Column("trust", String, info=PLAIN),
    Column("reach", String, info=PLAIN),
    Column("room", String, info=PLAIN),  # the group for which it was chosen
    Column("by", String, info=PERSON),
    Column("record", Integer),
    Column("at", Integer),  # when that was recorded last
    Column("preview", Integer, server_default="-1"),  # the number of the preview that was confirmed
    Column("since", Integer, server_default="0"),
)

# Previews of policy lists that people asked for, by the records of their requests.
list_previews = table(
    "list_previews",
    Column("number", Integer, primary_key=True),
    Column("room", String, info=PLAIN),
    Column("by", String, info=PERSON),
    Column("list_room", String, server_default="", info=PLAIN),
    Column("entered", Integer, server_default="0"),  # 1: the bot entered the list's room for it, and has not left
    Column("reach", String, server_default="", info=PLAIN),
    Column("entries", Integer, server_default="0"),
    Column("digest", String, server_default="", info=PLAIN),  # "": not shown
    Column("record", Integer),  # the newest
    Column("asked", Integer),
    Column("at", Integer),
)
Index("list_previews_by_room", list_previews.c.list_room)

# Entries of policy lists that meant somebody who was here, and the case about each.
list_matches = table(
    "list_matches",
    Column("record", Integer, primary_key=True),
    Column("list", String, info=PLAIN),
    Column("of", String, info=PLAIN),  # user or server
    Column("key", String, info=words_of("subject")),  # the state key of the entry
    Column("advice", String, info=PLAIN),
    Column("step", String, info=PLAIN),  # propose or apply
    Column("n", Integer),
    Column("room", String, info=PLAIN),
    Column("subject", String, info=PERSON),
    Column("person", String, info=PERSON),
    Column("entity", Text, info=words_of("subject")),
    Column("author", String, info=words_of("subject")),
    Column("reason", Text, info=words_of("subject")),
    Column("at", Integer),
    info=ROWS,
)
Index("list_matches_by_person", list_matches.c.person, list_matches.c.list)
Index("list_matches_by_case", list_matches.c.n)

# Entries of policy lists that meant a server of which people were here, and the case about each.
listed_servers = table(
    "listed_servers",
    Column("record", Integer, primary_key=True),
    Column("list", String, info=PLAIN),
    Column("server", String, info=PLAIN),  # or a pattern over servers
    Column("key", String, info=PLAIN),  # the state key of the entry
    Column("advice", String, info=PLAIN),
    Column("step", String, info=PLAIN),  # propose or apply
    Column("n", Integer),
    Column("room", String, info=PLAIN),
    Column("people", Integer),  # of the room, on the server
    Column("author", String, info=PLAIN),
    Column("reason", Text, info=PLAIN),
    Column("at", Integer),
)
Index("listed_servers_by_server", listed_servers.c.server, listed_servers.c.list)
Index("listed_servers_by_case", listed_servers.c.n)

# Entries of our own lists, as they were ordered; the newest order counts.
published_entries = table(
    "published_entries",
    Column("list", String, primary_key=True, info=PLAIN),
    Column("key", String, primary_key=True, info=PLAIN),  # made from the person's id
    Column("list_room", String, info=PLAIN),
    Column("step", String, info=PLAIN),  # published or withdrawn
    Column("n", Integer),
    Column("room", String, info=PLAIN),
    Column("word", String, info=PLAIN),
    Column("hashed", Integer),
    Column("subject", String, info=PERSON),
    Column("record", Integer),
    Column("at", Integer),
    info=ROWS,
)
Index("published_entries_by_case", published_entries.c.n)

# People and servers whom a policy list no longer touches, as far as the word of the person who said so reaches.
list_spared = table(
    "list_spared",
    Column("record", Integer, primary_key=True),
    Column("list", String, info=PLAIN),
    Column("room", String, info=PLAIN),
    Column("reach", String, info=PLAIN),
    Column("n", Integer),  # the case that says so; 0: a command
    Column("subject", String, info=PERSON),
    Column("person", String, info=PERSON),
    Column("server", String, info=PLAIN),  # or a pattern over servers, instead of a person
    Column("at", Integer),
    info=ROWS,
)
Index("list_spared_by_person", list_spared.c.person, list_spared.c.list)
Index("list_spared_by_server", list_spared.c.server, list_spared.c.list)

# What policy lists say, as their rooms were last read. No record makes it: it can be read again.
list_entries = table(
    "list_entries",
    Column("list_room", String, primary_key=True, info=PLAIN),
    Column("of", String, primary_key=True, info=PLAIN),
    Column("key", String, primary_key=True, info=PLAIN),
    Column("entity", String, info=PLAIN),
    Column("digest", String, info=PLAIN),
    Column("advice", String, info=PLAIN),
    Column("recommendation", String, info=PLAIN),
    Column("reason", Text, info=PLAIN),
    Column("sender", String, info=PLAIN),
    Column("event", String, info=PLAIN),
    Column("at", Integer),
)
