"""The base of the operations that an operator of the configuration orders.

Rule kept here: the person who acts is an operator of the configuration.
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.duty.responsibility import is_operator
from moderation.model.context import RoomView
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage import queries


class ByOperator:
    """Operations with what they need, and with the checks that they share."""

    def __init__(self, pipeline: Pipeline, policy: Policy, clock: Clock) -> None:
        self._pipeline = pipeline
        self._policy = policy
        self._clock = clock

    def _operator(self, asked: object) -> UserId:
        user = UserId(str(asked))
        if not is_operator(user, self._policy):
            raise Refused("cli.operator.unknown", given=user)
        return user

    async def _group(self, db: AsyncConnection, code: str) -> RoomView:
        """Return a group that is served. Raises `Refused`."""
        room = await queries.room_by_code(db, code, self._pipeline.settings.bot)
        if room is None or room.purpose != "group" or not room.active:
            raise Refused("cli.rooms.not_served", code=code)
        return room
