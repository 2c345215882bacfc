"""The roster: only changes are written, a code belongs to one account, and nothing is stored in plain text."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from moderation.values.ids import UserId
from storage.identity.roster import Changes, Listed, ListedStatus, Roster, Used, is_code, new_code
from storage.identity.store import IdentityStore, Kek, Locked
from tests.unit.storage.identity.at import At

ANNA, BEN = UserId("@anna:example.org"), UserId("@ben:example.org")
KEK = Kek(b"k" * 32)
FIRST = Listed("M-1", "Anna Musterfrau", "anna@example.net", 2, 9_000)
SECOND = Listed("M-2", "=Ben", "")


@pytest.fixture
def store(at: At) -> Iterator[IdentityStore]:
    store = at.identity(KEK)
    yield store
    store.close()


@pytest.fixture
def roster(store: IdentityStore) -> Roster:
    return Roster(store)


def codes(roster: Roster, *only: str, now: int = 1_000, until: int = 5_000) -> dict[str, str]:
    found: dict[str, str] = {}
    roster.codes(now, until, only, lambda made: found.update({each.identifier: code for each, code in made}))
    return found


class TestLoading:
    def test_writes_what_is_new_and_what_changed_alone(self, roster: Roster, at: At) -> None:
        assert roster.load([FIRST, SECOND]) == Changes(new=("M-1", "M-2"))
        before = rows(at)
        changed = replace(SECOND, name="Ben Beispiel")
        assert roster.load([FIRST, changed]) == Changes(changed=("M-2",), same=1)
        assert sum(row in before for row in rows(at)) == 1
        assert [each.listed for each in roster.all()] == [FIRST, changed]

    def test_removes_missing_entries_only_on_request(self, roster: Roster) -> None:
        roster.load([FIRST, SECOND])
        assert roster.load([SECOND]) == Changes(gone=("M-1",), same=1)
        assert len(list(roster.all())) == 2
        assert roster.load([SECOND], remove_gone=True) == Changes(gone=("M-1",), same=1)
        assert [each.listed for each in roster.all()] == [SECOND]

    def test_does_not_take_somebody_for_gone_whose_line_was_refused(self, roster: Roster) -> None:
        roster.load([FIRST, SECOND])
        assert roster.load([SECOND], ["m-1"], remove_gone=True) == Changes(same=1)
        assert len(list(roster.all())) == 2

    def test_for_show_changes_nothing(self, roster: Roster) -> None:
        assert roster.load([FIRST], dry_run=True) == Changes(new=("M-1",))
        assert list(roster.all()) == []

    def test_keeps_the_code_of_a_changed_entry(self, roster: Roster) -> None:
        roster.load([FIRST])
        of = codes(roster)
        changed = replace(FIRST, name="Anna Neuname")
        roster.load([changed])
        assert roster.use(of["M-1"], ANNA, 2_000) == Used(changed, 2_000)

    def test_tells_how_far_it_is(self, roster: Roster) -> None:
        told: list[tuple[int, int]] = []
        many = [Listed(f"M-{n}") for n in range(4_500)]
        roster.load(many, progress=lambda done, of: told.append((done, of)))
        assert told == [(2_000, 4_500), (4_000, 4_500), (4_500, 4_500)]


class TestCodes:
    def test_belong_to_the_first_account_that_gives_them(self, roster: Roster) -> None:
        roster.load([FIRST])
        of = codes(roster)
        assert roster.use(of["M-1"], ANNA, 2_000) == Used(FIRST, 2_000)
        assert roster.use(of["M-1"], BEN, 3_000) is None
        assert roster.use(of["M-1"], ANNA, 4_000) == Used(FIRST, 2_000)

    def test_are_understood_however_they_are_typed(self, roster: Roster) -> None:
        roster.load([FIRST])
        typed = codes(roster)["M-1"].lower().replace("-", " ")
        assert is_code(typed)
        assert roster.use(typed, ANNA, 2_000) == Used(FIRST, 2_000)

    def test_have_an_end(self, roster: Roster) -> None:
        roster.load([FIRST])
        assert roster.use(codes(roster)["M-1"], ANNA, 5_000) is None

    def test_are_made_for_entries_without_a_code(self, roster: Roster) -> None:
        roster.load([FIRST, SECOND])
        first = codes(roster)
        assert first.keys() == {"M-1", "M-2"}
        assert codes(roster) == {}
        roster.use(first["M-1"], ANNA, 2_000)
        assert codes(roster, now=6_000, until=9_000).keys() == {"M-2"}

    def test_replace_the_old_code_and_free_the_entry(self, roster: Roster) -> None:
        roster.load([FIRST])
        old = codes(roster)["M-1"]
        roster.use(old, ANNA, 2_000)
        new = codes(roster, "m-1")["M-1"]
        assert roster.use(old, ANNA, 3_000) is None
        assert roster.use(new, BEN, 3_000) == Used(FIRST, 3_000)

    def test_that_cannot_be_handed_over_are_not_made(self, roster: Roster) -> None:
        roster.load([FIRST])

        def fails(_made: object) -> None:
            raise OSError("no room")

        with pytest.raises(OSError, match="no room"):
            roster.codes(1_000, 5_000, (), fails)
        assert list(roster.all()) == [ListedStatus(FIRST, 0, 0)]

    def test_are_hard_to_guess_and_do_not_look_alike(self) -> None:
        made = {new_code() for _ in range(1_000)}
        assert len(made) == 1_000
        assert not set("".join(made)) & set("01ILOU")


def test_nothing_of_it_stands_on_the_disk_in_plain(roster: Roster, at: At) -> None:
    roster.load([FIRST])
    code = codes(roster)["M-1"]
    roster.use(code, ANNA, 2_000)
    found = at.kept()
    words = (code, code.replace("-", ""), FIRST.name, FIRST.email, FIRST.identifier, ANNA)
    assert [word for word in words if word.encode() in found] == []


def test_taking_somebody_off_says_what_stood_there(roster: Roster) -> None:
    roster.load([FIRST])
    assert roster.remove(" m-1 ") == ListedStatus(FIRST, 0, 0)
    assert roster.remove("M-1") is None


def test_without_the_key_nothing_is_read_or_written(store: IdentityStore, at: At) -> None:
    Roster(store).load([FIRST])
    store.close()
    locked = at.identity(None)
    with pytest.raises(Locked):
        Roster(locked).load([SECOND])
    with pytest.raises(Locked):
        Roster(locked).use("AAAA-AAAA-AAAA-AAAA", ANNA, 1)
    locked.close()
    assert len(rows(at)) == 1


def rows(at: At) -> list[tuple[object, ...]]:
    return at.sql("SELECT mark, sealed FROM roster")
