"""Asks for many values at once, in a statement that is the same for any number of them.

A list of placeholders is another statement for each length: it is written out and compiled anew each time, which for
some hundred values takes longer than finding the rows.
"""

from collections.abc import Iterable

import orjson
from sqlalchemy import ColumnElement, bindparam, column, func, select


def one_of(field: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Whether `field` is one of `values`."""
    each = func.json_each(as_list(values)).table_valued(column("value"))
    return field.in_(select(each.c.value))


def one_of_list(field: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """The same for a statement that is made once: the values are given with it as `name`, by `as_list`."""
    each = func.json_each(bindparam(name)).table_valued(column("value"))
    return field.in_(select(each.c.value))


def as_list(values: Iterable[str]) -> str:
    """Values for `one_of_list`."""
    return orjson.dumps(list(values)).decode()
