"""An event that left its table is found by its id, as the server of the database kept that."""

from storage.projections import digest_of


def test_an_id_with_a_zero_is_found_as_postgresql_keeps_it() -> None:
    assert digest_of("$a\0b:example.org") == digest_of("$a\N{REPLACEMENT CHARACTER}b:example.org")
    assert digest_of("$a b:example.org") != digest_of("$a\0b:example.org")
