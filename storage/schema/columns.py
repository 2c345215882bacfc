"""Columns of the state database and the marks of the personal data in them.

Times are milliseconds since 1970 UTC. Each column of text has a mark, by which a person is removed from all tables
(`storage/projections/erase_person.py`).
"""

from functools import partial
from typing import Any

from sqlalchemy import Column as AnyColumn
from sqlalchemy import MetaData, Table

metadata = MetaData()
Column = partial(AnyColumn, nullable=False, autoincrement=False)

# The personal data in a column of text, which decides how it is erased (`storage/projections/erase_person.py`); every
# such column is marked.
PERSON = {"holds": "person"}  # a Matrix id
NAMES = {"holds": "names"}  # JSON that may contain ids, of people with rights in a room
EVENT = {"holds": "event"}  # the id of an event; `events` says whose
PLAIN = {"holds": "nothing"}  # nothing about a person
RULES = {"holds": "rules"}  # rules in force for a room or for all
OPERATORS = {"holds": "operators"}  # what operators wrote at the command line; it stays as long as its record
SOON = {"holds": "soon"}  # data that is sent or read soon, and is then deleted
ROWS = {"erased": "whole"}  # of a table: a row is nothing without the person


def table(name: str, *columns: AnyColumn[Any], **more: Any) -> Table:
    """Return a table of the state database. `info`: its mark (`ROWS`), if it has one."""
    return Table(name, metadata, *columns, **more)


def columns_of_people(table: Table) -> list[AnyColumn[Any]]:
    """Return the columns that hold a Matrix id of a person."""
    return [column for column in table.c if column.info == PERSON]


def words_of(column: str) -> dict[str, str]:
    """Mark a column as words of the person in `column` of the same row, or as theirs."""
    return {"holds": "words", "of": column}
