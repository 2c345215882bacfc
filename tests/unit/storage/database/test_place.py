"""Addresses of databases: which can be used, and what is shown of them."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from storage.database import postgresql
from storage.database.place import DatabasePlace, has_password, is_address, shown
from storage.database.refusals import DatabaseRefused, refusal_of
from storage.database.server import session

USABLE = {  # address -> what is shown of it
    "postgresql://bot@db.example.org/name": "postgresql://db.example.org/name",
    "postgres://bot:s3cret@db.example.org:5433/name": "postgresql://db.example.org:5433/name",
    "postgresql://bot:s3#cret@127.0.0.1/name": "postgresql://127.0.0.1/name",
    "postgresql://bot:s3?cret@127.0.0.1/name": "postgresql://127.0.0.1/name",
    "postgresql://bot:s3]cret@127.0.0.1:1/name": "postgresql://127.0.0.1:1/name",
    "postgresql://bot:s3:cret@127.0.0.1/name": "postgresql://127.0.0.1/name",
    "postgresql://bot:s3%2Fcret%40@[::1]:5432/name": "postgresql://[::1]:5432/name",
    "postgresql://bot:s3cret@one:5432,two:5433/name": "postgresql://one:5432,two:5433/name",
    "postgresql://bot:s3cret@/name?host=/run/postgresql": "postgresql:///run/postgresql/name",
    "postgresql:///name?user=bot&password=s3cret&hostaddr=127.0.0.1&port=6": "postgresql://127.0.0.1:6/name",
    "postgresql://bot:s3cret@db.example.org/?dbname=name&sslmode=verify-full": "postgresql://db.example.org/name",
    "postgresql://": "postgresql://",
}
UNUSABLE = (
    "postgresql://bot:s3/cret@127.0.0.1/name",
    "postgresql://bot:1/s3cret@127.0.0.1/name",
    "postgresql://bot/s3cret@127.0.0.1/name",
    "postgresql://bot:s3cret/@127.0.0.1/name",
    "postgresql://bot:s3@cret@127.0.0.1/name",
    "postgresql://bot:s3%zzcret@127.0.0.1:1/name",
    "postgresql://bot:s3cret%@127.0.0.1:1/name",
    "postgresql://bot:s3cret@127.0.0.1/name?s3cret=1",
    "postgresql://bot:s3cret@127.0.0.1/name?password=s3@cret",
    "postgresql://bot:s3cret",
    "mysql://bot:s3cret@127.0.0.1/name",
    "s3cret",
)


@pytest.mark.parametrize(("url", "told"), USABLE.items())
def test_host_port_and_name_are_shown_and_nothing_of_the_account(url: str, told: str) -> None:
    assert is_address(url)
    assert shown(url) == str(DatabasePlace(Path("/nowhere"), SecretStr(url))) == told
    assert has_password(url) == ("password" in conninfo_to_dict(url))


@pytest.mark.parametrize("url", UNUSABLE)
def test_an_address_whose_password_would_be_taken_for_something_else_is_none_and_not_shown(url: str) -> None:
    assert not is_address(url)
    assert shown(url) == "postgresql://?"
    assert has_password(url)


@pytest.mark.parametrize("url", UNUSABLE)
def test_connecting_by_it_is_refused_without_it(url: str) -> None:
    place = DatabasePlace(Path("/nowhere"), SecretStr(url))
    with pytest.raises(DatabaseRefused) as direct, postgresql.connected(place):
        pass
    with pytest.raises(DatabaseRefused) as prepared:
        session(place)
    for error in (direct.value, prepared.value):
        assert error.key == "database.address"
        assert "cret" not in str(error) + repr(error.fields)
        assert error.__cause__ is None


def test_no_answer_of_the_server_shows_the_account(postgres_url: str) -> None:
    place = DatabasePlace(Path("/nowhere"), SecretStr(postgres_url.replace("postgres@", "nobody_here:s3cret@")))
    with pytest.raises(DatabaseRefused) as refused, postgresql.connected(place):
        pass
    assert "nobody_here" not in repr(refused.value.fields)
    assert refusal_of(refused.value, place) is refused.value
