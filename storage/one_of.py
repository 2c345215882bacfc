"""Asks for many values at once, in a statement that is the same for any number of them.

A list of placeholders is another statement for each length: it is written out and compiled anew each time, which for
some hundred values takes longer than finding the rows.
"""

from collections.abc import Iterable

import orjson
from sqlalchemy import ColumnElement, column, func, select


def one_of(field: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Whether `field` is one of `values`."""
    each = func.json_each(orjson.dumps(list(values)).decode()).table_valued(column("value"))
    return field.in_(select(each.c.value))
