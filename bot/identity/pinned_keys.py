"""The master keys of verified accounts: a changed key may mean that somebody else now controls the account.

Rules kept here:
- Once an account is verified, its master key is recorded.
- If the key changes, the account's verifications are suspended, and it is told in kind words how to be verified again,
  since people reset their keys.
- An account without a key is left alone; the first key it makes is recorded.
- A key is looked at when the homeserver says that somebody's devices changed, when they ask about their verification,
  and once a day for all.
Left to others: when (`background.py`), what a verification means (`moderation/people/verification.py`).

Specification: client-server API v1.19, "Cross-signing", "POST /keys/query", "Tracking the device list for a user".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.outbox.handler import BotPart, Services
from moderation.model.facts import Fact, KeyPinned, PersonVerified
from moderation.values.durations import DAY_MS
from moderation.values.ids import UserId
from storage import queries

AT_ONCE = 50  # users in one question


class PinnedKeys(BotPart):
    """Compares keys with the recorded ones."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._changed: set[UserId] = set()
        self._verified: frozenset[UserId] | None = None  # with a key or without, now or before; None: not known yet
        self._without: set[UserId] = set()  # users who had no key when we asked today
        self._seen: tuple[int, int] | None = None  # the state of the pins at the last look
        self._all_on = -1  # the day since 1970 on which all were last looked at

    def lists_changed(self, users: Iterable[UserId]) -> bool:
        """Note that these users' devices have changed according to the homeserver; tell whether to look at their keys.

        Of those who are not verified nothing is known that could have changed. If they come to be verified, a write
        says so.
        """
        concerned = set(users) if self._verified is None else self._verified.intersection(users)
        self._changed |= concerned
        return bool(concerned)

    async def look(self) -> None:
        """Record keys that are not recorded yet, and suspend the verifications of accounts whose key changed."""
        today = self._clock() // DAY_MS
        async with self._database.read() as db:
            state = await queries.state_of_pins(db)
            if (state, today) == (self._seen, self._all_on) and not self._changed:
                return
            known, verified = await queries.pinned_keys(db, self._clock())
        self._seen, self._verified = state, frozenset(known) | verified | self._without
        pinned, unpinned = {user: key for user, key in known.items() if user in verified}, verified - known.keys()
        if today != self._all_on:
            changed, self._changed = set(pinned) | self._changed, set()
            self._all_on = today
            self._without.clear()
        else:
            changed, self._changed = self._changed, set()
        self._without -= changed
        wanted = sorted((changed & pinned.keys()) | (unpinned - self._without))
        for start in range(0, len(wanted), AT_ONCE):
            try:
                await self._compare(wanted[start : start + AT_ONCE], pinned)
            except Exception:
                self._changed.update(wanted[start:])  # asked again when the homeserver is back
                raise

    async def _compare(self, users: Sequence[UserId], pinned: Mapping[UserId, str]) -> None:
        answer = await self._homeserver.keys_query(users)
        facts: list[Fact] = []
        for user in users:
            key = master_key(answer, user)
            if not key:
                self._without.add(user)
            elif user not in pinned:
                facts.append(KeyPinned(subject=user, key=key))
            elif key != pinned[user]:
                facts += await self._suspended(user)
        for fact in facts:
            await self._pipeline.commit((fact,))

    async def _suspended(self, user: UserId) -> list[PersonVerified]:
        holding = await self._database.fetch(queries.verifications_of, user, self._clock())
        return [
            PersonVerified(
                step="revoked", method=each.method, level=each.level, until=each.until, why="key", subject=user
            )
            for each in holding
        ]


def master_key(answer: Mapping[str, Any], user: str) -> str:
    """Return the public half of a user's master key from an answer to /keys/query; "" if there is none."""
    everybody = answer.get("master_keys")
    own = everybody.get(user) if isinstance(everybody, dict) else None
    keys = own.get("keys") if isinstance(own, dict) else None
    if not isinstance(keys, dict) or len(keys) != 1:
        return ""
    ((name, public),) = keys.items()
    return public if isinstance(public, str) and name == f"ed25519:{public}" else ""
