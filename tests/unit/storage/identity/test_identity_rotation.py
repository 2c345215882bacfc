"""Changing the key-wrapping key: it can be continued after any interruption; then the old key opens nothing."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator

import pytest

from moderation.values.errors import Broken, Refused
from moderation.values.ids import PersonId
from storage.database.sqlite_small_store import SqliteSmallStore
from storage.identity import keyring
from storage.identity.store import IdentityStore, IdentityStoreState, Kek, Locked, NewClaim
from storage.journal.record_keys import FILE
from tests.postgres.engines import on_sqlite
from tests.unit.storage.identity.at import At

OLD, NEW, THIRD = Kek(b"o" * 32), Kek(b"n" * 32), Kek(b"t" * 32)
PEOPLE = [PersonId(f"@p{n}:example.org") for n in range(5)]
KEYS = len(PEOPLE) + 1  # and that of the index


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "AT_ONCE", 2)


@pytest.fixture
def store(at: At) -> Iterator[IdentityStore]:
    store = at.identity(OLD)
    for person in PEOPLE:
        store.add_claim(claim(person))
    yield store
    store.close()


def claim(person: PersonId) -> NewClaim:
    return NewClaim(
        person=person,
        method="email",
        issuer="",
        identifier=f"{person}@example.net",
        fields={"name": f"the name of {person}"},
        created_ms=1,
        expires_ms=2,
    )


def opens(at: At, kek: Kek) -> bool:
    """Tell whether this key opens everything, or nothing."""
    store = at.identity(kek)
    try:
        names = [str(each.fields["name"]) for person in PEOPLE for each in store.claims_of(person)]
        assert names == [f"the name of {person}" for person in PEOPLE]
        assert store.find("email", "", f"{PEOPLE[0]}@example.net") == PEOPLE[0]
        return True
    except Locked:
        return False
    finally:
        store.close()


class Crashes:
    """Copies of the files before each statement, as after a power cut."""

    def __init__(self, at: At) -> None:
        self._at = at
        self.copies: list[At] = []

    def watch(self, store: IdentityStore) -> None:
        _trace(store, lambda _statement: self.take())

    def take(self) -> None:
        copy = self._at.folder.with_name(f"copy-{len(self.copies)}")
        shutil.copytree(self._at.folder, copy)
        self.copies.append(At(self._at.engine, copy))


def _trace(store: IdentityStore, told: Callable[[str], None] | None) -> None:
    """Call `told` before each statement from now on."""
    assert isinstance(store._database, SqliteSmallStore)
    store._database._database.set_trace_callback(told)


@pytest.fixture
def crashes(store: IdentityStore, at: At) -> list[At]:
    """Provide copies from all steps of one rotation, and one from after it."""
    found = Crashes(at)
    found.watch(store)
    assert store.rotate(NEW) == KEYS
    _trace(store, None)
    found.take()
    assert len(found.copies) > 3 * KEYS
    return found.copies


def state_of(at: At, kek: Kek | None) -> IdentityStoreState:
    store = at.identity(kek)
    try:
        return store.state()
    finally:
        store.close()


class TestRotation:
    def test_lets_the_new_key_open_everything_and_the_old_one_nothing(self, store: IdentityStore, at: At) -> None:
        told: list[tuple[int, int]] = []
        assert store.rotate(NEW, lambda done, of: told.append((done, of))) == KEYS
        assert told == [(0, 6), (2, 6), (4, 6), (6, 6)]
        assert (opens(at, NEW), opens(at, OLD)) == (True, False)
        state = store.state()
        assert (state.lock, state.key, state.used, state.changing_to) == ("open", NEW.id, (NEW.id,), "")
        assert state_of(at, OLD).lock == "other_key"

    def test_leaves_the_old_wrapped_keys_nowhere_in_the_file(self, store: IdentityStore, at: At) -> None:
        before = [bytes(row[0]) for row in at.sql("SELECT wrapped FROM wrapped_keys")]
        store.rotate(NEW)
        data = at.kept()
        assert [wrapped in data for wrapped in before] == [False] * KEYS
        assert OLD.secret not in data
        assert NEW.secret not in data

    def test_can_be_done_again_and_again(self, store: IdentityStore, at: At) -> None:
        for kek in (NEW, THIRD, OLD):
            store.rotate(kek)
        assert [opens(at, kek) for kek in (OLD, NEW, THIRD)] == [True, False, False]

    def test_to_the_key_in_use_is_refused(self, store: IdentityStore) -> None:
        with pytest.raises(Refused) as refused:
            store.rotate(OLD)
        assert (refused.value.key, refused.value.fields) == ("identity.same-key", {"id": OLD.id})
        assert store.state().changing_to == ""

    def test_forgets_that_older_copies_had_somebody(self, store: IdentityStore) -> None:
        store.forget(PEOPLE[0])
        assert store.state().forgotten == 1
        store.rotate(NEW)
        assert store.state().forgotten == 0

    def test_serves_others_meanwhile(self, store: IdentityStore, at: At) -> None:
        """A claim is added and the record key of a new person is created between any two steps."""
        keys = at.keys()
        new: list[PersonId] = []

        def meanwhile(done: int, _of: int) -> None:
            person = PersonId(f"@new{done}:example.org")
            thread = threading.Thread(target=lambda: store.add_claim(claim(person)))
            thread.start()
            thread.join()
            keys.key_of(person)
            new.append(person)

        store.rotate(NEW, meanwhile)
        keys.close()
        assert opens(at, NEW)
        again = at.identity(NEW)
        assert [len(again.claims_of(person)) for person in new] == [1] * len(new)
        again.close()


@on_sqlite
class TestCutOff:
    """Wherever the process dies."""

    def test_one_of_the_keys_opens_everything(self, crashes: list[At]) -> None:
        """The new key does once it is noted, and opening with it finishes the rotation; until then the old key does."""
        found = []
        for copy in crashes:
            noted = state_of(copy, None).changing_to == NEW.id
            found.append((noted, opens(copy, NEW), state_of(copy, None).changing_to))
        before = [each for each in found if each == (False, False, "")]
        during = [each for each in found if each == (True, True, "")]
        after = [each for each in found if each == (False, True, "")]
        assert found == before + during + after
        assert (bool(before), bool(during), bool(after)) == (True, True, True)

    def test_with_the_old_key_it_is_open_before_and_says_that_it_is_unfinished_then(self, crashes: list[At]) -> None:
        locks = [state_of(copy, OLD).lock for copy in crashes]
        assert locks == sorted(locks, key=["open", "unfinished", "other_key"].index)
        assert set(locks) == {"open", "unfinished", "other_key"}

    def test_the_same_command_goes_on_with_it(self, crashes: list[At]) -> None:
        for copy in crashes:
            store = copy.identity(OLD)
            if store.state().lock == "other_key":
                assert opens(copy, NEW)
            else:
                store.rotate(NEW)
                assert (opens(copy, NEW), opens(copy, OLD)) == (True, False)
            store.close()

    def test_another_key_than_the_one_begun_with_is_refused(self, crashes: list[At]) -> None:
        unfinished = [copy for copy in crashes if state_of(copy, OLD).lock == "unfinished"]
        store = unfinished[0].identity(OLD)
        with pytest.raises(Refused) as refused:
            store.rotate(THIRD)
        assert (refused.value.key, refused.value.fields) == ("identity.change-other", {"new": NEW.id})
        store.close()
        assert opens(unfinished[0], NEW)

    def test_nothing_is_made_under_either_key_while_one_is_missing(self, crashes: list[At]) -> None:
        unfinished = next(copy for copy in crashes if state_of(copy, OLD).lock == "unfinished")
        store = unfinished.identity(OLD)
        calls: list[Callable[[], object]] = [
            lambda: store.add_claim(claim(PersonId("@new:example.org"))),
            lambda: store.claims_of(PEOPLE[0]),
        ]
        for call in calls:
            with pytest.raises(Locked) as refused:
                call()
            assert refused.value.why == "unfinished"
        assert store.forget(PEOPLE[0]) == 1
        store.close()

    def test_a_failed_write_leaves_a_usable_store(self, store: IdentityStore, at: At) -> None:
        """Neither the note that it is begun, nor any batch of keys."""
        store._database.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(at.place.data_dir / FILE, isolation_level=None)
        for stop_at in (-1, 0, 2, 2, 2):  # so many more each time, the last time all

            def block(done: int, _of: int) -> None:
                if done >= stop_at:  # noqa: B023 - used up within this round
                    other.execute("BEGIN IMMEDIATE")

            if stop_at < 0:
                other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OSError, match="locked"):
                store.rotate(NEW, block)
            other.execute("ROLLBACK")
            assert store.state().lock == "open"
            assert len(store.claims_of(PEOPLE[0])) == 1
        other.close()
        store.rotate(NEW)
        assert (opens(at, NEW), opens(at, OLD)) == (True, False)

    def test_the_damaged_key_of_one_person_does_not_take_the_others_along(self, store: IdentityStore, at: At) -> None:
        at.sql("UPDATE wrapped_keys SET wrapped = ? WHERE owner = ?", bytes(60), PEOPLE[4])
        for _ in range(2):
            with pytest.raises(Broken, match="p4"):
                store.rotate(NEW)
            assert len(store.claims_of(PEOPLE[0])) == 1
        again = at.identity(NEW)
        assert (again.state().lock, again.state().changing_to) == ("open", NEW.id)
        again.forget(PEOPLE[4])
        again.rotate(NEW)
        assert again.state().changing_to == ""
        again.close()
