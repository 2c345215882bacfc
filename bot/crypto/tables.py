"""The tables of the crypto store.

Left to others: opening it (`store.py`), and what each row means (the modules that write them).
"""

from storage.database.small_tables import Column, Index, SmallTable, blobs, numbers, texts

META = SmallTable("meta", (*texts("name"), *blobs("value")), ("name",))
SECRETS = SmallTable("secrets", (*texts("name"), *blobs("sealed")), ("name",))

OLM_SESSIONS = SmallTable(
    "olm_sessions",
    (*texts("sender_key", "session", "pickle"), *numbers("made_ms", "heard_ms")),
    ("sender_key", "session"),
)
WEDGED = SmallTable("wedged", (*texts("user", "device"), *numbers("waits", "mended_ms")), ("user", "device"))

TRACKED = SmallTable("tracked", (*texts("user"), *numbers("stale")), ("user",))
DEVICES = SmallTable(
    "devices",
    (*texts("user", "device", "curve25519", "ed25519", "name", "keys"), *numbers("signed", "gone")),
    ("user", "device"),
    (Index("devices_by_key", ("curve25519",)),),
)
IDENTITIES = SmallTable(
    "identities",
    (*texts("user", "master", "self_signing", "user_signing", "first_master", "keys"), *numbers("told")),
    ("user",),
)

ROOM_KEYS = SmallTable(
    "room_keys",
    (
        *texts("room", "session", "pickle"),
        *numbers("first_index"),
        *texts("source", "sender_key", "ed25519", "chain"),
        *numbers("shared_history", "got_ms"),
        *texts("backed_up"),
    ),
    ("room", "session"),
)
ROOM_KEY_SENDERS = SmallTable(
    "room_key_senders", texts("room", "session", "sender", "sender_key", "ed25519"), ("room", "session", "sender")
)
SEEN_INDEXES = SmallTable(
    "seen_indexes", (*texts("session"), *numbers("number"), *texts("event")), ("session", "number")
)
WITHHELD = SmallTable(
    "withheld", (*texts("room", "session", "sender", "code"), *numbers("got_ms")), ("room", "session", "sender")
)
WAITING = SmallTable(
    "waiting",
    (
        *numbers("number"),
        Column("event", "TEXT", "NOT NULL UNIQUE"),
        *texts("room", "session", "raw"),
        *numbers("since_ms"),
        *texts("told"),
    ),
    ("number",),
    (Index("waiting_by_session", ("room", "session")),),
)
KEY_REQUESTS = SmallTable("key_requests", texts("room", "session", "request"), ("room", "session"))
OWED = SmallTable("owed", texts("device", "room", "session"), ("device", "room", "session"))

GROUP_SESSIONS = SmallTable(
    "group_sessions",
    (*texts("room", "session", "pickle"), *numbers("made_ms", "messages", "shared_history"), *texts("members")),
    ("room",),
)
SHARES = SmallTable("shares", texts("session", "user", "device", "curve25519", "code"), ("session", "user", "device"))

SEEN_TO_DEVICE = SmallTable(
    "seen_to_device",
    (*blobs("digest"), *numbers("number")),
    ("digest",),
    (Index("seen_in_order", ("number",)),),
)
OUTGOING = SmallTable(
    "outgoing",
    (*numbers("number"), *texts("txn", "type"), *blobs("messages"), *texts("session")),
    ("number",),
)

ALL = (
    META,
    SECRETS,
    OLM_SESSIONS,
    WEDGED,
    TRACKED,
    DEVICES,
    IDENTITIES,
    ROOM_KEYS,
    ROOM_KEY_SENDERS,
    SEEN_INDEXES,
    WITHHELD,
    WAITING,
    KEY_REQUESTS,
    OWED,
    GROUP_SESSIONS,
    SHARES,
    SEEN_TO_DEVICE,
    OUTGOING,
)
