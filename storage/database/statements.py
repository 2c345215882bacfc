"""SQLAlchemy's statements, compiled once a process in the form that a driver takes.

Rules kept here:
- A statement that only SQLAlchemy knows how to run (text, changes of tables, values that it converts) is left to it.
  Truths, which SQLite gives as numbers, are converted here.
- Nothing is compiled a second time, except for lists, of which each value has a mark.

Left to others: running them (`sqlite_driver.py`, `psycopg_driver.py`).
"""

import collections
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Boolean, Insert
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import LRUCache

from .rows import Asked, Query

MOST = 1_000  # compiled statements that are kept


class Result(IteratorResult[Any]):
    """The rows of a statement. It has no count of changed rows: on PostgreSQL the change may not be done yet."""

    def __init__(self, columns: SimpleResultMetaData, rows: Sequence[Any] = ()) -> None:
        super().__init__(columns, iter(rows))


class Filled(NamedTuple):
    """A statement with its values, one list for each time it is run."""

    sql: str
    values: Sequence[Sequence[Any]]
    columns: SimpleResultMetaData
    many: bool
    is_change: bool  # of rows, without asking for any
    truths: Sequence[int]  # places of the columns that the driver gives as 0 or 1, and that are truths


class _Plan(NamedTuple):
    """A compiled statement."""

    is_change: bool
    columns: SimpleResultMetaData
    defaults: Sequence[tuple[str, object]]  # for columns that an INSERT does not name
    truths: Sequence[int]


@dataclass(frozen=True, slots=True)
class Ready:
    """A statement that is asked for often, in the form that the driver takes."""

    statement: Query  # held, so that no other can get its id
    sql: str
    names: tuple[str, ...]  # of its parameters, in order
    fixed: Mapping[str, object]  # values that are part of the statement itself
    row: Callable[..., Any]

    def values(self, given: Mapping[str, object]) -> list[object]:
        """Return the values in order."""
        given = {**self.fixed, **given} if self.fixed else given
        return [given[name] for name in self.names]


class Statements:
    """The statements of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.compiled: LRUCache[Any, Any] = LRUCache(MOST)
        self._plans: WeakKeyDictionary[Any, _Plan | None] = WeakKeyDictionary()
        self._ready: dict[int, Ready] = {}

    def filled(self, statement: Any, parameters: Any) -> Filled | None:
        """Return a statement with its values; None if only SQLAlchemy knows how to run it."""
        given = parameters if isinstance(parameters, list) else [parameters]
        many, keys = len(given) > 1, sorted(given[0] or ()) if given else []
        compiled, extracted, collected, _ = statement._compile_w_cache(
            self._dialect, compiled_cache=self.compiled, column_keys=keys, for_executemany=many
        )
        plan = self._plan_of(compiled)
        if plan is None:
            return None
        filled = [
            compiled.construct_params(
                each, extracted_parameters=extracted, escape_names=False, _collected_params=collected
            )
            | dict(plan.defaults)
            for each in given or [None]
        ]
        sql, names = compiled.string, compiled.positiontup
        if compiled.post_compile_params:  # lists, of which each value has a mark
            expanded = compiled._process_parameters_for_postcompile(filled[0])
            sql, names, filled = expanded.statement, expanded.positiontup, [{**filled[0], **expanded.parameters}]
        values = [[each[name] for name in names or ()] for each in filled]
        return Filled(sql, values, plan.columns, many, plan.is_change, plan.truths)

    def ready(self, asked: Asked) -> Ready:
        """Return a statement built once, as the driver takes it."""
        return self._ready.get(id(asked[0])) or self._make_ready(*asked)

    def _make_ready(self, statement: Query, values: Mapping[str, object]) -> Ready:
        whole = statement.compile(dialect=self._dialect).construct_expanded_state(dict(values))
        columns = () if isinstance(statement, Insert) else statement.selected_columns
        row = collections.namedtuple("row", [column.key for column in columns])  # type: ignore[misc]
        ready = Ready(statement, whole.statement, tuple(whole.positiontup or ()), whole.parameters, row)
        self._ready[id(statement)] = ready
        return ready

    def _plan_of(self, compiled: Any) -> _Plan | None:
        """Return the plan of a statement; None if only SQLAlchemy knows how to run it."""
        if compiled not in self._plans:
            self._plans[compiled] = self._new_plan(compiled) if isinstance(compiled, SQLCompiler) else None
        return self._plans[compiled]

    def _new_plan(self, compiled: SQLCompiler) -> _Plan | None:
        columns = compiled._result_columns
        converted = [n for n, each in enumerate(columns) if each.type._cached_result_processor(self._dialect, None)]
        truths = [n for n in converted if isinstance(columns[n].type, Boolean)]
        if truths != converted or compiled.isplaintext or compiled._bind_processors or compiled.update_prefetch:
            return None
        defaults: list[Any] = [each.default for each in compiled.insert_prefetch]
        names = [compiled._within_exec_param_key_getter(each) for each in compiled.insert_prefetch]
        values = [each.arg for each in defaults]
        is_change = not columns and (compiled.isinsert or compiled.isupdate or compiled.isdelete)
        named = SimpleResultMetaData([each.keyname for each in columns])
        return _Plan(is_change, named, list(zip(names, values, strict=True)), truths)
