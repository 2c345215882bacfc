"""The tables of the identity store.

Left to others: what is in a row (`keyring.py`, `claims.py`, `roster.py`), and the record keys, which are in the same
database (`storage/journal/record_keys.py`).
"""

from storage.database.small_tables import Column, Index, SmallTable, blobs, numbers, texts

_ONLY_ROW = Column("one", "INTEGER", "NOT NULL CHECK (one = 1)")

WRAPPED_KEYS = SmallTable(
    "wrapped_keys",
    (*texts("owner"), *blobs("wrapped"), *texts("wrapped_by")),
    ("owner",),
    (Index("wrapped_keys_by", ("wrapped_by",)),),
)
KEY_CHANGE = SmallTable("key_change", (_ONLY_ROW, *texts("old", "new"), *blobs("sealed")), ("one",))
CLAIMS = SmallTable(
    "claims",
    (
        *texts("id", "person", "method", "issuer"),
        Column("blind", "BLOB", "NOT NULL UNIQUE"),
        *blobs("seal"),
        *numbers("created", "expires", "record"),
    ),
    ("id",),
    (Index("claims_by_person", ("person",)),),
)
CLAIM_FIELDS = SmallTable("claim_fields", (*texts("claim", "field"), *blobs("sealed")), ("claim", "field"))
# How many persons were forgotten since the key-wrapping key is in use: older copies still have their keys, wrapped by
# it.
FORGOTTEN = SmallTable("forgotten", (_ONLY_ROW, *numbers("count")), ("one",))
ROSTER = SmallTable(
    "roster",
    (
        *blobs("mark", "sealed"),
        Column("code", "BLOB", ""),
        Column("code_until", "INTEGER", "NOT NULL DEFAULT 0"),
        Column("used", "INTEGER", "NOT NULL DEFAULT 0"),
        Column("used_by", "BLOB", ""),
    ),
    ("mark",),
    (Index("roster_by_code", ("code",), unique=True),),
)

ALL = (WRAPPED_KEYS, KEY_CHANGE, CLAIMS, CLAIM_FIELDS, FORGOTTEN, ROSTER)
