"""Marks of a move: the database that was left is refused, with words that say what to change."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from storage.database import moved
from storage.database.moved import Move
from storage.database.place import DatabasePlace
from storage.database.refusals import DatabaseRefused
from storage.moving.file_mark import forget_files_left, note_files_left

AT = 1_795_521_600_000


def key_of(place: DatabasePlace) -> str:
    try:
        moved.refuse_moved(place)
    except DatabaseRefused as refused:
        return refused.key
    return ""


@pytest.fixture
def server(postgres_url: str, tmp_path: Path) -> DatabasePlace:
    """Provide a place on PostgreSQL, whose data directory is empty."""
    return DatabasePlace(tmp_path, SecretStr(postgres_url))


def note(place: DatabasePlace, way: Any) -> None:
    assert place.url is not None
    with psycopg.connect(place.url.get_secret_value()) as connection:
        moved.note_move(connection, place, Move(way, "id", AT))
        assert moved.last_move(connection, place) == Move(way, "id", AT)


def way_of(place: DatabasePlace) -> str:
    assert place.url is not None
    with psycopg.connect(place.url.get_secret_value()) as connection:
        last = moved.last_move(connection, place)
    return last.way if last else ""


def test_files_that_were_never_moved_are_used(tmp_path: Path) -> None:
    assert key_of(DatabasePlace(tmp_path)) == ""


def test_files_that_were_left_are_refused_until_they_are_moved_to_again(tmp_path: Path) -> None:
    place = DatabasePlace(tmp_path)
    note_files_left(tmp_path, "postgresql://db.example/answerable", AT)
    with pytest.raises(DatabaseRefused) as refused:
        moved.refuse_moved(place)
    assert refused.value.key == "database.moved_to_server"
    assert refused.value.fields["to"] == "postgresql://db.example/answerable"
    forget_files_left(tmp_path)
    assert key_of(place) == ""


def test_files_of_which_only_some_may_be_in_their_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / moved.STAGE).mkdir()
    assert key_of(DatabasePlace(tmp_path)) == ""
    (tmp_path / moved.STAGE / moved.COMPLETE).touch()
    assert key_of(DatabasePlace(tmp_path)) == "database.half_moved"


def test_a_new_deployment_on_postgresql_is_not_refused(server: DatabasePlace) -> None:
    assert key_of(server) == ""


def test_a_file_is_not_left_behind_by_a_change_of_the_settings_alone(server: DatabasePlace) -> None:
    server.file.touch()
    assert key_of(server) == "database.not_moved"
    note(server, "in")
    assert key_of(server) == "database.not_moved"  # killed between the copy and the mark, or run on since
    note_files_left(server.data_dir, str(server), AT)
    assert key_of(server) == ""


def test_a_server_that_was_left_is_refused_until_it_is_moved_to_again(server: DatabasePlace) -> None:
    note(server, "out")
    assert key_of(server) == "database.moved_to_files"
    note(server, "in")
    assert key_of(server) == ""


def test_a_copy_is_used_from_the_moment_at_which_a_bot_begins_on_it(server: DatabasePlace) -> None:
    note(server, "in")
    moved.refuse_moved(server)
    assert way_of(server) == "in"
    moved.refuse_moved(server, begin=True)
    assert way_of(server) == "used"
    assert key_of(server) == ""


def test_another_shard_of_the_same_database_is_not_concerned(server: DatabasePlace) -> None:
    note(server, "out")
    assert key_of(DatabasePlace(server.data_dir, server.url, "two")) == ""
