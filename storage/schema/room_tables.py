"""Rooms: groups, their desks and lobbies, spaces, and what their owners chose for them."""

from sqlalchemy import Index, Integer, String, Text

from .columns import NAMES, PERSON, PLAIN, RULES, Column, table, words_of

rooms = table(
    "rooms",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("code", String, unique=True, info=PLAIN),
    Column("purpose", String, info=PLAIN),  # group | desk | direct | lobby | space
    Column("served", String, default="-", info=PLAIN),  # the group's code, of a desk or a lobby
    Column("direct_with", String, default="", info=PERSON),  # of a direct room
    Column("invited_by", String, default="", info=PERSON),  # of a group
    Column("condition", String, default="joining", info=PLAIN),
    Column("language", String, default="", info=PLAIN),
    Column("via", Text, default="", info=PLAIN),
    Column("name", Text, default="", info=words_of("named_by")),
    # The event that told members what is recorded; of a direct room: the join of the bot.
    Column("notice", String, default="", info=PLAIN),
    Column("created", Text, default="", info=NAMES),  # m.room.create: {"sender", "content"}
    Column("levels", Text, default="", info=NAMES),  # m.room.power_levels: content
    Column("entered", Integer),  # record
    # Since when its members are asked for verification as now, or the room is recorded.
    Column("asked", Integer, server_default="0"),
    Column("successor", String, server_default="", info=PLAIN),  # the room that its tombstone names
    Column("named_by", String, server_default="", info=PERSON),
    # How far decisions by its people reach, by the policy and the spaces: the name of its community; "": everywhere.
    Column("community", String, server_default="", info=PLAIN),
    # Of a group: the message in its desk that says what the bot can do there.
    Column("introduced", String, server_default="", info=PLAIN),
    # Of a group: the code of the desk that shows its cards; "": none yet; "own": none yet, and not that of other rooms.
    Column("desk", String, server_default="", info=PLAIN),
    # The record by which recording began: those who were there before, and whom the bot therefore met, precede it.
    Column("begun", Integer, server_default="0"),
)

Index("rooms_by_desk", rooms.c.desk)
Index("rooms_by_successor", rooms.c.successor)
Index("rooms_by_served", rooms.c.served)
Index("rooms_by_direct", rooms.c.direct_with)
Index("rooms_by_community", rooms.c.community)

# The rooms in which groups were before upgrades: what was written there can only be redacted there.
former_rooms = table(
    "former_rooms",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("code", String, info=PLAIN),
    Column("record", Integer),
)

# The groups whose cards a desk shows or has ever shown, by their codes.
desk_groups = table(
    "desk_groups",
    Column("desk", String, primary_key=True, info=PLAIN),
    Column("served", String, primary_key=True, info=PLAIN),
    Column("record", Integer),  # since when
    Column("at", Integer),  # 0: the desk was made for it
)

# The rooms listed by a space that the configuration names.
space_rooms = table(
    "space_rooms",
    Column("space", String, primary_key=True, info=PLAIN),
    Column("room", String, primary_key=True, info=PLAIN),
    Column("record", Integer),
)
Index("space_rooms_by_room", space_rooms.c.room)

# Rules of single rooms; a removed rule is kept as long as its record, since cases rest on it.
room_rules = table(
    "room_rules",
    Column("record", Integer, primary_key=True),
    Column("room", String, info=PLAIN),
    Column("name", String, info=PLAIN),
    Column("settings", Text, info=RULES),  # JSON
    Column("by", String, server_default="", info=PERSON),
    Column("at", Integer),
    Column("ended", Integer, server_default="0"),
)
Index("room_rules_by_room", room_rules.c.room, room_rules.c.ended)

# Choices of owners for their rooms; the configuration decides the rest.
room_settings = table(
    "room_settings",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("setting", String, primary_key=True, info=PLAIN),  # verify | digest
    Column("value", String, info=PLAIN),
    Column("record", Integer),
    Column("by", String, server_default="", info=PERSON),
)

# The rooms whose owners chose that they ask the policy server before they deliver messages.
policy_rooms = table(
    "policy_rooms",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("since", Integer),
    Column("down", Integer),  # since when they do not ask, as it cannot be reached; 0: they ask
    Column("record", Integer),
    Column("by", String, info=PERSON),
)
