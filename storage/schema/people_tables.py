"""People: members of rooms, the accounts of one person, and what they wrote where."""

from sqlalchemy import Index, Integer, String, Text

from .columns import PERSON, PLAIN, ROWS, Column, table, words_of

# People in a room, as far as known; `role` follows from the room's levels.
members = table(
    "members",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column("membership", String, info=PLAIN),  # as in the event, or "moved" (`upgraded_rooms.py`)
    Column("display_name", Text, default="", info=words_of("user")),
    Column("role", String, default="member", info=PLAIN),
    Column("since", Integer, server_default="0"),  # when first seen there; 0: never in the room
    Column("seen", Integer, server_default="0"),  # the record of their first membership there, whichever it was
    Column("joined", Integer, server_default="0"),  # when they last came in; 0: never, or before that was kept
    Column("invited", Integer, server_default="0"),  # the record of their last invitation; 0: there was none
    info=ROWS,
)
Index("members_by_user", members.c.user)

# Several accounts of one verified person share `person`; an account without a row is its own person.
accounts = table(
    "accounts",
    Column("user", String, primary_key=True, info=PERSON),
    Column("person", String, info=PERSON),
    Column("language", String, default="", info=words_of("user")),
)

_LINKED = accounts.c.user != accounts.c.person
Index("accounts_linked", accounts.c.user, accounts.c.person, sqlite_where=_LINKED, postgresql_where=_LINKED)

# A proved link between two accounts of one person; `accounts.person` follows from all links in force
# (`storage/projections/linked_accounts.py`).
links = table(
    "links",
    Column("record", Integer, primary_key=True),
    Column("user", String, info=PERSON),  # the account that joined
    Column("to", String, info=PERSON),
    Column("at", Integer),
    Column("ended", Integer, server_default="0"),  # when it was found to be a mistake
)

# Who wrote in which room what has left `events`.
spoke = table(
    "spoke",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column("record", Integer),  # the newest of these events
    Column("messages", Integer),  # that no measure had removed
    Column("last", Integer),  # when they last did
    info=ROWS,
)
Index("spoke_by_record", spoke.c.record)
