"""The tables that all logs and machines of one PostgreSQL database share, in the schema `answerable_shared`.

Rules kept here:
- They are made by the first process that needs them, in one transaction, while all others wait.
- A table is only ever added to: an older version of this program can work beside a newer one.
- Text is compared as its bytes are.
- What another account made under these names is refused.

Left to others: what is in them (`fence.py`, `leadership.py`, `storage/journal/postgresql_lines.py`,
`storage/journal/joint_table.py`, `bot/exchange/postgresql.py`).
"""

from typing import Any, Final

from .fence import SUPERSEDED
from .owners import refuse_foreign
from .vacuuming import vacuum_soon

_MAKING: Final = "SELECT pg_advisory_xact_lock(1634628471)"
_SCHEMA: Final = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'answerable_shared') THEN
        CREATE SCHEMA answerable_shared;
        REVOKE ALL ON SCHEMA answerable_shared FROM PUBLIC;
    END IF;
END $$;
"""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS answerable_shared.shards (
    name text COLLATE "C" PRIMARY KEY,
    origin text COLLATE "C" NOT NULL,
    vkey text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    holder text COLLATE "C" NOT NULL
);
CREATE TABLE IF NOT EXISTS answerable_shared.leaders (
    shard text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL,
    holder text COLLATE "C" NOT NULL,
    beat bigint NOT NULL,
    who text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    resigned boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS answerable_shared.standbys (
    shard text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    who text COLLATE "C" NOT NULL,
    records bigint NOT NULL,
    beat bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    unfinished text NOT NULL DEFAULT '',
    PRIMARY KEY (shard, instance)
);
ALTER TABLE answerable_shared.standbys ADD COLUMN IF NOT EXISTS at timestamptz NOT NULL DEFAULT now();
ALTER TABLE answerable_shared.standbys ADD COLUMN IF NOT EXISTS unfinished text NOT NULL DEFAULT '';
CREATE TABLE IF NOT EXISTS answerable_shared.log (
    shard text COLLATE "C" NOT NULL,
    idx bigint NOT NULL,
    day text COLLATE "C" NOT NULL,
    line bytea NOT NULL,
    mac bytea NOT NULL,
    PRIMARY KEY (shard, idx)
);
CREATE TABLE IF NOT EXISTS answerable_shared.checkpoints (
    shard text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    number bigint NOT NULL,
    note text NOT NULL,
    stamp bytea,
    PRIMARY KEY (shard, day, size),
    UNIQUE (shard, number)
);
CREATE TABLE IF NOT EXISTS answerable_shared.closings (
    day text COLLATE "C" NOT NULL,
    shard text COLLATE "C" NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (day, shard)
);
CREATE TABLE IF NOT EXISTS answerable_shared.joint_checkpoints (
    day text COLLATE "C" PRIMARY KEY,
    root text COLLATE "C" NOT NULL,
    note text NOT NULL,
    shard text COLLATE "C" NOT NULL
);
CREATE TABLE IF NOT EXISTS answerable_shared.erased (
    shard text COLLATE "C" PRIMARY KEY,
    below bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS answerable_shared.exchange (
    origin text COLLATE "C" NOT NULL,
    era text COLLATE "C" NOT NULL,
    idx bigint NOT NULL,
    body text NOT NULL,
    proof text NOT NULL,
    began bigint NOT NULL,
    PRIMARY KEY (origin, era, idx)
);
CREATE TABLE IF NOT EXISTS answerable_shared.exchange_read (
    shard text COLLATE "C" NOT NULL,
    origin text COLLATE "C" NOT NULL,
    idx bigint NOT NULL,
    PRIMARY KEY (shard, origin)
);
ALTER TABLE answerable_shared.exchange_read ADD COLUMN IF NOT EXISTS era text COLLATE "C" NOT NULL DEFAULT '-';
ALTER TABLE answerable_shared.exchange_read ADD COLUMN IF NOT EXISTS at timestamptz NOT NULL DEFAULT now();
CREATE TABLE IF NOT EXISTS answerable_shared.communities (
    name text COLLATE "C" PRIMARY KEY,
    shard text COLLATE "C" NOT NULL
);
CREATE OR REPLACE FUNCTION answerable_shared.must_lead(shard text, number bigint, token text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM answerable_shared.shards WHERE name = shard AND epoch = number AND holder = token FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another epoch has begun' USING ERRCODE = 'SUPERSEDED';
    END IF;
END $$;
""".replace("SUPERSEDED", SUPERSEDED)


def make(db: Any) -> None:
    """Make the tables that do not exist yet, inside a transaction of a connection of psycopg.

    Raises `DatabaseRefused` if some of them belong to another account.
    """
    db.execute(_MAKING)
    db.execute(_SCHEMA)
    refuse_foreign(db)  # whose tables and functions would be used instead of ours
    db.execute(_TABLES)
    vacuum_soon(db, "answerable_shared", ["log"])
