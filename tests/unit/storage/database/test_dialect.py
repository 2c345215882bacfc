"""Each word of the dialect means the same on both databases: each statement is run on SQLite and PostgreSQL."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import ClauseElement, Column, Integer, MetaData, String, Table, bindparam, insert, select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from storage.database.dialect import (
    any_or_one_of,
    contains_words,
    each_of,
    json_field,
    least,
    sql_list,
    sql_list_param,
    sql_list_value,
    upsert,
)

T = Table("t", MetaData(), Column("name", String, primary_key=True), Column("n", Integer), Column("about", String))
MADE = "CREATE TEMP TABLE t (name text {collate} PRIMARY KEY, n bigint, about text)"
ROWS = [
    {"name": "Ann", "n": 3, "about": json.dumps({"do": "warn", "subject": "@ann", "said": "a\x00b"})},
    {"name": "Zoé", "n": 1, "about": json.dumps({"do": "ban", "said": "\\u0000"})},
    {"name": "ben", "n": 2, "about": json.dumps({"do": "warn"})},
    {"name": "x\\y", "n": 9, "about": "{}"},
]
NEW = upsert(T)
SQLITE = SQLiteDialect_pysqlite(paramstyle="named")
POSTGRESQL = PGDialect_psycopg()  # type: ignore[no-untyped-call]


def on_both(url: str, *statements: tuple[ClauseElement, Mapping[str, object]]) -> list[object]:
    """Run statements on both databases, and return the rows of the last one, which must be the same."""
    with closing(sqlite3.connect(":memory:")) as one, psycopg.connect(url) as two:
        one.execute(MADE.format(collate=""))
        two.execute(MADE.format(collate='COLLATE "C"'))
        for given in ((insert(T), row) for row in ROWS):
            _on_sqlite(one, *given), _on_postgresql(two, *given)
        found = [(_on_sqlite(one, *each), _on_postgresql(two, *each)) for each in statements][-1]
    assert found[0] == found[1]
    return found[0]


def _on_sqlite(db: sqlite3.Connection, statement: ClauseElement, values: Mapping[str, object]) -> list[object]:
    compiled = statement.compile(dialect=SQLITE, column_keys=list(values))
    return db.execute(compiled.string, compiled.construct_params(values) or {}).fetchall()


def _on_postgresql(db: "psycopg.Connection", statement: ClauseElement, values: Mapping[str, object]) -> list[object]:
    compiled = statement.compile(dialect=POSTGRESQL, column_keys=list(values))
    done = db.execute(compiled.string, compiled.construct_params(values))
    return list(done.fetchall()) if done.description else []


ALL: tuple[ClauseElement, dict[str, object]] = (select(T.c.name, T.c.n).order_by(T.c.name), {})


def test_a_row_that_is_there_already_is_kept(postgres_url: str) -> None:
    new = {"name": "Ann", "n": 7, "about": "{}"}
    found = on_both(postgres_url, (NEW.on_conflict_do_nothing(), new), ALL)
    assert found == [("Ann", 3), ("Zoé", 1), ("ben", 2), ("x\\y", 9)]


def test_a_row_that_is_there_already_is_changed(postgres_url: str) -> None:
    changed = NEW.on_conflict_do_update(index_elements=["name"], set_={"n": T.c.n + NEW.excluded.n}, where=T.c.n > 2)
    news = [{"name": name, "n": 5, "about": "{}"} for name in ("Ann", "ben", "new")]
    found = on_both(postgres_url, *((changed, each) for each in news), ALL)
    assert found == [("Ann", 8), ("Zoé", 1), ("ben", 2), ("new", 5), ("x\\y", 9)]


@pytest.mark.parametrize("names", [(), ("Ann",), ("ben", "Ann", "Ann", "nobody"), ("Zoé", "x\\y", 'quo"te')])
def test_one_of_many_values(postgres_url: str, names: tuple[str, ...]) -> None:
    wanted = [(row["name"],) for row in ROWS if row["name"] in names]
    query = select(T.c.name).order_by(T.c.name)
    given = {"names": sql_list_value(names)}
    assert on_both(postgres_url, (query.where(sql_list(T.c.name, names)), {})) == wanted
    assert on_both(postgres_url, (query.where(sql_list_param(T.c.name, "names")), given)) == wanted
    assert on_both(postgres_url, (query.where(any_or_one_of(T.c.name, "names")), given)) == wanted


def test_no_list_means_any(postgres_url: str) -> None:
    query = select(T.c.name).where(any_or_one_of(T.c.name, "names")).order_by(T.c.name)
    assert len(on_both(postgres_url, (query, {"names": None}))) == len(ROWS)


def test_a_value_that_postgresql_cannot_hold_is_found_nowhere(postgres_url: str) -> None:
    query = select(T.c.name).where(sql_list_param(T.c.name, "names"))
    assert on_both(postgres_url, (query, {"names": sql_list_value(["A\x00nn"])})) == []


@pytest.mark.parametrize("name", [r"\u0000", r"\\u0000", r"a\\\u0000\n", "\\"])
def test_letters_that_look_like_that_value_are_found(postgres_url: str, name: str) -> None:
    new: tuple[ClauseElement, dict[str, object]] = (
        insert(T),
        {"name": name, "n": 4, "about": json.dumps({"do": name})},
    )
    found = on_both(postgres_url, new, (select(T.c.n).where(sql_list(T.c.name, [name])), {}))
    assert found == [(4,)]
    found = on_both(postgres_url, new, (select(json_field(T.c.about, "do")).where(T.c.n == 4), {}))
    assert found == [(name,)]


def test_values_stand_in_a_table_of_their_own(postgres_url: str) -> None:
    each = each_of("names")
    query = select(each.c.value, T.c.n).select_from(each.outerjoin(T, T.c.name == each.c.value)).order_by(each.c.value)
    found = on_both(postgres_url, (query, {"names": sql_list_value(["Ann", "new"])}))
    assert found == [("Ann", 3), ("new", None)]


def test_a_field_of_json(postgres_url: str) -> None:
    """A character that PostgreSQL cannot hold does not keep the other fields from being read."""
    query = select(T.c.name, json_field(T.c.about, "do"), json_field(T.c.about, "subject")).order_by(T.c.name)
    found = on_both(postgres_url, (query, {}))
    assert found == [("Ann", "warn", "@ann"), ("Zoé", "ban", None), ("ben", "warn", None), ("x\\y", None, None)]
    one = select(T.c.name).where(json_field(T.c.about, "subject") == bindparam("who"))
    assert on_both(postgres_url, (one, {"who": "@ann"})) == [("Ann",)]


def test_the_least_of_some_numbers(postgres_url: str) -> None:
    query = select(least(T.c.n, 2)).order_by(T.c.name)
    assert on_both(postgres_url, (query, {})) == [(2,), (1,), (2,), (2,)]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("N", ["Ann", "ben"]),
        ("zoé", ["Zoé"]),
        ("ZOÉ", []),
        ("\\", ["x\\y"]),
        ("", ["Ann", "Zoé", "ben", "x\\y"]),
        ("%", []),
    ],
)
def test_words_are_found_in_either_case_of_ascii(postgres_url: str, words: str, names: list[str]) -> None:
    query = select(T.c.name).where(contains_words(T.c.name, "words")).order_by(T.c.name)
    found = on_both(postgres_url, (query, {"words": words}))
    assert found == [(name,) for name in names]
