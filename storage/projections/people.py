"""Facts about people and what rooms ask of them: verification, linked accounts, pinned keys, the policy."""

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    AccountsLinked,
    AccountUnlinked,
    DoorAnswered,
    KeyPinned,
    PersonVerified,
    PolicyChanged,
    VerificationAsked,
)
from moderation.people.linked_accounts import AccountLink
from storage import schema

from . import linked_accounts
from .common import add, pointed, project, put
from .requests import change_policy


@project.register
async def _(fact: PersonVerified, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.step == "revoked":
        v = schema.verifications.c
        own = [v.user == fact.subject, v.method == fact.method, v.revoked == 0]
        if fact.undoes >= 0:  # only one of them: the account's key has not changed
            own.append(v.record == fact.undoes)
        await db.execute(update(schema.verifications).where(*own).values(revoked=max(at_ms, 1)))
        if fact.undoes >= 0:
            return
        await db.execute(delete(schema.pinned_keys).where(schema.pinned_keys.c.user == fact.subject))
        return
    await add(db, schema.verifications, fact, index, at_ms)


@project.register
async def _(fact: AccountsLinked, db: AsyncConnection, index: int, at_ms: int) -> None:
    await linked_accounts.link(db, index, AccountLink(fact.subject, fact.target), at_ms)


@project.register
async def _(fact: AccountUnlinked, db: AsyncConnection, _index: int, at_ms: int) -> None:
    await linked_accounts.unlink(db, fact.start, at_ms)


@project.register
async def _(fact: KeyPinned, db: AsyncConnection, index: int, _at_ms: int) -> None:
    if fact.subject:
        await put(db, schema.pinned_keys, {"user": fact.subject}, key=fact.key, record=index)


@project.register
async def _(fact: VerificationAsked | DoorAnswered, db: AsyncConnection, index: int, at_ms: int) -> None:
    await pointed(db, fact.room or "", fact.subject, fact.what, index, at_ms)


@project.register
async def _(fact: PolicyChanged, db: AsyncConnection, _index: int, at_ms: int) -> None:
    await change_policy(db, fact.policy, at_ms)
