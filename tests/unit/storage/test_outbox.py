"""The outbox: priorities, merging of equal actions, and that a row is removed only with its outcome."""

from dataclasses import replace

import pytest

from moderation.model.actions.alerts import Alert
from moderation.model.actions.base import STOP, Action
from moderation.model.actions.cards import EditCard, Offer, PostCard
from moderation.model.actions.removal import Redact
from moderation.model.actions.rooms import Align, Enter
from moderation.model.actions.telling import Say, ShowPower, Tell
from moderation.model.facts import ActionTaken
from moderation.values.ids import CaseNumber, EventId, RoomId, UserId
from moderation.values.notices import line
from storage import outbox, queries
from storage.database.database import Database
from storage.projections import project
from tests.postgres.engines import on_both

pytestmark = on_both

ROOM, ANNA = RoomId("!garden:example.org"), UserId("@anna:example.org")
REDACT = Redact(room=ROOM, event=EventId("$e"), subject=ANNA, rule="spam")
ALIGN = Align(room=ROOM)
SAY = Say(room=ROOM, lines=(line("done.mute"),), to=ANNA)
CARD = PostCard(room=ROOM, n=CaseNumber(1))
TELL = Tell(room=ROOM, subject=ANNA, lines=(line("notice.violation", words="“<b>你好"),), n=1)
OFFER = Offer(room=ROOM, n=CaseNumber(1), key="✅")


async def put(
    database: Database, *actions: Action, cause: int | None = 1, not_before: int = 0, era: str = "", now: int = 0
) -> None:
    async with database.write() as db:
        await outbox.put(db, actions, cause=cause, now=now, not_before=not_before, era=era)


async def waiting(database: Database, now: int = 0, limit: int = 100) -> list[Action]:
    async with database.read() as db:
        return [row.action for row in await outbox.due_rows(db, now, limit)]


async def test_what_goes_to_other_servers_does_not_make_the_bot_look_stuck(database: Database) -> None:
    alert = Alert(room=ROOM, channel="webhook", what="overdue", n=1)
    await put(database, alert, now=5)
    async with database.read() as db:
        found = await queries.vital_numbers(db, 10, 10)
        assert (found.waiting, found.queued) == (1, None)
    await put(database, SAY, cause=2, now=7)
    async with database.read() as db:
        assert (await queries.vital_numbers(db, 10, 10)).queued == 7


async def test_of_many_rooms_to_enter_one_that_was_not_tried_yet_is_read_first(database: Database) -> None:
    rooms = [RoomId(f"!r{number}:example.org") for number in range(40)]
    await put(database, *(Enter(room=room, inviter=ANNA) for room in rooms))
    async with database.write() as db:
        for number in range(39):
            await outbox.retry_later(db, f"answerable.1.{number}", 0)
    assert rooms[-1] in [action.room for action in await waiting(database, limit=1)]


async def test_urgent_rows_come_first_and_redactions_newest_first(
    database: Database,
) -> None:
    second = Redact(room=ROOM, event=EventId("$f"), subject=ANNA)
    await put(database, OFFER, TELL, CARD, SAY, ALIGN, REDACT)
    await put(database, second, cause=2)
    assert await waiting(database) == [ALIGN, second, REDACT, SAY, CARD, TELL, OFFER]
    assert await waiting(database, limit=1) == [ALIGN, second, SAY, CARD, TELL, OFFER]


async def test_of_each_room_the_first_is_there_however_much_waits_in_another(database: Database) -> None:
    other = RoomId("!pond:example.org")
    flood = [replace(REDACT, event=EventId(f"$e{n}")) for n in range(20)]
    cards = [replace(CARD, n=CaseNumber(n)) for n in range(20)]
    early = (replace(REDACT, room=other), replace(CARD, room=other, n=CaseNumber(99)))
    await put(database, early[0], *flood, *cards, early[1])
    assert await waiting(database, limit=2) == [flood[-1], flood[-2], early[0], cards[0], cards[1], early[1]]


async def test_merged_rows_have_the_highest_urgency(database: Database) -> None:
    await put(database, replace(ALIGN, routine=True))
    await put(database, ALIGN, cause=2)
    await put(database, replace(ALIGN, routine=True), cause=3)
    async with database.read() as db:
        assert [row.priority for row in await outbox.due_rows(db, 0, 10)] == [STOP]


async def test_after_a_start_nothing_waits_for_a_time_by_another_clock(database: Database) -> None:
    await put(database, ALIGN, now=3_600_000)
    await put(database, SAY, now=5, cause=2)
    await put(database, TELL, now=0, cause=3)  # by a version that did not say when
    async with database.write() as db:
        await outbox.retry_later(db, "answerable.1.0", 7_200_000)
        await outbox.make_all_due(db, 1_000)
        found = await outbox.due_rows(db, 1_000, 10)
    assert [(row.action, row.queued, row.attempts) for row in found] == [
        (ALIGN, 1_000, 1),
        (SAY, 5, 0),
        (TELL, 1_000, 0),
    ]


async def test_what_is_said_in_a_desk_is_due_again_once_there_is_one(database: Database) -> None:
    later = ShowPower(room=ROOM)
    elsewhere = ShowPower(room=RoomId("!elsewhere:example.org"))
    await put(database, TELL, later, elsewhere)
    await put(database, CARD, cause=2, not_before=5)  # not tried yet
    async with database.write() as db:
        for row in await outbox.due_rows(db, 0, 10):
            await outbox.retry_later(db, row.txn, 7_200_000)
        await outbox.make_said_due(db, ROOM)
        found = await outbox.due_rows(db, 1, 10)
    assert [row.action for row in found] == [later]


