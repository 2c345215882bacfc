"""Keeps each community on one shard, because decisions of one shard do not reach rooms of another.

Rules kept here:
- The first shard with a room of a community has the whole community until it has left its last room of it.
- An invitation into a room of another shard is declined, and the inviter is told which account to invite.
- A community can still come to span two shards if the settings or a space's list change. Then the owners of the rooms
  in the shard that came later are told once, and so are the operators. Nothing else changes.

Left to others: which community a room has (`moderation/model/reach.py`).
"""

import asyncio
from collections.abc import Sequence

import structlog

from bot.config.shards import ShardSettings, shard_of_room
from bot.pipeline.pipeline import Pipeline
from moderation.model.actions.telling import TellAbove
from moderation.model.reach import community_of
from moderation.policy import Policy
from moderation.values.ids import RoomId
from moderation.values.notices import Who, line
from storage import queries
from storage.database.database import Database
from storage.queries.shards import communities_here, spaces_listing

from .port import Exchange, ExchangeDown

log = structlog.get_logger()

_LOOK_EVERY_S = 60.0


class Communities:
    """Claims the communities of this shard, and knows those of the others."""

    def __init__(
        self,
        exchange: Exchange,
        pipeline: Pipeline,
        database: Database,
        policy: Policy,
        shard: str,
        shards: Sequence[ShardSettings],
    ) -> None:
        self._exchange = exchange
        self._pipeline = pipeline
        self._database = database
        self._policy = policy
        self._shard = shard
        self._shards = shards
        self._accounts = {each.name: each.account for each in shards}
        self._told: set[str] = set()

    async def run(self) -> None:
        """Keep the claims of this shard up to date until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> None:
        """Claim the communities with rooms here, and tell of those that another shard has."""
        async with self._database.read() as db:
            named = {each.name for each in self._policy.communities.named}
            here = {each: rooms for each, rooms in (await communities_here(db)).items() if each in named}
        try:
            taken = await self._exchange.claim(self._shard, sorted(here))
        except ExchangeDown as error:
            log.warning("exchange_down", why=str(error))
            return
        for community in sorted(taken.keys() - self._told):
            await self._tell(here[community], taken[community])
        self._told = set(taken)

    async def _tell(self, rooms: Sequence[RoomId], owner: str) -> None:
        words = (line("shards.community", account=Who(self._accounts.get(owner, owner))),)
        await self._pipeline.commit(actions=[TellAbove(room=room, lines=words, owners=True) for room in rooms])

    async def elsewhere(self, room: RoomId) -> str | None:
        """Return the account of the shard to which a room belongs; None if it belongs to this one."""
        by_room = shard_of_room(self._shards, room)
        if by_room is not None:
            return self._accounts[by_room] if by_room != self._shard else None
        own = next(each for each in self._shards if each.name == self._shard)
        others = [each.account for each in self._shards if not each.rooms]
        if own.rooms and others:
            return others[0]
        async with self._database.read() as db:
            known = (await queries.codes_of(db, [room])).get(room)
            spaces = await spaces_listing(db, room)
        community = community_of(self._policy.communities, room, *([known] if known else []), spaces=spaces)
        try:
            owner = (await self._exchange.claims()).get(community)
        except ExchangeDown as error:
            log.warning("exchange_down", why=str(error))
            return None  # if it is taken, its owner is told as soon as that is known
        return self._accounts.get(owner) if owner is not None and owner != self._shard else None
