"""Shards that learn from each other agree, in any order in which messages come."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.credit.credit import balance
from moderation.model.facts import (
    AccountsLinked,
    AccountUnlinked,
    CreditChanged,
    EntryConfirmed,
    Fact,
    Learnt,
    PartsErased,
    PersonVerified,
    RecordsPurged,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    ShardPinned,
)
from moderation.policy import CreditSettings
from moderation.shards.crossing import LogPlace, crosses, learnt, needed
from moderation.values.ids import UserId
from storage import queries, schema
from storage.projections import project
from tests.examples import tried
from tests.unit.moderation.builders import ANNA, DAY, MARK, MINA, NOON, ROOM
from tests.unit.storage.new_tables import EACH_IS_NEW, NewTables

TWIN = UserId("@twin:example.org")
PEOPLE = (ANNA, MARK, MINA, TWIN)
LATER = NOON + 3 * DAY


async def apply(db: AsyncConnection, *facts: Fact, first: int = 10) -> None:
    for index, fact in enumerate(facts, first):
        await project(fact, db, index, NOON)


async def rows(db: AsyncConnection, table: Table) -> list[Any]:
    return sorted(tuple(row) for row in await db.execute(select(table)))


def charge(user: UserId = ANNA, cost: int = 10, reach: str = "") -> CreditChanged:
    return CreditChanged(
        room=ROOM, entry="charge", cost=cost, grade="moderate", rule="spam", n=1, left=0, reach=reach, subject=user
    )


def undone(record: int, user: UserId = ANNA) -> CreditChanged:
    return replace(charge(user, 0), entry="compensation", undoes=record)


BAN = SanctionStarted(kind="ban", until=LATER + DAY, basis="operator", rule="barred", subject=ANNA)


@dataclass
class Log:
    """The facts of one shard about people, each with its index and time."""

    origin: str
    facts: list[Fact] = field(default_factory=list)

    def crossing(self) -> list[Learnt]:
        """Return what others learn."""
        found = []
        for index, fact in enumerate(self.facts):
            about = self.facts[needed(fact)] if needed(fact) >= 0 else None
            if crosses(fact, about):
                place = LogPlace(self.origin, index, NOON + index, len(self.facts), "ab" * 32)
                found.append(learnt(fact, place, about, NOON + needed(fact)))
        return found


def random_log(origin: str, chance: Random) -> Log:
    """Return a log in which later records undo, end and change earlier ones."""
    log = Log(origin)
    for _ in range(chance.randint(1, 9)):
        user = chance.choice(PEOPLE)
        log.facts.append(
            chance.choice(
                [
                    charge(user, chance.randint(1, 30)),
                    charge(user, chance.randint(1, 30), reach="garden-club"),
                    PersonVerified(method="email", level=1, until=LATER + DAY, subject=user),
                    replace(BAN, subject=user),
                ]
            )
        )
        at = chance.randrange(len(log.facts))
        follows: Fact | None = None
        match log.facts[at]:
            case CreditChanged(reach="") as entry:
                follows = undone(at, entry.subject)
            case CreditChanged() as entry:
                follows = EntryConfirmed(start=at, subject=entry.subject, by=MARK)
            case PersonVerified(step="verified") as proof:
                follows = replace(proof, step="revoked", level=0, until=0, undoes=at)
            case SanctionStarted() as ban:
                follows = chance.choice(
                    [
                        SanctionEnded(start=at, kind="ban", why="reversed", subject=ban.subject),
                        SanctionExtended(start=at, kind="ban", until=LATER + at + 1, subject=ban.subject),
                    ]
                )
        known = any(isinstance(each, EntryConfirmed) and each.start == at for each in log.facts)
        if follows is not None and not known and chance.random() < 0.6:
            log.facts.append(follows)
    return log


async def known_of(db: AsyncConnection) -> dict[UserId, object]:
    """Return what a shard holds for each person: balance, level, and since and until when they are barred."""
    found: dict[UserId, object] = {}
    for user in PEOPLE:
        person = await queries.person_view(db, user, now_ms=LATER, recent_since=0)
        everywhere = [entry for entry in person.entries if entry.reach == ""]
        barred = sorted(each.until for each in person.in_force)
        found[user] = (balance(everywhere, LATER, CreditSettings()), person.verified, barred)
    return found


@settings(max_examples=tried(25), suppress_health_check=EACH_IS_NEW)
@given(st.randoms(use_true_random=False))
async def test_three_shards_agree_whatever_the_order_and_however_often_something_comes(
    new_tables: NewTables, chance: Random
) -> None:
    logs = [random_log(f"example.org/{name}", chance) for name in ("one", "two", "three")]
    # Facts that change one of the same log come in the order of that log: only then is the last word the last.
    seen: list[dict[UserId, object]] = []
    for own in logs:
        coming = [each for log in logs if log is not own for each in log.crossing()]
        coming += chance.choices(coming, k=3) if coming else []
        chance.shuffle(coming)
        coming = _extensions_in_order(coming)
        # A log has its own facts in order; what is learnt is written in between.
        written: list[Fact] = []
        moved: dict[int, int] = {}
        for index, fact in enumerate(own.facts):
            while coming and chance.random() < 0.5:
                written.append(coming.pop())
            moved[index] = len(written)
            written.append(_moved(fact, moved))
        written += reversed(coming)
        tables = []
        for _ in range(2):  # and once more, as when the database is made again
            async with new_tables() as db:
                for index, fact in enumerate(written):
                    at_ms = next((NOON + was for was, now in moved.items() if now == index), NOON)
                    await project(fact, db, index, at_ms)
                tables.append([await rows(db, table) for table in (schema.credit, schema.sanctions, schema.learnt)])
                known = await known_of(db)
        assert tables[0] == tables[1]
        seen.append(known)
    assert seen[0] == seen[1] == seen[2]


def _extensions_in_order(coming: list[Learnt]) -> list[Learnt]:
    """Put what changes the same ban into the order of its log; it is taken from the end."""
    places = [at for at, each in enumerate(coming) if each.what in ("prolonged", "admitted")]
    ordered = sorted((coming[at] for at in places), key=lambda each: -each.index)
    result = list(coming)
    for at, each in zip(places, ordered, strict=True):
        result[at] = each
    return result


def _moved(fact: Fact, moved: dict[int, int]) -> Fact:
    match fact:
        case CreditChanged(undoes=at) if at >= 0:
            return replace(fact, undoes=moved[at])
        case PersonVerified(undoes=at) if at >= 0:
            return replace(fact, undoes=moved[at])
        case EntryConfirmed() | SanctionEnded() | SanctionExtended():
            return replace(fact, start=moved[fact.start])
    return fact


ONE = Log("example.org/one", [charge(), undone(0), undone(1)])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
async def test_a_charge_that_was_taken_back_and_put_again_counts_in_any_order(
    db: AsyncConnection, order: Sequence[int]
) -> None:
    await apply(db, *(ONE.crossing()[at] for at in order))
    person = await queries.person_view(db, ANNA, now_ms=NOON, recent_since=0)
    assert balance(person.entries, NOON, CreditSettings()) == 90


async def test_an_account_is_parted_again_though_the_link_is_learnt_later(db: AsyncConnection) -> None:
    log = Log("example.org/one", [AccountsLinked(method="oidc", subject=TWIN, target=ANNA)])
    log.facts.append(AccountUnlinked(start=0, subject=TWIN, target=ANNA))
    together, parted = log.crossing()
    await apply(db, parted, together)
    assert await rows(db, schema.accounts) == []
    assert [row.ended for row in await db.execute(select(schema.links))] == [NOON + 1]


async def test_a_log_that_goes_on_from_a_backup_may_change_what_was_learnt_before(db: AsyncConnection) -> None:
    log = Log("example.org/one", [BAN, SanctionEnded(start=0, kind="ban", why="reversed", subject=ANNA)])
    ban, end = log.crossing()
    restored = replace(ban, what="restored", era="r1", index=1)
    await apply(db, ban, restored, replace(end, era="r1", index=2))
    assert await queries.all_in_force(db) == ()


async def test_the_index_of_another_era_is_another_record(db: AsyncConnection) -> None:
    entry = Log("example.org/one", [charge()]).crossing()[0]
    await apply(db, entry, replace(entry, era="r1", cost=20), entry)
    assert sorted(row.cost for row in await db.execute(select(schema.credit))) == [10, 20]


async def test_what_was_learnt_of_somebody_erased_leaves_what_a_rebuilt_table_has(new_tables: NewTables) -> None:
    linked = AccountsLinked(method="oidc", subject=TWIN, target=ANNA)
    proof = PersonVerified(method="email", level=1, until=LATER, subject=ANNA)
    coming = Log("example.org/one", [charge(), BAN, proof, linked]).crossing()
    tables = (schema.credit, schema.sanctions, schema.verifications, schema.links, schema.learnt, schema.accounts)
    async with new_tables() as db:
        await apply(db, *coming, PartsErased(parts=5, what="request", records="10-13;1:13"))
        live = [await rows(db, table) for table in tables]
    async with new_tables() as again:
        nobody = [replace(each, subject=UserId(""), target=UserId("")) for each in coming]
        await apply(again, *nobody, PartsErased(parts=5, what="request", records="10-13;1:13"))
        assert live == [await rows(again, table) for table in tables]
    assert not any(user in str(live) for user in (ANNA, TWIN))


async def test_purging_keeps_what_another_shard_may_still_change(db: AsyncConnection) -> None:
    coming = Log("example.org/one", [charge(), BAN]).crossing()
    await apply(db, *coming, RecordsPurged(below=50, what="schedule"))
    assert [row.what for row in await db.execute(select(schema.learnt))] == ["barred"]


async def test_the_key_of_another_log_is_the_one_noted_last(db: AsyncConnection) -> None:
    await apply(db, *(ShardPinned(origin="example.org/one", vkey=key) for key in ("a", "b")))
    assert await rows(db, schema.shard_keys) == [("example.org/one", "b", 11)]
