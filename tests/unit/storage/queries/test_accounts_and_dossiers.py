"""Several accounts of one person count as one; a file and its steps are read back unchanged."""

from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.dossiers import Offence
from moderation.model.facts import (
    CaseOpened,
    DossierStep,
    Fact,
    PartsErased,
    RoomEntered,
    RoomStateChanged,
    SanctionStarted,
    TaskDone,
    TaskOpened,
)
from moderation.values.ids import GroupCode, UserId
from storage import queries, schema
from storage.projections import project
from tests.unit.moderation.builders import ANNA, BOT, MARK, MINA, NOON, OTHER, ROOM

TWIN = UserId("@twin:example.org")


async def apply(db: AsyncConnection, *facts: Fact, first: int = 10) -> None:
    for index, fact in enumerate(facts, first):
        await project(fact, db, index, NOON + index)


async def link(db: AsyncConnection, *users: UserId) -> None:
    rows = [{"user": user, "person": ANNA, "language": ""} for user in users]
    await db.execute(insert(schema.accounts), rows)


async def join(db: AsyncConnection, *users: UserId) -> None:
    entered = RoomEntered(code=GroupCode("G-7F3K"), purpose="group", room_id=ROOM)
    await apply(db, entered, RoomStateChanged(room=ROOM, condition="protected"), first=1)
    rows: list[dict[str, Any]] = [
        {"room": ROOM, "user": user, "membership": "join", "display_name": "", "role": "member"} for user in users
    ]
    await db.execute(insert(schema.members), rows)


async def test_a_person_has_all_the_accounts_that_were_linked(db: AsyncConnection) -> None:
    await link(db, TWIN)
    assert await queries.accounts_of(db, ANNA) == (ANNA, TWIN)
    assert await queries.accounts_of(db, TWIN) == (ANNA, TWIN)
    assert await queries.accounts_of(db, MARK) == (MARK,)


async def test_accounts_of_one_person_are_counted_once(db: AsyncConnection) -> None:
    await link(db, TWIN)
    await join(db, ANNA, TWIN, MARK, BOT)
    assert await queries.people_in(db, ROOM, without=BOT) == 2
    assert await queries.groups_of_person(db, TWIN, joined=True) == (ROOM,)


async def test_measures_apply_to_each_account_of_a_person(db: AsyncConnection) -> None:
    await link(db, TWIN)
    ban = SanctionStarted(kind="ban", basis="operator", subject=TWIN)
    mute = SanctionStarted(room=ROOM, kind="mute", basis="command", subject=ANNA)
    of_the_room = SanctionStarted(room=ROOM, kind="rectify", basis="operator", subject=ANNA)
    await apply(db, ban, mute, of_the_room)
    assert [(s.record, s.subject) for s in await queries.sanctions_in(db, ROOM, (TWIN,))] == [
        (10, ANNA), (10, TWIN), (11, ANNA), (11, TWIN), (12, ANNA),
    ]  # fmt: skip
    assert [(s.record, s.subject) for s in await queries.sanctions_in(db, OTHER, (TWIN,))] == [(10, ANNA), (10, TWIN)]


OPENED = DossierStep(step="opened", task=9, subject=ANNA, covers='{"cases": [1]}', reader="olga", reason="why")


def step(name: Any, **more: Any) -> DossierStep:
    return DossierStep(step=name, start=10, task=9, subject=ANNA, **{"reader": "olga", "reason": "why", **more})


def approval(who: UserId, digest: str = "ab") -> DossierStep:
    return step("approved", reader=who, how="account", digest=digest)


async def test_a_file_is_approved_by_as_many_as_are_different_people(db: AsyncConnection) -> None:
    await link(db, TWIN)  # Anna's
    await apply(db, OPENED, step("approved"), approval(ANNA), approval(ANNA), approval(TWIN), approval(MARK))
    found = await queries.dossier_view(db, 10)
    assert found is not None
    assert (found.subject, found.cases, found.task, found.state) == (ANNA, (1,), 9, "open")
    assert (found.approved_by, found.approvers("ab"), found.approvers("cd")) == ((ANNA, MARK), (ANNA, MARK), ())
    assert await queries.all_dossiers(db) == (found,)


async def test_an_approval_lapses_when_the_file_changes(db: AsyncConnection) -> None:
    await apply(db, OPENED, approval(ANNA), approval(MARK), approval(MARK, "cd"))
    found = await queries.dossier_view(db, 10)
    assert found is not None
    assert (found.approved_by, found.approvers("ab")) == ((MARK,), (ANNA, MARK))


@pytest.mark.parametrize(
    ("steps", "hidden"),
    [
        ((), True),
        ((step("approved"),), True),
        ((step("declined"),), False),
        ((step("exported", digest="ab"),), False),
        ((step("exported", digest="ab", bar="sec. 12"),), True),
        ((step("exported", digest="ab", bar="sec. 12"), step("exported", digest="cd")), False),
    ],
)
async def test_a_file_is_kept_from_the_person_while_it_is_prepared_or_barred(
    db: AsyncConnection, steps: tuple[DossierStep, ...], hidden: bool
) -> None:
    task = TaskOpened(room=ROOM, task="dossier", n=1, subject=ANNA)
    await apply(db, task, first=9)
    await apply(db, OPENED, *steps, TaskDone(start=9, result="done"))
    records = frozenset({9, 10, *range(11, 11 + len(steps))})
    assert await queries.hidden_from(db, ANNA) == ((frozenset({10}), records) if hidden else (frozenset(), frozenset()))
    assert await queries.hidden_from(db, MINA) == (frozenset(), frozenset())


async def test_erased_parts_are_missing_in_the_dossier(db: AsyncConnection) -> None:
    await apply(db, OPENED)
    await apply(db, PartsErased(parts=1, what="operator", records="10"), first=30)
    found = await queries.dossier_view(db, 10)
    assert found is not None
    assert found.subject == ""


async def test_earlier_cases_and_measures_of_a_person_are_read(db: AsyncConnection) -> None:
    await link(db, TWIN)
    case = CaseOpened(room=ROOM, n=1, rule="spam", grade="severe", decide="auto", state="decided", due=0, subject=TWIN)
    kick = SanctionStarted(room=ROOM, kind="kick", n=1, basis="rule", rule="spam", subject=TWIN)
    held = SanctionStarted(room=ROOM, kind="redact", basis="rule", rule="tier_slow", subject=TWIN)
    warned = SanctionStarted(room=ROOM, kind="warn", basis="command", subject=ANNA)
    interim = SanctionStarted(room=ROOM, kind="mute", n=1, basis="interim", subject=ANNA)
    asked = TaskOpened(room=ROOM, task="dossier", n=1, subject=TWIN)
    await apply(db, case, kick, held, warned, interim, asked)
    offences, before = await queries.offences_of(db, ANNA)
    assert offences == (Offence(1, ROOM, "spam", "severe", NOON + 10, NOON + 10),)
    assert before.measures == ((1, NOON + 11, "spam"), (0, NOON + 13, "-"))
    assert before.tasks == ((NOON + 15, 0),)
