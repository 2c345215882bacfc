"""The code of a room: its own, or one that no room has yet."""

import secrets
from pathlib import Path

import pytest

from bot.bot_rooms.create import code_of, new_code
from moderation.values.ids import RoomId, group_code
from tests.door.offline import LEVELS, MARK, offline


async def test_a_new_code_is_unused_and_a_known_room_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = RoomId("!a:example.org")
    async with offline(tmp_path) as bot:
        await bot.enter_room(room, group_code(1), "group", LEVELS, "11", (MARK,))
        seeds = iter((1, 2, 1, 1, 3))
        monkeypatch.setattr(secrets, "randbelow", lambda _most: next(seeds))
        async with bot.stores.database.read() as db:
            assert await new_code(db) == group_code(2)
            assert await code_of(db, room) == group_code(1)
            assert await code_of(db, RoomId("!b:example.org")) == group_code(3)
