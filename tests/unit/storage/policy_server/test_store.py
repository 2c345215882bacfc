"""The store of the policy server: one answer an event, no refusal without its note, numbers that never come again."""

import asyncio
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from moderation.values.durations import DAY_MS
from moderation.values.errors import Invalid
from moderation.values.ids import EventId, RoomId
from storage.policy_server.spool import PolicySpool
from storage.policy_server.store import KeptAnswer, PolicyStore
from storage.policy_server.tables import path_of

NOW = 1_700_000_000_000
ROOM = RoomId("!room:example.org")
GOOD = KeptAnswer(EventId("$good"), "hash-of-good", ROOM, accepted=True, at_ms=NOW)
BAD = KeptAnswer(EventId("$bad"), "hash-of-bad", ROOM, accepted=False, at_ms=NOW, errcode="M_FORBIDDEN", text="No.")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PolicyStore]:
    store = PolicyStore.open(tmp_path, NOW)
    yield store
    store.close()


async def test_an_answer_is_found_again_after_a_restart(store: PolicyStore, tmp_path: Path) -> None:
    assert await store.keep(GOOD) == GOOD
    assert await store.keep(BAD, "terms") == BAD
    store.close()
    again = PolicyStore.open(tmp_path, NOW + 1)
    try:
        assert await again.answer(GOOD.event_id) == GOOD
        assert await again.answer(BAD.event_id) == BAD
        assert await again.answer(EventId("$other")) is None
    finally:
        again.close()


async def test_the_first_of_two_answers_stands_and_a_refusal_that_came_second_leaves_no_note(
    store: PolicyStore, tmp_path: Path
) -> None:
    await store.keep(GOOD)
    refused = replace(BAD, event_id=GOOD.event_id)
    assert await store.keep(refused, "terms") == GOOD
    assert PolicySpool(tmp_path).refusals_after(0) == ()


async def test_many_who_wait_are_each_given_their_own(store: PolicyStore) -> None:
    answers = [replace(GOOD, event_id=EventId(f"${n}"), accepted=n % 2 == 0) for n in range(1_200)]
    assert list(await asyncio.gather(*(store.keep(each) for each in answers))) == answers
    assert list(await asyncio.gather(*(store.answer(each.event_id) for each in answers))) == answers


async def test_one_that_cannot_be_kept_harms_no_other(store: PolicyStore) -> None:
    broken = replace(GOOD, event_id=EventId("$broken"), text="\ud800")  # half a pair has no form in UTF-8
    kept, failed, also = await asyncio.gather(
        store.keep(GOOD), store.keep(broken), store.keep(BAD, ""), return_exceptions=True
    )
    assert (kept, also) == (GOOD, BAD)
    assert isinstance(failed, UnicodeEncodeError)
    assert await store.answer(broken.event_id) is None


async def test_the_bot_reads_notes_in_order_and_only_what_it_has_recorded_is_removed(
    store: PolicyStore, tmp_path: Path
) -> None:
    spool = PolicySpool(tmp_path)
    for n in range(3):
        await store.keep(replace(BAD, event_id=EventId(f"$bad{n}")), f"{n}")
    first, second, third = spool.refusals_after(0)
    assert [first.note, second.note, third.note] == ["0", "1", "2"]
    assert NOW < first.seq < second.seq < third.seq
    assert spool.refusals_after(first.seq, most=1) == (second,)

    assert await store.purge(NOW + 400 * DAY_MS, recorded=second.seq) == 2 + 3  # notes, and old answers
    assert spool.refusals_after(0) == (third,)
    spool.close()


def holding(data_dir: Path, words: bytes) -> set[str]:
    """Return the names of the files that hold these words."""
    return {path.name for path in path_of(data_dir).parent.iterdir() if words in path.read_bytes()}


async def test_what_somebody_wrote_is_in_no_file_once_the_bot_has_recorded_it(
    store: PolicyStore, tmp_path: Path
) -> None:
    spool, words = PolicySpool(tmp_path), "a purple elephant " * 1_000  # on pages of its own, and among others
    await store.forget()
    for n, note in enumerate((words, "an orange elephant", words)):
        await store.keep(replace(BAD, event_id=EventId(f"$bad{n}")), note)
    notes = spool.refusals_after(0)
    assert holding(tmp_path, b"purple elephant")
    await store.purge(NOW, recorded=notes[-1].seq)
    assert holding(tmp_path, b"purple elephant")  # in the write-ahead log
    assert await store.forget()
    assert holding(tmp_path, b"elephant") == set()
    spool.close()


