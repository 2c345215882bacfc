"""The compiled book means exactly those whom the entries mean one by one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.lists.book import Book, digest_of
from moderation.lists.entries import Entry, PolicyList
from moderation.values.ids import EventId, RoomId, UserId, server_of
from tests.unit.moderation.lists.made import made

NAMES = st.text("ab.*?A-", min_size=1, max_size=6)
USERS = st.builds("@{}:{}".format, st.text("abA.-", min_size=1, max_size=5), st.text("ab.A-", min_size=1, max_size=5))


def fits(glob: str, text: str) -> bool:
    """Compare a glob with a text, sign by sign."""
    signs = {"*": ".*", "?": "."}
    return (
        re.fullmatch("".join(signs.get(c) or re.escape(c) for c in glob.lower()), text.lower(), re.DOTALL) is not None
    )


def means(entry: Entry, user: str) -> bool:
    """Try one entry by itself."""
    entity = user if entry.kind == "user" else server_of(user)
    return digest_of(entity) == entry.digest if entry.digest else fits(entry.entity, entity)


ENTRIES = st.lists(
    st.one_of(
        st.builds(made, st.just("user"), st.builds("@{}:{}".format, NAMES, NAMES)),
        st.builds(made, st.just("user"), NAMES),
        st.builds(made, st.just("server"), NAMES),
        st.builds(lambda user: made("user", digest=digest_of(user)), USERS),
        st.builds(lambda user: made("server", digest=digest_of(server_of(user))), USERS),
    ),
    max_size=12,
)


@given(ENTRIES, USERS)
def test_it_means_whom_each_entry_means(entries: list[Entry], user: str) -> None:
    book = Book([PolicyList("one", RoomId("!one"), tuple(entries))])
    found = [each.entry for each in book.match(UserId(user))]
    assert sorted(map(id, found)) == sorted(id(entry) for entry in entries if means(entry, user))


def test_an_entry_names_its_list() -> None:
    book = Book(
        [
            PolicyList("one", RoomId("!one"), (made("user", "@bad:x"),)),
            PolicyList("two", RoomId("!two"), (made("user", "@b*"),)),
        ]
    )
    assert [each.list for each in book.match(UserId("@BAD:X"))] == ["one", "two"]


def test_globs_too_large_for_one_automaton_are_tried_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moderation.lists.book._MAX_MEM", 1 << 12)
    entries = tuple(made("user", f"@*{'?' * 30}{n}*:*") for n in range(50))
    book = Book([PolicyList("one", RoomId("!one"), entries)])
    user = UserId(f"@{'x' * 40}7y:example.org")
    assert [each.entry for each in book.match(user)] == [entry for entry in entries if means(entry, user)]


def test_a_lone_surrogate_harms_nothing() -> None:
    book = Book([PolicyList("one", RoomId("!one"), (made("user", "@b*"), made("user", digest=digest_of("@c:x"))))])
    assert [each.entry.event for each in book.match(UserId("@b\ud800:x"))] == [EventId("$e")]
