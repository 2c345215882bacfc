"""The identity store: its data can be read only with the key, belong to one person, and can be forgotten."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from moderation.values.errors import Broken, Invalid, Refused
from moderation.values.ids import PersonId
from storage.identity import blind_index
from storage.identity.roster import Listed, Roster
from storage.identity.store import Claim, HeldClaim, IdentityStore, Kek, Locked, NewClaim, Taken, open_for_reading
from storage.identity.tables import CLAIM_FIELDS, CLAIMS
from tests.unit.storage.identity.at import At

ANNA, BEN, CLEO = PersonId("@anna:example.org"), PersonId("@ben:example.org"), PersonId("@cleo:example.org")
KEK, OTHER = Kek(b"k" * 32), Kek(b"o" * 32)
NAME, ADDRESS, PHONE = "Anna Musterfrau", "anna.musterfrau@example.net", "+49 30 1234567"
OF_ANNA = NewClaim(
    person=ANNA,
    method="email",
    issuer="",
    identifier=ADDRESS,
    fields={"email": ADDRESS, "name": NAME, "phone": PHONE},
    created_ms=1_000,
    expires_ms=9_000,
    record=7,
)
OF_BEN = replace(OF_ANNA, person=BEN, identifier="ben@example.net", fields={"email": "ben@example.net", "name": "Ben"})


@pytest.fixture
def store(at: At) -> Iterator[IdentityStore]:
    store = at.identity(KEK)
    yield store
    store.close()


def opened(claim: NewClaim, number: str) -> Claim:
    """Return a claim as it is read back."""
    return Claim(
        id=number,
        person=claim.person,
        method=claim.method,
        issuer=claim.issuer,
        fields=claim.fields,
        created_ms=claim.created_ms,
        expires_ms=claim.expires_ms,
        record=claim.record,
    )


def execute(at: At, *statements: str) -> None:
    """Change the database as somebody who can write to the disk."""
    for statement in statements:
        at.sql(statement)


class TestClaims:
    def test_are_read_again_as_they_were_added(self, store: IdentityStore, at: At) -> None:
        number = store.add_claim(OF_ANNA)
        assert store.claims_of(ANNA) == (opened(OF_ANNA, number),)
        assert store.claims_of(BEN) == ()
        store.close()
        again = at.identity(KEK)
        assert again.claims_of(ANNA) == (opened(OF_ANNA, number),)
        again.close()

    def test_are_found_by_their_identifier_however_it_is_typed(self, store: IdentityStore) -> None:
        store.add_claim(OF_ANNA)
        for typed in (ADDRESS, f" {ADDRESS.upper()} ", "ａnna.musterfrau＠example.net"):
            assert store.find("email", "", typed) == ANNA
        assert store.find("email", "elsewhere", ADDRESS) is None
        assert store.find("roster", "", ADDRESS) is None
        assert store.find("email", "", "anna@example.net") is None

    def test_of_an_issuer_are_found_only_by_the_very_subject(self, store: IdentityStore) -> None:
        issuer = "https://id.example.org"
        store.add_claim(replace(OF_ANNA, method="oidc", issuer=issuer, identifier="aB"))
        assert store.find("oidc", issuer, "aB") == ANNA
        assert store.find("oidc", issuer, "ab") is None

    def test_belong_to_one_person(self, store: IdentityStore) -> None:
        store.add_claim(OF_ANNA)
        with pytest.raises(Taken) as taken:
            store.add_claim(replace(OF_ANNA, person=BEN, identifier=ADDRESS.title()))
        assert taken.value.person == ANNA
        assert store.claims_of(BEN) == ()
        assert store.find("email", "", ADDRESS) == ANNA

    def test_of_many_at_once_are_given_to_one_alone(self, store: IdentityStore) -> None:
        people = [PersonId(f"@p{n}:example.org") for n in range(8)]
        got: list[PersonId] = []

        def claim(person: PersonId) -> None:
            try:
                store.add_claim(replace(OF_ANNA, person=person))
                got.append(person)
            except Taken:
                pass

        threads = [threading.Thread(target=claim, args=(person,)) for person in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == [store.find("email", "", ADDRESS)]

    def test_are_renewed_by_the_same_person(self, store: IdentityStore) -> None:
        store.add_claim(OF_ANNA)
        later = replace(OF_ANNA, fields={"email": ADDRESS}, created_ms=5_000, expires_ms=20_000, record=-1)
        number = store.add_claim(later)
        store.note_record(number, 12)
        assert store.claims_of(ANNA) == (opened(replace(later, record=12), number),)

    def test_of_one_person_may_be_several(self, store: IdentityStore) -> None:
        first = store.add_claim(OF_ANNA)
        second = replace(OF_ANNA, method="oidc", issuer="https://id.example.org", identifier="4711", created_ms=2_000)
        number = store.add_claim(second)
        assert store.claims_of(ANNA) == (opened(OF_ANNA, first), opened(second, number))
        assert [held.fields for held in store.held_of(ANNA)] == [3, 3]

    def test_that_cannot_be_kept_are_refused(self, store: IdentityStore) -> None:
        wrong = [
            replace(OF_ANNA, fields={"E-Mail": ADDRESS}),
            replace(OF_ANNA, identifier=" "),
            replace(OF_ANNA, fields={"name": "\ud800"}),
        ]
        for claim in wrong:
            with pytest.raises(Invalid):
                store.add_claim(claim)
        assert store.state().claims == 0

    def test_show_nothing_in_their_repr(self, store: IdentityStore) -> None:
        store.add_claim(OF_ANNA)
        for text in (repr(OF_ANNA), repr(store.claims_of(ANNA)), repr(KEK), repr(store.state())):
            assert not any(secret in text for secret in (NAME, ADDRESS, PHONE, repr(KEK.secret)))

    def test_of_a_linked_account_go_over_to_the_person(self, store: IdentityStore) -> None:
        mine, theirs = store.add_claim(OF_ANNA), store.add_claim(replace(OF_BEN, created_ms=2_000))
        assert store.move(BEN, ANNA) == 1
        moved = opened(replace(OF_BEN, person=ANNA, created_ms=2_000), theirs)
        assert store.claims_of(ANNA) == (opened(OF_ANNA, mine), moved)
        assert (store.claims_of(BEN), store.find("email", "", "ben@example.net")) == ((), ANNA)
        assert (store.move(ANNA, ANNA), store.move(CLEO, ANNA)) == (0, 0)


class TestOnDisk:
    def test_claims_are_nowhere_in_plain(self, store: IdentityStore, at: At) -> None:
        store.add_claim(OF_ANNA)
        store.add_claim(replace(OF_ANNA, fields={"email": ADDRESS}))
        data = at.kept()
        for secret in (NAME, ADDRESS, PHONE):
            assert secret.encode() not in data
            assert secret.casefold().encode() not in data

    def test_the_length_of_a_value_says_little(self, store: IdentityStore, at: At) -> None:
        for number, name in enumerate(("Li", "Li " * 20)):
            store.add_claim(replace(OF_ANNA, identifier=str(number), fields={"name": name}))
        assert len(at.sql("SELECT DISTINCT length(sealed) FROM claim_fields")) == 1

    def test_deleted_seals_are_overwritten(self, store: IdentityStore, at: At) -> None:
        store.add_claim(OF_ANNA)
        rows = at.sql("SELECT sealed FROM claim_fields UNION SELECT wrapped FROM wrapped_keys")
        store.forget(ANNA)
        data = at.kept()
        assert [bytes(row[0]) in data for row in rows].count(True) == 1  # the key of the index

    def test_record_keys_are_in_the_same_file_and_need_no_key(self, store: IdentityStore, at: At) -> None:
        keys = at.keys()
        store.add_claim(OF_ANNA)
        key = keys.key_of(ANNA)
        store.forget(ANNA)
        assert keys.existing(ANNA) == key
        keys.close()


class TestTampering:
    """Somebody who can write to the disk but has no key can destroy data, but not change an identity."""

    @pytest.fixture
    def two(self, store: IdentityStore) -> tuple[str, str]:
        return store.add_claim(OF_ANNA), store.add_claim(OF_BEN)

    def must_be_refused(self, at: At, person: PersonId = ANNA) -> None:
        store = at.identity(KEK)
        with pytest.raises(Broken):
            store.claims_of(person)
        store.close()

    def test_values_swapped_between_persons_are_refused(self, two: tuple[str, str], at: At) -> None:
        query = (
            "UPDATE claim_fields SET sealed = (SELECT sealed FROM claim_fields WHERE claim = '{}' AND field = 'name')"
        )
        execute(at, f"{query.format(two[1])} WHERE claim = '{two[0]}' AND field = 'name'")
        self.must_be_refused(at)

    def test_values_swapped_between_fields_are_refused(self, two: tuple[str, str], at: At) -> None:
        execute(
            at,
            f"UPDATE claim_fields SET field = 'x' WHERE claim = '{two[0]}' AND field = 'name'",
            f"UPDATE claim_fields SET field = 'name' WHERE claim = '{two[0]}' AND field = 'phone'",
            f"UPDATE claim_fields SET field = 'phone' WHERE claim = '{two[0]}' AND field = 'x'",
        )
        self.must_be_refused(at)

    def test_values_of_another_claim_of_the_same_person_are_refused(self, store: IdentityStore, at: At) -> None:
        first = store.add_claim(OF_ANNA)
        second = store.add_claim(replace(OF_ANNA, identifier="other@example.net"))
        execute(
            at,
            f"DELETE FROM claim_fields WHERE claim = '{first}'",
            f"UPDATE claim_fields SET claim = '{first}' WHERE claim = '{second}'",
        )
        self.must_be_refused(at)

    @pytest.mark.parametrize(
        "change",
        [
            ("person = ?", BEN),
            ("method = ?", "roster"),
            ("issuer = ?", "elsewhere"),
            ("expires = expires + ?", 1),
            ("created = created - ?", 1),
            ("blind = ?", bytes(32)),
            ("id = 'f' || substr(id, 2, 30) || ?", "ff"),
            ("seal = ?", bytes(28)),
            ("seal = ?", b""),
        ],
    )
    @pytest.mark.usefixtures("two")
    def test_a_row_that_was_changed_is_refused(self, change: tuple[str, object], at: At) -> None:
        at.sql(f"UPDATE claims SET {change[0]} WHERE person = '{ANNA}'", change[1])
        self.must_be_refused(at, BEN if change[1] == BEN else ANNA)

    @pytest.mark.usefixtures("two")
    def test_an_identifier_given_to_somebody_else_is_refused(self, at: At) -> None:
        execute(at, f"DELETE FROM claims WHERE person = '{BEN}'", f"UPDATE claims SET person = '{BEN}'")
        store = at.identity(KEK)
        with pytest.raises(Broken):
            store.find("email", "", ADDRESS)
        store.close()

    @pytest.mark.usefixtures("two")
    def test_the_key_of_somebody_else_is_refused(self, at: At) -> None:
        taken = f"(SELECT wrapped FROM wrapped_keys WHERE owner = '{BEN}')"
        execute(at, f"UPDATE wrapped_keys SET wrapped = {taken} WHERE owner = '{ANNA}'")
        self.must_be_refused(at)

    @pytest.mark.usefixtures("two")
    def test_a_key_that_is_missing_is_told(self, at: At) -> None:
        execute(at, f"DELETE FROM wrapped_keys WHERE owner = '{ANNA}'")
        self.must_be_refused(at)

    @pytest.mark.usefixtures("two")
    def test_every_byte_of_a_seal_counts(self, store: IdentityStore, at: At) -> None:
        query = "SELECT sealed FROM claim_fields JOIN claims ON id = claim WHERE field = 'name' AND person = ?"
        ((sealed,),) = at.sql(query, ANNA)
        with at.beside() as sql:
            for place in range(len(sealed)):
                changed = bytearray(sealed)
                changed[place] ^= 1
                sql("UPDATE claim_fields SET sealed = ? WHERE sealed = ?", bytes(changed), sealed)
                with pytest.raises(Broken):
                    store.claims_of(ANNA)
                sql("UPDATE claim_fields SET sealed = ? WHERE sealed = ?", sealed, bytes(changed))
        assert len(store.claims_of(ANNA)) == 1

    @pytest.mark.usefixtures("two")
    def test_a_damaged_index_key_locks_the_store_and_nothing_else(self, at: At) -> None:
        at.sql("UPDATE wrapped_keys SET wrapped = ? WHERE owner = 'index'", bytes(60))
        store = at.identity(KEK)
        assert store.state().lock == "damaged"
        assert store.forget(ANNA) == 1
        store.close()


class TestWithoutTheKey:
    def reading(self) -> list[Callable[[IdentityStore], object]]:
        return [
            lambda store: store.add_claim(OF_BEN),
            lambda store: store.find("email", "", ADDRESS),
            lambda store: store.claims_of(ANNA),
            lambda store: store.move(ANNA, BEN),
            lambda store: store.rotate(Kek.new()),
        ]

    @pytest.mark.parametrize(("given", "why"), [(None, "no_key"), (OTHER, "other_key")])
    def test_nothing_is_added_found_or_read_and_it_says_why(
        self, given: Kek | None, why: str, store: IdentityStore, at: At
    ) -> None:
        number = store.add_claim(OF_ANNA)
        locked = at.identity(given)
        for call in self.reading():
            with pytest.raises(Locked) as refused:
                call(locked)
            assert refused.value.why == why
        state = locked.state()
        assert (state.lock, state.used, state.persons, state.claims) == (why, (KEK.id,), 1, 1)
        assert locked.held_of(ANNA) == (HeldClaim(id=number, person=ANNA, created_ms=1_000, record=7, fields=3),)
        locked.close()
        assert store.claims_of(ANNA) == (opened(OF_ANNA, number),)

    @pytest.mark.parametrize("given", [None, OTHER])
    def test_people_are_forgotten_all_the_same(self, given: Kek | None, store: IdentityStore, at: At) -> None:
        for claim in (OF_ANNA, OF_BEN, replace(OF_ANNA, person=CLEO, identifier="c", expires_ms=2)):
            store.add_claim(claim)
        locked = at.identity(given)
        assert (locked.forget(ANNA), locked.keep_marks(BEN)) == (1, 1)
        locked.drop([each.id for each in locked.expired(2)])
        assert locked.persons() == {BEN}
        assert locked.keep_only(()) == 1
        locked.close()
        assert (store.state().claims, store.claims_of(ANNA)) == (0, ())

    def test_it_can_be_reset_after_the_key_is_lost(self, store: IdentityStore, at: At) -> None:
        with pytest.raises(Refused):
            store.reset()
        store.add_claim(OF_ANNA)
        Roster(store).load([Listed("7", "Anna")])
        other = at.identity(OTHER)
        assert other.reset() == 1
        assert (other.state().lock, other.state().used, other.claims_of(ANNA)) == ("open", (OTHER.id,), ())
        number = other.add_claim(OF_ANNA)
        assert other.claims_of(ANNA) == (opened(OF_ANNA, number),)
        assert (list(Roster(other).all()), Roster(other).load([Listed("7", "Anna")]).new) == ([], ("7",))
        other.close()
        none = at.identity(None)
        assert (none.reset(), none.state().lock, none.state().used) == (1, "no_key", ())
        none.close()

    def test_a_store_that_never_had_one_is_empty_and_locked(self, at: At) -> None:
        store = at.identity(None)
        state = store.state()
        assert (state.lock, state.key, state.used, state.claims) == ("no_key", "", (), 0)
        store.close()

    def test_another_key_makes_no_second_index(self, at: At) -> None:
        at.identity(KEK).close()
        other = at.identity(OTHER)
        assert other.state().lock == "other_key"
        other.close()

    @pytest.mark.parametrize("text", ["", "short", "a" * 43, "é" * 44, Kek(b"k" * 32).text + "AAAA"])
    def test_an_invalid_key_is_refused_and_not_repeated(self, text: str) -> None:
        with pytest.raises(Invalid) as refused:
            Kek.parse(text)
        assert not text or text not in str(refused.value)
        assert Kek.parse(f" {KEK.text}\n") == KEK


class TestForgetting:
    def test_takes_claims_and_key(self, store: IdentityStore, at: At) -> None:
        store.add_claim(OF_ANNA)
        store.add_claim(OF_BEN)
        assert store.forget(ANNA) == 1
        assert store.forget(ANNA) == 0
        assert (store.claims_of(ANNA), store.find("email", "", ADDRESS)) == ((), None)
        assert store.persons() == {BEN}
        assert store.state().forgotten == 1
        assert at.sql("SELECT owner FROM wrapped_keys ORDER BY 1") == [(BEN,), ("index",)]

    def test_a_returning_person_starts_afresh(self, store: IdentityStore) -> None:
        store.add_claim(OF_ANNA)
        store.forget(ANNA)
        number = store.add_claim(replace(OF_ANNA, person=BEN))
        assert store.claims_of(BEN) == (opened(replace(OF_ANNA, person=BEN), number),)

    def test_values_put_back_from_an_older_copy_cannot_be_read(self, store: IdentityStore, at: At) -> None:
        store.add_claim(OF_ANNA)
        claims, fields = at.sql(CLAIMS.select()), at.sql(CLAIM_FIELDS.select())
        store.forget(ANNA)
        store.add_claim(replace(OF_ANNA, identifier="new@example.net"))
        for table, rows in ((CLAIMS, claims), (CLAIM_FIELDS, fields)):
            for row in rows:
                at.sql(table.insert(), *row)
        with pytest.raises(Broken):
            store.claims_of(ANNA)

    def test_marks_stay_where_a_measure_needs_them(self, store: IdentityStore) -> None:
        number = store.add_claim(OF_ANNA)
        assert store.keep_marks(ANNA) == 1
        assert store.keep_marks(ANNA) == 0
        assert store.claims_of(ANNA) == (opened(replace(OF_ANNA, fields={}), number),)
        with pytest.raises(Taken) as taken:
            store.add_claim(replace(OF_ANNA, person=BEN))
        assert taken.value.person == ANNA
        assert store.state().forgotten == 1

    def test_claims_from_an_older_copy_are_erased_again(self, store: IdentityStore) -> None:
        for claim in (OF_ANNA, OF_BEN):
            store.add_claim(claim)
        assert store.keep_only({BEN, "@somebody:else.org"}) == 1
        assert store.persons() == {BEN}

    def test_expired_claims_are_dropped(self, store: IdentityStore, at: At) -> None:
        first = store.add_claim(OF_ANNA)
        later = replace(OF_ANNA, identifier="other@example.net", expires_ms=10_000)
        second = store.add_claim(later)
        assert store.expired(8_999) == ()
        assert [each.id for each in store.expired(9_000)] == [first]
        store.drop([first])
        assert store.claims_of(ANNA) == (opened(later, second),)
        store.drop([], stripped=[second])
        assert store.claims_of(ANNA) == (opened(replace(later, fields={}), second),)
        store.drop([second])
        assert at.sql("SELECT owner FROM wrapped_keys") == [("index",)]


class TestReading:
    def test_makes_and_changes_nothing(self, at: At) -> None:
        assert open_for_reading(at.place, KEK) is None
        at.keys().close()  # as an earlier version left it
        assert open_for_reading(at.place, KEK) is None
        store = at.identity(KEK)
        number = store.add_claim(OF_ANNA)
        reader = open_for_reading(at.place, KEK)
        assert reader is not None
        assert reader.claims_of(ANNA) == (opened(OF_ANNA, number),)
        assert reader.find("email", "", ADDRESS) == ANNA
        with pytest.raises((OSError, Broken), match=r"read-?only|reading only"):
            reader.forget(ANNA)
        reader.close()
        store.close()


def test_the_blinded_index_is_what_the_documents_say(store: IdentityStore, at: At) -> None:
    """Computed again with nothing of ours but the words."""
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    store.add_claim(OF_ANNA)
    ((wrapped, by),) = at.sql("SELECT wrapped, wrapped_by FROM wrapped_keys WHERE owner = 'index'")
    ((mark,),) = at.sql("SELECT blind FROM claims")

    def words(*each: str) -> bytes:
        return b"".join(len(word.encode()).to_bytes(4, "big") + word.encode() for word in each)

    assert by == hashlib.sha256(KEK.secret).hexdigest()[:16]
    key: Any = AESGCM(KEK.secret).decrypt(wrapped[:12], wrapped[12:], words("key", "index", by))
    assert mark == hmac.digest(key, words("email", "", ADDRESS), "sha256")


@pytest.mark.parametrize("tagged", ["anna.musterfrau+club@example.net", "Anna.Musterfrau+2+3@EXAMPLE.net"])
def test_the_addresses_of_one_mailbox_are_one_identifier(store: IdentityStore, tagged: str) -> None:
    store.add_claim(OF_ANNA)
    with pytest.raises(Taken):
        store.add_claim(replace(OF_BEN, identifier=tagged))
    assert store.find("email", "", tagged) == ANNA


def test_an_address_that_an_older_version_kept_with_its_tag_is_found(
    store: IdentityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged = replace(OF_ANNA, identifier="anna+club@example.net")
    with monkeypatch.context() as older:
        older.setattr(blind_index, "mailbox", lambda address: address)
        store.add_claim(tagged)
    assert store.find("email", "", tagged.identifier) == ANNA
    with pytest.raises(Taken):
        store.add_claim(replace(OF_BEN, identifier=tagged.identifier))
    store.add_claim(tagged)
    assert len(store.claims_of(ANNA)) == 1
