"""A condition on many values, in a statement that is the same for any number of them.

A list of placeholders makes another statement for each length: it is written out and compiled again each time, which
for some hundred values takes longer than finding the rows.
"""

from collections.abc import Iterable

import orjson
from sqlalchemy import ColumnElement, bindparam, column, func, select


def sql_list(field: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that `field` is one of `values`."""
    each = func.json_each(sql_list_value(values)).table_valued(column("value"))
    return field.in_(select(each.c.value))


def sql_list_param(field: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Return the condition for a reusable statement: its values are the parameter `name`, made by `sql_list_value`."""
    each = func.json_each(bindparam(name)).table_valued(column("value"))
    return field.in_(select(each.c.value))


def sql_list_value(values: Iterable[str]) -> str:
    """Return values as the parameter of `sql_list_param`."""
    return orjson.dumps(list(values)).decode()
