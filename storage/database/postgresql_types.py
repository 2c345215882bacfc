"""PostgreSQL's dialect of SQLAlchemy, with the types that the tables of SQLite have.

Rules kept here:
- A whole number has 64 bits.
- A text has any length, and is compared by its bytes (collation "C"), so that order and ranges are SQLite's.
- Only a column that says so is numbered by the server.
- Also migrations get these types.

Left to others: the tables (`storage/schema/`), values (`psycopg_driver.py`).
"""

from typing import Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler, PGTypeCompiler
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg, PGDialectAsync_psycopg

TABLES, STATEMENTS = "answerable_tables", "answerable_statements"  # names of the dialects, for `create_engine`


class _Types(PGTypeCompiler):
    """The types in statements."""

    def visit_INTEGER(self, *_: Any, **__: Any) -> str:  # noqa: N802 - the name is SQLAlchemy's
        return "BIGINT"

    def visit_VARCHAR(self, *_: Any, **__: Any) -> str:  # noqa: N802 - likewise
        return "TEXT"


class _ColumnTypes(_Types):
    """The types of columns."""

    def visit_VARCHAR(self, *_: Any, **__: Any) -> str:  # noqa: N802 - likewise
        return 'TEXT COLLATE "C"'

    def visit_TEXT(self, *_: Any, **__: Any) -> str:  # noqa: N802 - likewise
        return 'TEXT COLLATE "C"'


class _Columns(PGDDLCompiler):
    """The columns of new tables."""

    def get_column_specification(self, column: Any, **more: Any) -> str:
        """Return a column as it is written; SQLAlchemy would number every integer key."""
        written: str = super().get_column_specification(column, **more)  # type: ignore[no-untyped-call]
        return written.replace(" SERIAL", " BIGSERIAL" if column.autoincrement is True else " BIGINT", 1)


class TableDialect(PGDialect_psycopg):
    """The dialect that makes and changes tables."""

    supports_statement_cache = True
    type_compiler_cls = _ColumnTypes
    ddl_compiler = _Columns


class StatementDialect(PGDialectAsync_psycopg):
    """The dialect of statements."""

    supports_statement_cache = True
    type_compiler_cls = _Types

    @classmethod
    def get_async_dialect_cls(cls, url: Any) -> type["StatementDialect"]:  # noqa: ARG003 - as SQLAlchemy calls it
        """Return this class; SQLAlchemy's would be another, with other types."""
        return cls


registry.register(f"postgresql.{TABLES}", __name__, TableDialect.__name__)
registry.register(f"postgresql.{STATEMENTS}", __name__, StatementDialect.__name__)
