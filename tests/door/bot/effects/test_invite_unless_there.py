"""An invitation of somebody who may come in by another way meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from bot.matrix.errors import Forbidden
from bot.outbox.handler import ActionHandler
from moderation.values.ids import RoomId, UserId
from tests.door.offline import ANNA, BOT, ROOM, offline


class Inviter(ActionHandler):
    """A handler that only invites."""

    async def invite(self, user: UserId) -> bool:
        return await self._invite_unless_there(ROOM, user)


class Homeserver:
    """One that refuses an invitation; `then` is the membership after that."""

    user = BOT

    def __init__(self, then: str) -> None:
        self.membership, self._then = "leave", then

    async def state_event(self, _room: RoomId, _type: str, _key: str) -> dict[str, Any]:
        return {"membership": self.membership}

    async def invite(self, _room: RoomId, _user: UserId) -> None:
        self.membership = self._then
        raise Forbidden("refused", status=403, errcode="M_FORBIDDEN")


@pytest.mark.parametrize("then", ["join", "ban"])
async def test_somebody_who_comes_in_or_is_banned_while_they_are_invited_needs_no_invitation(
    tmp_path: Path, then: str
) -> None:
    async with offline(tmp_path) as bot:
        assert not await Inviter(bot.services(Homeserver(then))).invite(ANNA)


async def test_a_refusal_for_another_reason_is_raised(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        with pytest.raises(Forbidden):
            await Inviter(bot.services(Homeserver("leave"))).invite(ANNA)
