"""Verification by roster: a person with a one-time code from the operator is the person that the roster names.

Rules kept here:
- Wrong, used and expired codes are refused in the same words, since the person may be guessing.
- The account that used a code gets the same result again, so that nothing is lost in a crash and nothing is gained by
  repeating it.
Left to others: the roster (`storage/identity/roster.py`), how often one may try (`limits.py`).
"""

import asyncio
from collections.abc import Mapping

from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.levels import REACHES
from storage.identity.roster import METHOD, Roster, is_code

from .method import DialogueStep, MethodName, ProvedIdentity


class RosterMethod:
    """The method `roster`."""

    name: MethodName = "roster"
    level = int(REACHES["roster"])

    def __init__(self, roster: Roster, lasts_ms: int) -> None:
        self._roster = roster
        self._lasts_ms = lasts_ms

    async def begin(self, user: UserId, words: str, now_ms: int) -> DialogueStep:
        """Look up whose code it is."""
        if not is_code(words):
            raise Refused("error.verify.roster-form")
        used = await asyncio.to_thread(self._roster.use, words, user, now_ms)
        if used is None or (used.listed.expires and used.listed.expires <= now_ms):
            raise Refused("error.verify.roster-code")
        listed = used.listed
        claims = {"identifier": listed.identifier, "name": listed.name, "email": listed.email}
        until = min(used.at + self._lasts_ms, listed.expires or used.at + self._lasts_ms)
        kept = {name: value for name, value in claims.items() if value}
        return DialogueStep(proof=ProvedIdentity("", listed.identifier, kept, until, listed.level))

    async def answer(self, user: UserId, words: str, state: Mapping[str, str | int], now_ms: int) -> DialogueStep:  # noqa: ARG002
        """End the dialogue, as this method asks nothing."""
        return DialogueStep()

    async def poll(self, user: UserId, state: Mapping[str, str | int], now_ms: int) -> DialogueStep:  # noqa: ARG002
        """End the dialogue, as there is nothing to wait for."""
        return DialogueStep()


__all__ = ["METHOD", "RosterMethod"]
