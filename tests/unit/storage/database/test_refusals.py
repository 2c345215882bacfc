"""The words for what PostgreSQL's driver raises."""

import psycopg
import pytest
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from storage.database.refusals import refusal_of

WHERE = "postgresql://db/answerable"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (errors.InvalidPassword(), "password"),
        (errors.InvalidCatalogName(), "none"),
        (errors.InsufficientPrivilege(), "rights"),
        (errors.ReadOnlySqlTransaction(), "read_only"),
        (errors.DiskFull(), "full"),
        (errors.OutOfMemory(), "memory"),
        (errors.TooManyConnections(), "crowded"),
        (errors.QueryCanceled(), "slow"),
        (errors.LockNotAvailable(), "slow"),
        (errors.AdminShutdown(), "stopped"),
        (errors.CrashShutdown(), "stopped"),
        (errors.CannotConnectNow(), "stopped"),
        (errors.DataCorrupted(), "broken"),
        (psycopg.OperationalError("connection refused"), "unreachable"),
        (psycopg.OperationalError('FATAL:  password authentication failed for user "a"'), "password"),
        (psycopg.OperationalError('FATAL:  database "a" does not exist'), "none"),
        (psycopg.InterfaceError("the connection is closed"), "unreachable"),
    ],
)
def test_what_the_server_does_wrong_has_words(error: psycopg.Error, why: str) -> None:
    around = DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True)
    for each in (error, around):
        found = refusal_of(each, WHERE)
        assert found is not None
        assert (found.key, found.fields["where"]) == (f"database.{why}", WHERE)


@pytest.mark.parametrize("error", [errors.UndefinedTable(), errors.UniqueViolation(), ValueError("x"), None])
def test_a_defect_has_none(error: Exception | None) -> None:
    assert refusal_of(error, WHERE) is None


def test_only_the_first_line_is_said() -> None:
    found = refusal_of(psycopg.OperationalError("\nconnection failed\nDETAIL: more"), WHERE)
    assert found is not None
    assert found.fields["said"] == "connection failed"
    assert found.passes
