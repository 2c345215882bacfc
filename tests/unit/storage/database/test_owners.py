"""The bot refuses objects that another account made under its names, before anything of them runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.leading.lead import connect
from storage.database import moved, postgresql
from storage.database.owners import refuse_foreign
from storage.database.place import DatabasePlace
from storage.database.refusals import DatabaseRefused
from storage.database.small_store import SmallPlace, open_to_read
from storage.moving.session import connected as moving


@pytest.fixture
def server(postgres_url: str) -> Iterator["psycopg.Connection[Any]"]:
    """Provide a session of a superuser in a database in which another account may make schemas."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        other = other_of(connection)
        connection.execute(f'CREATE ROLE "{other}"')
        connection.execute(f'GRANT CREATE ON DATABASE "{connection.info.dbname}" TO "{other}"')
        yield connection
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" OWNER TO CURRENT_USER')
        connection.execute(f'DROP OWNED BY "{other}" CASCADE; DROP ROLE "{other}"')


def other_of(server: "psycopg.Connection[Any]") -> str:
    """Return the other account of this database."""
    return f"tenant_{server.info.dbname}"


@contextmanager
def as_other(server: "psycopg.Connection[Any]") -> Iterator[None]:
    server.execute(f'SET ROLE "{other_of(server)}"')
    try:
        yield
    finally:
        server.execute("RESET ROLE")


def lead(place: DatabasePlace) -> None:
    connect(place, "answerable").close()


def note(place: DatabasePlace) -> None:
    with moving(place, "answerable") as connection:
        moved.note_move(connection, place, moved.Move("in", "1", 1))


def read(place: DatabasePlace) -> None:
    open_to_read(SmallPlace(place, Path("identity.sqlite3"), "identity"))


USES: dict[str, Callable[[DatabasePlace], object]] = {
    "leads": lead,
    "asks": postgresql.is_there,
    "makes": postgresql.migrate,
    "moves": note,
    "reads": read,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("schema", ["answerable", "answerable$identity", "answerable_shared"])
def test_a_schema_of_another_account_is_refused(
    server: "psycopg.Connection[Any]", place: DatabasePlace, schema: str, use: Callable[[DatabasePlace], object]
) -> None:
    with as_other(server):
        server.execute(f'CREATE SCHEMA "{schema}"')
    with pytest.raises(DatabaseRefused) as refused:
        use(place)
    assert (refused.value.key, refused.value.fields["schema"]) == ("database.foreign", schema)
    assert other_of(server) not in repr(refused.value.fields)


THINGS = {
    "table": "CREATE TABLE answerable_shared.moves (shard text, way text, id text, at bigint)",
    "view": "CREATE VIEW answerable_shared.shards AS SELECT 1 AS name",
    "function": (
        "CREATE FUNCTION answerable_shared.must_lead(shard text, number bigint) RETURNS void LANGUAGE sql AS 'SELECT'"
    ),
    "type": "CREATE TYPE answerable_shared.word AS ENUM ('a')",
}


@pytest.mark.parametrize("make", THINGS.values(), ids=THINGS)
def test_what_another_account_made_in_our_schema_is_refused(
    server: "psycopg.Connection[Any]", place: DatabasePlace, make: str
) -> None:
    server.execute(f'CREATE SCHEMA answerable_shared; GRANT ALL ON SCHEMA answerable_shared TO "{other_of(server)}"')
    postgresql.is_there(place)
    with as_other(server):
        server.execute(make)
    with pytest.raises(DatabaseRefused) as refused:
        postgresql.is_there(place)
    assert refused.value.key == "database.foreign"


def test_nothing_of_another_account_runs_as_the_bot(server: "psycopg.Connection[Any]", place: DatabasePlace) -> None:
    with as_other(server):
        server.execute("""
            CREATE SCHEMA answerable;
            CREATE TABLE answerable.ran (who text);
            CREATE FUNCTION answerable.run() RETURNS text LANGUAGE sql
                AS 'INSERT INTO answerable.ran VALUES (current_user) RETURNING who';
            CREATE VIEW answerable.alembic_version AS SELECT answerable.run() AS version_num;
            GRANT ALL ON SCHEMA answerable TO PUBLIC;
            GRANT ALL ON ALL TABLES IN SCHEMA answerable TO PUBLIC;
        """)
    for use in (postgresql.migrate, postgresql.is_there, lead):
        with pytest.raises(DatabaseRefused):
            use(place)
    assert server.execute("SELECT count(*) FROM answerable.ran").fetchone() == (0,)


def test_what_belongs_to_the_account_itself_the_owner_of_the_database_or_a_superuser_is_used(
    server: "psycopg.Connection[Any]", place: DatabasePlace
) -> None:
    postgresql.migrate(place)
    with as_other(server):
        assert _foreign(server) == ()  # a superuser's
    server.execute("CREATE SCHEMA answerable_shared")
    server.execute(f'ALTER SCHEMA answerable_shared OWNER TO "{other_of(server)}"')
    with as_other(server):
        assert _foreign(server) == ()  # its own
    assert _foreign(server) == ("answerable_shared",)
    server.execute(f'ALTER DATABASE "{server.info.dbname}" OWNER TO "{other_of(server)}"')
    assert _foreign(server) == ()


def _foreign(server: "psycopg.Connection[Any]") -> tuple[object, ...]:
    try:
        refuse_foreign(server)
    except DatabaseRefused as refused:
        return (refused.fields["schema"],)
    return ()
