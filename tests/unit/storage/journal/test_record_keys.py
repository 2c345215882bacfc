"""Keys of persons: one each, stored durably, and gone once destroyed."""

import sqlite3
import stat
from pathlib import Path

from moderation.values.ids import PersonId
from storage.database.place import DatabasePlace
from storage.journal.record_keys import FILE, PersonKeys, open_for_reading, pseudonym

ANNA, BEN = PersonId("@anna:example.org"), PersonId("@ben:example.org")


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    keys = PersonKeys.open(DatabasePlace(tmp_path))
    key = keys.key_of(ANNA)
    assert (len(key), keys.key_of(ANNA)) == (32, key)
    both = keys.keys_of([ANNA, BEN, ANNA])
    assert both[ANNA] == key != both[BEN]
    keys.close()
    again = PersonKeys.open(DatabasePlace(tmp_path))
    assert again.keys_of([ANNA, BEN]) == both
    again.close()


def test_it_is_stored_before_it_is_used(tmp_path: Path) -> None:
    keys = PersonKeys.open(DatabasePlace(tmp_path))
    key = keys.key_of(ANNA)
    with sqlite3.connect(tmp_path / FILE) as other:
        assert other.execute("SELECT person, key, wrapped_by FROM person_keys").fetchall() == [(ANNA, key, None)]
    other.close()
    keys.close()


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    PersonKeys.open(DatabasePlace(tmp_path)).close()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_destroyed_key_is_gone_from_the_file_and_never_comes_back(tmp_path: Path) -> None:
    keys = PersonKeys.open(DatabasePlace(tmp_path))
    key = keys.key_of(ANNA)
    keys.destroy(ANNA)
    assert keys.existing(ANNA) is None
    assert key not in (tmp_path / FILE).read_bytes()
    assert keys.key_of(ANNA) != key
    keys.close()


def test_a_reader_makes_nothing(tmp_path: Path) -> None:
    assert open_for_reading(DatabasePlace(tmp_path)) is None
    assert not (tmp_path / FILE).exists()
    keys = PersonKeys.open(DatabasePlace(tmp_path))
    key = keys.key_of(ANNA)
    reader = open_for_reading(DatabasePlace(tmp_path))
    assert reader is not None
    assert (reader.existing(ANNA), reader.existing(BEN)) == (key, None)
    reader.close()
    keys.close()


def test_the_pseudonym_is_what_the_documents_say() -> None:
    """Computed once with `openssl dgst -sha256 -hmac` and `base32`."""
    assert pseudonym(b"k" * 32, "G-7F3K", "2026-11-24") == "p" + OPENSSL


OPENSSL = "5m3wx6himkt5camo"
