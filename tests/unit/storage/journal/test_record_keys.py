"""Keys of persons: one each, stored durably, and gone once destroyed."""

import stat
from pathlib import Path

from moderation.values.ids import PersonId
from storage.database.small_store import open_to_read
from storage.journal.record_keys import FILE, PersonKeys, open_for_reading, place_of, pseudonym
from tests.postgres.engines import Engine, on_sqlite

ANNA, BEN = PersonId("@anna:example.org"), PersonId("@ben:example.org")


def test_a_key_is_made_once_and_kept(engine: Engine, tmp_path: Path) -> None:
    keys = PersonKeys.open(engine.place(tmp_path), engine.epoch())
    key = keys.key_of(ANNA)
    assert (len(key), keys.key_of(ANNA)) == (32, key)
    both = keys.keys_of([ANNA, BEN, ANNA])
    assert both[ANNA] == key != both[BEN]
    keys.close()
    again = PersonKeys.open(engine.place(tmp_path), engine.epoch())
    assert again.keys_of([ANNA, BEN]) == both
    again.close()


def test_it_is_stored_before_it_is_used(engine: Engine, tmp_path: Path) -> None:
    keys = PersonKeys.open(engine.place(tmp_path), engine.epoch())
    key = keys.key_of(ANNA)
    other = open_to_read(place_of(engine.place(tmp_path)))
    assert other is not None
    assert other.execute("SELECT person, key, wrapped_by FROM person_keys").fetchall() == [(ANNA, key, None)]
    other.close()
    keys.close()


@on_sqlite
def test_only_the_owner_may_read_the_file(engine: Engine, tmp_path: Path) -> None:
    PersonKeys.open(engine.place(tmp_path), engine.epoch()).close()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_destroyed_key_is_gone_from_the_file_and_never_comes_back(engine: Engine, tmp_path: Path) -> None:
    keys = PersonKeys.open(engine.place(tmp_path), engine.epoch())
    key = keys.key_of(ANNA)
    keys.destroy(ANNA)
    assert keys.existing(ANNA) is None
    if engine.url is None:
        assert key not in (tmp_path / FILE).read_bytes()
    assert keys.key_of(ANNA) != key
    keys.close()


def test_a_reader_makes_nothing(engine: Engine, tmp_path: Path) -> None:
    assert open_for_reading(engine.place(tmp_path)) is None
    assert not (tmp_path / FILE).exists()
    keys = PersonKeys.open(engine.place(tmp_path), engine.epoch())
    key = keys.key_of(ANNA)
    reader = open_for_reading(engine.place(tmp_path))
    assert reader is not None
    assert (reader.existing(ANNA), reader.existing(BEN)) == (key, None)
    reader.close()
    keys.close()


def test_the_pseudonym_is_what_the_documents_say() -> None:
    """Computed once with `openssl dgst -sha256 -hmac` and `base32`."""
    assert pseudonym(b"k" * 32, "G-7F3K", "2026-11-24") == "p" + OPENSSL


OPENSSL = "5m3wx6himkt5camo"