async def test_a_refused_row_merges_with_its_repetition(database: Database) -> None:
    async def refused(action: Action) -> None:
        async with database.write() as db:
            row = next(row for row in await outbox.due_rows(db, 0, 10) if row.action == action)
            await outbox.mark_sending(db, [row.id])
            await outbox.not_started(db, row)

    await put(database, TELL, cause=1)
    await refused(TELL)
    await put(database, TELL, cause=2)
    assert await waiting(database) == [TELL]
    async with database.write() as db:
        (row,) = await outbox.due_rows(db, 0, 10)
        await outbox.mark_sending(db, [row.id])
    await put(database, TELL, cause=3)
    async with database.write() as db:
        await outbox.not_started(db, row)
    assert await waiting(database) == [TELL, TELL]


async def test_the_same_cause_queued_twice_is_one_row(database: Database) -> None:
    await put(database, REDACT, TELL)
    await put(database, REDACT, TELL)
    async with database.read() as db:
        rows = await outbox.due_rows(db, 0, 10)
    assert [(row.txn, row.record) for row in rows] == [("answerable.1.0", 1), ("answerable.1.1", 1)]


async def test_the_same_record_number_in_another_era_is_another_request(database: Database) -> None:
    """Otherwise the homeserver, which knows the request of the lost time, would not send the new message."""
    await put(database, REDACT)
    await put(database, REDACT, era="c0ffee00")
    async with database.read() as db:
        rows = sorted(row.txn for row in await outbox.due_rows(db, 0, 10))
    assert rows == ["answerable.1.0", "answerable.c0ffee00.1.0"]
    eras = ("", "c0ffee00", "c0ffee01")
    assert [[outbox.is_of_era(txn, era) for era in eras] for txn in rows] == [
        [True, False, False],
        [False, True, False],
    ]


async def test_a_row_without_a_record_gets_a_unique_name(database: Database) -> None:
    told = replace(TELL, n=0)
    await put(database, told, cause=None)
    await put(database, told, cause=None)
    async with database.read() as db:
        rows = await outbox.due_rows(db, 0, 10)
    assert len({row.txn for row in rows}) == 2
    assert [row.record for row in rows] == [-1, -1]


async def test_the_same_word_on_the_same_case_is_said_once_while_it_waits(database: Database) -> None:
    other = replace(TELL, subject=UserId("@ben:example.org"))
    await put(database, TELL, cause=1)
    await put(database, TELL, other, replace(TELL, n=2), cause=2)
    async with database.read() as db:
        rows = await outbox.due_rows(db, 0, 10)
    assert [row.action for row in rows] == [TELL, other, replace(TELL, n=2)]
    async with database.write() as db:
        await outbox.mark_sending(db, [rows[0].id])
    await put(database, TELL, cause=3)  # a message being sent may have been sent already
    async with database.read() as db:
        assert [row.record for row in await outbox.due_rows(db, 0, 10)] == [1, 2, 2, 3]


async def test_equal_waiting_rows_are_merged(database: Database) -> None:
    edit = EditCard(room=ROOM, n=CaseNumber(1))
    await put(database, ALIGN, edit, cause=1)
    await put(database, ALIGN, edit, EditCard(room=ROOM, n=CaseNumber(2)), cause=2)
    assert await waiting(database) == [ALIGN, edit, EditCard(room=ROOM, n=CaseNumber(2))]


async def test_a_repetition_during_sending_is_a_new_row(database: Database) -> None:
    await put(database, ALIGN, TELL, cause=1)
    async with database.write() as db:
        await outbox.mark_sending(db, [row.id for row in await outbox.due_rows(db, 0, 10)])
    await put(database, ALIGN, cause=2)
    await put(database, ALIGN, cause=3)
    assert await waiting(database) == [ALIGN, ALIGN, TELL]


async def test_a_row_waits_for_its_time(database: Database) -> None:
    await put(database, TELL, not_before=50)
    assert await waiting(database, 49) == []
    assert await waiting(database, 50) == [TELL]
    async with database.read() as db:
        assert (await outbox.due_and_next(db, 49, 10))[1] == 50
        assert (await outbox.due_and_next(db, 50, 10))[1] is None


async def test_a_row_that_is_tried_again_keeps_its_name_and_counts(database: Database) -> None:
    await put(database, TELL)
    async with database.write() as db:
        (before,) = await outbox.due_rows(db, 0, 1)
        await outbox.retry_later(db, before.txn, 70)
        (after,) = await outbox.due_rows(db, 70, 1)
    assert (after.txn, after.attempts, after.not_before) == (before.txn, 1, 70)


@pytest.mark.parametrize("result", ["done", "refused", "abandoned"])
async def test_the_row_goes_with_the_record_of_its_outcome_and_only_that_one(database: Database, result: str) -> None:
    await put(database, REDACT, TELL)
    async with database.write() as db:
        (first, _) = await outbox.due_rows(db, 0, 2)
        taken = ActionTaken(room=ROOM, on=1, action="redact", result=result, txn=first.txn)  # type: ignore[arg-type]
        await project(taken, db, 9, 0)
        assert await outbox.count(db) == 1
    assert await waiting(database) == [TELL]


async def test_a_failed_transaction_queues_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.write() as db:
            await outbox.put(db, [TELL], cause=1, now=0)
            raise ZeroDivisionError
    assert await waiting(database) == []
