"""A vocabulary for statements that mean the same on SQLite and PostgreSQL.

Statements are built once and run on either: no query knows where. Rules kept here:
- Texts are compared by their bytes, and only ASCII letters have upper and lower case.
- A condition on many values is the same statement for any number of them. A list of placeholders makes another
  statement for each length: it is written out and compiled again each time, which for some hundred values takes longer
  than finding the rows.
- PostgreSQL knows no character U+0000: in JSON it becomes U+FFFD before it is read.

Left to others: types of columns (`storage/schema/`).
"""

from collections.abc import Iterable
from typing import Any, Self

import orjson
from sqlalchemy import ColumnElement, Integer, String, Table, TableValuedAlias, bindparam, column, or_, select
from sqlalchemy.dialects.sqlite.dml import Insert, OnConflictDoNothing, OnConflictDoUpdate
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class Upsert(Insert):
    """An INSERT with a clause for rows that exist already."""

    inherit_cache = True

    def on_conflict_do_nothing(self, *target: Any, **more: Any) -> Self:
        """Keep the row that is there."""
        return self.ext(_Nothing(*target, **more))

    def on_conflict_do_update(self, *target: Any, **more: Any) -> Self:
        """Change the row that is there: `index_elements`, `set_`, `where`."""
        return self.ext(_Update(*target, **more))


class _Nothing(OnConflictDoNothing):
    inherit_cache = True
    constraint_target = None  # PostgreSQL's compiler asks for it


class _Update(OnConflictDoUpdate):
    inherit_cache = True
    constraint_target = None


def upsert(table: Table) -> Upsert:
    """Return an INSERT into a table, to be completed by a clause for rows that exist already.

    The statement does not return the numbers of new rows.
    """
    return Upsert(table).inline()


# Conditions on many values.


def sql_list(field: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that `field` is one of `values`."""
    each = _EachText(bindparam(None, sql_list_value(values), type_=String)).table_valued(column("value", String))
    return field.in_(select(each.c.value))


def sql_list_param(field: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Return the condition for a reusable statement: its values are the parameter `name`, made by `sql_list_value`."""
    return field.in_(select(each_of(name).c.value))


def any_or_one_of(field: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Return the condition that `field` is one of the values of the parameter `name`, or that this is None."""
    return or_(bindparam(name, type_=String).is_(None), sql_list_param(field, name))


def each_of(name: str) -> TableValuedAlias:
    """Return the values of the parameter `name`, made by `sql_list_value`, as the column `value` of a table."""
    return _EachText(bindparam(name, type_=String)).table_valued(column("value", String))


def sql_list_value(values: Iterable[str]) -> str:
    """Return values as the parameter of `sql_list_param`."""
    return orjson.dumps(list(values)).decode()


class _EachText(FunctionElement[str]):
    inherit_cache = True
    name = "each_text"


@compiles(_EachText)
def _each_of_sqlite(element: _EachText, compiler: SQLCompiler, **more: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **more)})"


@compiles(_EachText, "postgresql")
def _each_of_postgresql(element: _EachText, compiler: SQLCompiler, **more: Any) -> str:
    return f"json_array_elements_text({_json(compiler.process(element.clauses, **more))})"


def _json(text: str) -> str:
    """Return a text as JSON without U+0000. Escaped backslashes are set aside: after one, `u0000` is only letters."""
    aside = rf"replace({text}, '\\', chr(1))"  # JSON has no such character outside of an escape
    return rf"CAST(replace(replace({aside}, '\u0000', '\ufffd'), chr(1), '\\') AS json)"


# Functions.


class _JsonField(FunctionElement[str]):
    inherit_cache = True
    type = String()


def json_field(field: ColumnElement[str], key: str) -> ColumnElement[str]:
    """Return the text at `key`, a plain word, of the JSON object in a column; NULL if it has none."""
    return _JsonField(field, bindparam(None, key, type_=String))


@compiles(_JsonField)
def _field_of_sqlite(element: _JsonField, compiler: SQLCompiler, **more: Any) -> str:
    field, key = (compiler.process(each, **more) for each in element.clauses)
    return f"json_extract({field}, '$.' || {key})"


@compiles(_JsonField, "postgresql")
def _field_of_postgresql(element: _JsonField, compiler: SQLCompiler, **more: Any) -> str:
    field, key = (compiler.process(each, **more) for each in element.clauses)
    return f"({_json(field)} ->> {key})"


class _Least(FunctionElement[int]):
    inherit_cache = True
    type = Integer()


def least(*values: ColumnElement[int] | int) -> ColumnElement[int]:
    """Return the least of some numbers. Either all are NULL or none: for a mixture, the two databases differ."""
    return _Least(*values)


@compiles(_Least)
def _least_of_sqlite(element: _Least, compiler: SQLCompiler, **more: Any) -> str:
    return f"min({compiler.process(element.clauses, **more)})"


@compiles(_Least, "postgresql")
def _least_of_postgresql(element: _Least, compiler: SQLCompiler, **more: Any) -> str:
    return f"least({compiler.process(element.clauses, **more)})"


class _WordsPlace(FunctionElement[int]):
    inherit_cache = True
    type = Integer()


def contains_words(field: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Return the condition that a text contains that of the parameter `name`, whatever the case of ASCII letters."""
    return _WordsPlace(field, bindparam(name, type_=String)) > 0


@compiles(_WordsPlace)
def _place_of_sqlite(element: _WordsPlace, compiler: SQLCompiler, **more: Any) -> str:
    field, words = (compiler.process(each, **more) for each in element.clauses)
    return f"instr(lower({field}), lower({words}))"


@compiles(_WordsPlace, "postgresql")
def _place_of_postgresql(element: _WordsPlace, compiler: SQLCompiler, **more: Any) -> str:
    field, words = (compiler.process(each, **more) for each in element.clauses)
    return f'strpos(lower({field} COLLATE "C"), lower({words} COLLATE "C"))'
