"""The words for what PostgreSQL's driver raises."""

from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError

from storage.database.place import DatabasePlace
from storage.database.refusals import refusal_of, refused

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
        (psycopg.OperationalError('FATAL:  role "a" does not exist'), "password"),
        (psycopg.OperationalError('致命错误:  用户 "a" Password 认证失败'), "password"),
        (psycopg.OperationalError("fe_sendauth: no password supplied"), "password"),
        (psycopg.OperationalError('failed: FATAL:  Passwort-Authentifizierung für "a" fehlgeschlagen'), "denied"),
        (psycopg.OperationalError("failed: FATAL:  Datenbank »a« existiert nicht"), "denied"),
        (psycopg.OperationalError('root certificate file "/etc/answerable/db.pem" does not exist'), "certificate"),
        (psycopg.OperationalError("SSL error: certificate verify failed"), "certificate"),
        (psycopg.OperationalError('server certificate for "a" does not match host name "b"'), "certificate"),
        (psycopg.OperationalError("server does not support SSL, but SSL was required"), "certificate"),
        (psycopg.OperationalError('no pg_hba.conf entry for host "1.2.3.4", SSL off'), "password"),
        (psycopg.OperationalError("FATAL:  unsupported startup parameter: options"), "pooler"),
        (psycopg.OperationalError("FATAL:  the database system is starting up"), "stopped"),
        (psycopg.OperationalError("FATAL:  sorry, too many clients already"), "crowded"),
        (psycopg.OperationalError("SSL SYSCALL error: EOF detected"), "unreachable"),
        (psycopg.OperationalError("SSL connection has been closed unexpectedly"), "unreachable"),
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
    assert found.patience_s > 0


@pytest.mark.parametrize("why", ["password", "none", "certificate", "pooler", "accounts"])
def test_wrong_settings_are_not_waited_for(why: str) -> None:
    assert refused(why).patience_s == 0


def test_a_server_whose_words_nobody_knows_is_waited_for_only_a_while() -> None:
    assert 0 < refused("denied").patience_s <= 60
    assert refused("unreachable").patience_s == float("inf")


@pytest.mark.parametrize(
    "words",
    [
        'connection failed: FATAL:  password authentication failed for user "answerable"',
        'FATAL:  role "answerable" does not exist',
        'FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "answerable", database "a", SSL off',
        "FATAL:  Passwort-Authentifizierung für Benutzer »answerable« fehlgeschlagen",
        "致命错误:  用户 “answerable” Password 认证失败",
    ],
)
def test_no_account_is_said(words: str) -> None:
    url = SecretStr("postgresql://answerable:hush@db/a")
    found = refusal_of(psycopg.OperationalError(words), DatabasePlace(Path("/nowhere"), url))
    assert found is not None
    assert "answerable" not in str(found.fields["said"])
    assert "..." in str(found.fields["said"])
