"""Accounts of one person in the tables: everything follows the person when accounts are linked, ended or erased."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    AccountsLinked,
    AccountUnlinked,
    CaseOpened,
    CreditChanged,
    Fact,
    KeyPinned,
    LanguageChosen,
    PartsErased,
    PersonVerified,
    SanctionStarted,
)
from moderation.values.ids import PersonId, UserId
from storage import queries, schema
from storage.projections import project
from storage.projections.linked_accounts import linked, links_of
from storage.state import link_requests
from storage.state.link_requests import LinkRequest
from tests.examples import tried
from tests.postgres.engines import on_both
from tests.unit.moderation.builders import ANNA, DAY, MARK, MINA, NOON, ROOM
from tests.unit.storage.new_tables import EACH_IS_NEW, NewTables

pytestmark = on_both

TWIN = UserId("@twin:example.org")
USERS = (ANNA, TWIN, MARK, MINA)
TABLES = (
    schema.accounts,
    schema.links,
    schema.cases,
    schema.credit,
    schema.sanctions,
    schema.verifications,
    schema.pinned_keys,
)


async def apply(db: AsyncConnection, *facts: Fact, first: int = 10) -> None:
    for index, fact in enumerate(facts, first):
        await project(fact, db, index, NOON)


def link(user: UserId, target: UserId) -> AccountsLinked:
    return AccountsLinked(method="confirmed", subject=user, target=target)


def unlink(start: int, user: UserId = TWIN, target: UserId = ANNA) -> AccountUnlinked:
    return AccountUnlinked(start=start, subject=user, target=target)


def erased(*records: int, what: str = "request") -> PartsErased:
    named = ",".join(map(str, records))
    return PartsErased(parts=2 * len(records), what=what, records=f"{named};1:{named}")  # type: ignore[arg-type]


def charge(user: UserId, n: int = 0) -> CreditChanged:
    return CreditChanged(room=ROOM, entry="charge", cost=10, grade="moderate", rule="spam", n=n, left=90, subject=user)


def opened(user: UserId, n: int) -> CaseOpened:
    return CaseOpened(
        room=ROOM, n=n, rule="spam", grade="minor", decide="auto", state="decided", due=0, subject=user, by=MARK
    )


def verified(user: UserId) -> PersonVerified:
    return PersonVerified(method="email", level=1, until=NOON + DAY, subject=user)


BAN = SanctionStarted(kind="ban", basis="operator", subject=ANNA)


async def test_all_that_counts_follows_the_person(db: AsyncConnection) -> None:
    await apply(db, charge(ANNA, 1), charge(TWIN, 2), opened(ANNA, 1), opened(TWIN, 2), verified(TWIN), BAN)
    await apply(db, link(TWIN, ANNA), first=20)
    await apply(db, charge(TWIN, 3), opened(TWIN, 3), first=30)
    for user in (ANNA, TWIN):
        known = await queries.person_view(db, user, now_ms=NOON, recent_since=0)
        assert (known.person, known.accounts) == (PersonId(ANNA), frozenset({ANNA, TWIN}))
        assert [each.id for each in known.entries] == [10, 11, 30]
        assert [each.record for each in known.in_force] == [15]
        assert [each.n for each in known.recent_cases.values()] == [3]
        assert known.verified == 1
        assert await queries.newest_case_of(db, user) == 3
    assert [each.subject for each in await queries.sanctions_in(db, ROOM, (TWIN,))] == [ANNA, TWIN]
    assert (await queries.pinned_keys(db, NOON))[1] == {TWIN}  # whose own key is looked at


async def test_a_case_names_all_accounts_of_its_person_and_decider(db: AsyncConnection) -> None:
    await apply(db, opened(TWIN, 1), link(TWIN, ANNA), link(MINA, MARK))
    found = await queries.case_view(db, 1)
    assert found is not None
    assert (found.accounts, found.deciders) == (frozenset({ANNA, TWIN}), frozenset({MARK, MINA}))
    assert [found.is_about(user) for user in USERS] == [True, True, False, False]


async def test_a_link_that_is_ended_gives_each_account_its_own_again(db: AsyncConnection) -> None:
    story = (LanguageChosen(language="zh", subject=TWIN), charge(ANNA), charge(TWIN), BAN)
    await apply(db, *story)
    before = [await rows(db, table) for table in (schema.accounts, schema.credit, schema.sanctions)]
    await apply(db, link(TWIN, ANNA), first=20)
    assert await linked(db) == {TWIN: PersonId(ANNA)}
    await apply(db, unlink(20), first=21)
    assert [await rows(db, table) for table in (schema.accounts, schema.credit, schema.sanctions)] == before


async def test_of_three_accounts_only_the_one_that_was_linked_by_mistake_goes(db: AsyncConnection) -> None:
    await apply(db, link(TWIN, ANNA), link(MINA, TWIN))
    assert await links_of(db, [TWIN]) == await links_of(db, [ANNA, TWIN, MINA])
    await apply(db, unlink(10), first=20)
    assert await linked(db) == {MINA: PersonId(TWIN)}


async def test_a_link_that_is_erased_is_as_if_it_had_never_been(db: AsyncConnection) -> None:
    await apply(db, charge(TWIN), link(TWIN, ANNA), erased(11))
    assert (await linked(db), await rows(db, schema.accounts), await rows(db, schema.links)) == ({}, [], [])
    assert [row[1] for row in await rows(db, schema.credit)] == [TWIN]


async def test_a_link_outlives_the_time_for_which_its_record_is_kept(db: AsyncConnection) -> None:
    await apply(db, link(TWIN, ANNA), erased(10, what="retention"))
    assert await linked(db) == {TWIN: PersonId(ANNA)}


async def test_a_key_is_noted_until_the_verification_is_suspended(db: AsyncConnection) -> None:
    await apply(db, verified(ANNA), verified(TWIN), KeyPinned(subject=ANNA, key="one"))
    assert await queries.pinned_keys(db, NOON) == ({ANNA: "one"}, {ANNA, TWIN})
    before = await queries.state_of_pins(db)
    (proof,) = await queries.verifications_of(db, ANNA, NOON)
    revoked = PersonVerified(
        step="revoked", method=proof.method, level=proof.level, until=proof.until, why="key", subject=ANNA
    )
    await apply(db, revoked, first=20)
    assert await queries.pinned_keys(db, NOON) == ({}, {TWIN})
    after = await queries.state_of_pins(db)
    await apply(db, verified(ANNA), first=21)
    assert len({before, after, await queries.state_of_pins(db)}) == 3  # so that keys are compared again


async def test_a_request_waits_for_a_word_and_lapses(db: AsyncConnection) -> None:
    one = LinkRequest(user=TWIN, person=PersonId(ANNA), method="email", level=1, until=NOON + DAY, lapses=NOON + 10)
    await link_requests.put(db, one)
    assert await link_requests.of_user(db, TWIN, NOON) == one
    assert await link_requests.asked_of(db, PersonId(ANNA), NOON) == ()  # nobody was asked yet
    asked = LinkRequest(**{name: getattr(one, name) for name in one.__slots__} | {"code": "hashed"})
    await link_requests.put(db, asked)
    assert await link_requests.asked_of(db, PersonId(ANNA), NOON) == (asked,)
    assert await link_requests.asked_of(db, PersonId(ANNA), NOON + 10) == ()
    assert await link_requests.lapsed_requests(db, NOON + 10) == (asked,)
    await link_requests.drop(db, [TWIN])
    assert await link_requests.lapsed_requests(db, NOON + 10) == ()


# For any events in any order, the tables agree with the remaining facts.

users = st.sampled_from(USERS)
steps = st.lists(
    st.one_of(
        st.builds(link, users, users),
        st.builds(charge, users),
        st.builds(verified, users),
        st.builds(lambda user: SanctionStarted(kind="ban", basis="operator", subject=user), users),
        st.builds(unlink, st.integers(10, 22)),
        st.builds(lambda user: LanguageChosen(language="zh", subject=user), users),
        st.builds(erased, st.integers(10, 22)),
    ),
    max_size=12,
)


@settings(max_examples=tried(100), suppress_health_check=EACH_IS_NEW)
@given(steps)
async def test_tables_rebuilt_after_erasing_are_the_same(new_tables: NewTables, facts: list[Fact]) -> None:
    numbered = list(enumerate(facts, 10))
    # Erasure removes data from earlier records: only links are erased here, other data have their own tests.
    gone = {int(fact.records.split(";")[0]): at for at, fact in numbered if isinstance(fact, PartsErased)}
    numbered = [
        (at, fact)
        for at, fact in numbered
        if not (isinstance(fact, PartsErased) and not _is_link(numbered, int(fact.records.split(";")[0]), at))
    ]
    left = [
        (at, link(UserId(""), UserId("")) if isinstance(fact, AccountsLinked) and gone.get(at, -1) > at else fact)
        for at, fact in numbered
    ]
    assert await _tables(new_tables, left) == await _tables(new_tables, numbered)


def _is_link(numbered: Sequence[tuple[int, Fact]], record: int, before: int) -> bool:
    return any(at == record and at < before and isinstance(fact, AccountsLinked) for at, fact in numbered)


async def _tables(new_tables: NewTables, numbered: Sequence[tuple[int, Fact]]) -> dict[str, list[tuple[Any, ...]]]:
    async with new_tables() as db:
        for index, fact in numbered:
            await project(fact, db, index, NOON)
        return {table.name: await rows(db, table) for table in TABLES}


async def rows(db: AsyncConnection, table: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await db.execute(select(table).order_by(*table.primary_key.columns))]
