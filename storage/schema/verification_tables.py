"""Verification: what people proved about themselves, and what is under way."""

from sqlalchemy import Index, Integer, String, Text

from .columns import PERSON, PLAIN, ROWS, Column, table, words_of

# The last notices to people below the level that a room asks for, with their times. `room` "": for no room.
pointed = table(
    "pointed",
    Column("room", String, primary_key=True, info=PLAIN),
    Column("user", String, primary_key=True, info=PERSON),
    Column("step", String, primary_key=True, info=PLAIN),  # what `VerificationAsked` or `DoorAnswered` says; "removed"
    Column("record", Integer),
    Column("at", Integer),
    info=ROWS,
)
Index("pointed_by_user", pointed.c.user)

# The master key (cross-signing) that a verified account had when it was verified.
pinned_keys = table(
    "pinned_keys",
    Column("user", String, primary_key=True, info=PERSON),
    Column("key", String, info=words_of("user")),
    Column("record", Integer),
    info=ROWS,
)

# Requests to link an account to a known person, waiting for confirmation by that other account; for a day at most.
link_requests = table(
    "link_requests",
    Column("user", String, primary_key=True, info=PERSON),
    Column("person", String, info=PERSON),
    Column("method", String, info=PLAIN),
    Column("level", Integer),
    Column("until", Integer),  # of the verification that they proved
    Column("lapses", Integer),
    Column("code", String, server_default="", info=words_of("user")),  # hashed; "": not asked for yet
    Column("tries", Integer, server_default="0"),
    info=ROWS,
)

verifications = table(
    "verifications",
    Column("record", Integer, primary_key=True),
    Column("person", String, info=PERSON),
    Column("user", String, info=PERSON),
    Column("room", String, default="", info=PLAIN),
    Column("method", String, info=PLAIN),
    Column("level", Integer),
    Column("by", String, default="", info=PERSON),
    Column("at", Integer),
    Column("until", Integer),
    Column("revoked", Integer, default=0),
    Column("reach", String, server_default="", info=PLAIN),  # of a vouch: where it counts; "": anywhere
)
Index("verifications_by_person", verifications.c.person)

# The sealed state of verifications in progress (`storage/state/verification_dialogues.py`). One per person.
challenges = table(
    "challenges",
    Column("user", String, primary_key=True, info=PERSON),
    Column("method", String, info=PLAIN),
    Column("state", Text, info=words_of("user")),
    Column("started", Integer),
    Column("until", Integer),
    Column("tries", Integer, server_default="0"),
    Column("poll", Integer, server_default="0"),  # when to look again; 0: never
    info=ROWS,
)

# Attempts to verify, kept for an hour or as long as the limits look back; `about` is an address, hashed with a key.
challenge_attempts = table(
    "challenge_attempts",
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Integer),
    Column("user", String, info=PERSON),
    Column("about", String, server_default="", info=PLAIN),
    info=ROWS,
)
Index("challenge_attempts_by_time", challenge_attempts.c.at)