async def test_words_that_stayed_because_somebody_read_go_later(store: PolicyStore, tmp_path: Path) -> None:
    await store.forget()
    await store.keep(BAD, "a purple elephant")
    reader = sqlite3.connect(path_of(tmp_path), isolation_level=None)
    reader.execute("BEGIN")
    (seq,) = reader.execute("SELECT seq FROM refusals").fetchone()
    await store.purge(NOW, recorded=seq)
    assert not await store.forget()
    reader.close()
    assert await store.forget()
    assert holding(tmp_path, b"elephant") == set()


async def test_words_that_a_killed_process_left_are_gone_after_the_next_start(
    store: PolicyStore, tmp_path: Path
) -> None:
    await store.keep(BAD, "a purple elephant")
    await store.purge(NOW, recorded=NOW + 1_000)
    assert "policy.sqlite3-wal" in holding(tmp_path, b"elephant")
    again = PolicyStore.open(tmp_path, NOW)  # the first one was never closed
    try:
        assert await again.forget()
        assert holding(tmp_path, b"elephant") == set()
    finally:
        again.close()


async def test_a_refusal_is_kept_for_a_year_without_its_words(store: PolicyStore) -> None:
    """Rules change; an event that was refused must not be signed when it is sent again."""
    await store.keep(BAD, "note")
    await store.purge(NOW + 365 * DAY_MS, recorded=NOW + 1_000)
    assert await store.answer(BAD.event_id) == BAD
    assert await store.purge(NOW + 365 * DAY_MS + 1, recorded=0) == 1
    assert await store.answer(BAD.event_id) is None


async def test_signatures_are_kept_for_a_week(store: PolicyStore) -> None:
    await store.keep(GOOD)
    assert await store.purge(NOW + 7 * DAY_MS, recorded=0) == 0
    assert await store.purge(NOW + 7 * DAY_MS + 1, recorded=0) == 1
    assert await store.answer(GOOD.event_id) is None


async def test_of_too_many_answers_the_oldest_go_first(store: PolicyStore) -> None:
    for n in range(5):
        await store.keep(replace(GOOD, event_id=EventId(f"$good{n}"), at_ms=NOW + n))
    assert await store.purge(NOW, recorded=0, most=5) == 0
    assert await store.purge(NOW, recorded=0, most=3) == 2
    found = [await store.answer(EventId(f"$good{n}")) is not None for n in range(5)]
    assert found == [False, False, True, True, True]


async def test_numbers_never_come_again_not_even_with_a_new_file(store: PolicyStore, tmp_path: Path) -> None:
    spool = PolicySpool(tmp_path)
    await store.keep(BAD, "")
    (before,) = spool.refusals_after(0)
    await store.purge(NOW, recorded=before.seq)
    await store.keep(replace(BAD, event_id=EventId("$next")), "")
    (after,) = spool.refusals_after(0)
    assert after.seq > before.seq

    store.close()
    for side in ("", "-wal", "-shm"):
        path = path_of(tmp_path)
        path.with_name(path.name + side).unlink(missing_ok=True)
    anew = PolicyStore.open(tmp_path, NOW + 60_000)
    try:
        await anew.keep(BAD, "")
        (newest,) = spool.refusals_after(after.seq)
        assert newest.event_id == BAD.event_id
        await anew.continue_after(newest.seq + 1_000_000)
        await anew.keep(replace(BAD, event_id=EventId("$later")), "")
        assert spool.refusals_after(newest.seq)[0].seq == newest.seq + 1_000_001
    finally:
        anew.close()
        spool.close()


async def test_rooms_keep_their_version_though_a_later_attempt_fails(store: PolicyStore, tmp_path: Path) -> None:
    spool = PolicySpool(tmp_path)
    await store.room_tried(ROOM, NOW, "M_FORBIDDEN")
    (tried,) = spool.rooms()
    assert (tried.version, tried.joined_ms, tried.why) == ("", 0, "M_FORBIDDEN")
    await store.room_joined(ROOM, "12", NOW + 1)
    (joined,) = await store.rooms()
    assert (joined.version, joined.joined_ms, joined.why) == ("12", NOW + 1, "")
    await store.room_tried(ROOM, NOW + 2, "M_FORBIDDEN")
    (left,) = spool.rooms()
    assert (left.version, left.joined_ms) == ("12", 0)
    spool.close()


def test_without_a_database_the_bot_reads_nothing(tmp_path: Path) -> None:
    assert PolicySpool(tmp_path).refusals_after(0) == ()
    assert PolicySpool(tmp_path).rooms() == ()


def test_it_is_closed_to_others(store: PolicyStore, tmp_path: Path) -> None:
    for path in (tmp_path / "policy", *(tmp_path / "policy").iterdir()):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_a_newer_or_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(Invalid, match="not a database"):
        PolicyStore.open(tmp_path, NOW)
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Invalid, match="newer version"):
        PolicyStore.open(tmp_path, NOW)
