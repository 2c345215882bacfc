"""Encryption for a room: when the key changes, who gets it, and what others are told."""

from dataclasses import replace
from typing import Any

import pytest

from bot.crypto.cross_signing import PrivateKeys
from bot.crypto.outbound import Discarded, Recipients, RoomEncryption, discard_all
from bot.crypto.room_keys import Decrypted, Sealed
from tests.unit.bot.crypto.conftest import Make
from tests.unit.bot.crypto.pair import ROOM, Side

TEXT = {"msgtype": "m.text", "body": "hello"}
HOW = RoomEncryption(rotation_ms=3_600_000, rotation_messages=3)


async def session(side: Side, *members: str, how: RoomEncryption = HOW) -> str:
    event = await side.encrypt(TEXT, side.user, *members, how=how)
    return str(event["content"]["session_id"])


class TestTheKeyChanges:
    async def test_after_so_many_messages(self, ann: Side) -> None:
        used = [await session(ann) for _ in range(7)]
        assert [used.count(each) for each in dict.fromkeys(used)] == [3, 3, 1]

    async def test_after_so_long_and_when_the_clock_went_back(self, ann: Side) -> None:
        first = await session(ann)
        ann.now += HOW.rotation_ms - 1
        assert await session(ann) == first
        ann.now += 1
        second = await session(ann)
        ann.now -= 10
        assert len({first, second, await session(ann)}) == 3

    async def test_when_somebody_has_gone_even_without_a_device(self, ann: Side) -> None:
        first = await session(ann, "@ben:x", "@carl:x")
        assert await session(ann, "@ben:x", "@carl:x", "@dora:x") == first
        assert await session(ann, "@ben:x") != first

    async def test_when_a_device_that_has_it_is_gone(self, ann: Side, ben: Side) -> None:
        first = await session(ann, ben.user)
        await ann.learn(ben, gone=[ben])
        assert await session(ann, ben.user) != first

    async def test_when_history_becomes_readable_for_newcomers_or_no_more(self, ann: Side) -> None:
        first = await session(ann)
        shared = await session(ann, how=replace(HOW, shared_history=True))
        assert len({first, shared, await session(ann)}) == 3

    async def test_not_when_the_store_is_opened_again(self, ann: Side, make: Make) -> None:
        assert await session(ann) == await session(await make(ann.user, ann.device))

    async def test_in_every_room_when_another_epoch_began(self, ann: Side) -> None:
        rooms = ("!one:x", "!other:x")
        before = {(await ann.encrypt(TEXT, ann.user, room=room))["content"]["session_id"] for room in rooms}
        await ann.run(discard_all)
        after = {(await ann.encrypt(TEXT, ann.user, room=room))["content"]["session_id"] for room in rooms}
        assert len(before | after) == 4
        kept = await ann.run(lambda db: db.execute("SELECT session FROM shares").fetchall())
        assert {session for (session,) in kept} <= after

    async def test_while_it_is_shared_and_then_the_old_one_is_not_used(self, ann: Side) -> None:
        us = await ann.us()
        session = await ann.run(lambda db: ann.outbound.prepare(db, us, ROOM, [ann.user], HOW, ann.now))
        await ann.run(lambda db: ann.outbound.discard(db, ROOM))
        with pytest.raises(Discarded):
            await ann.run(lambda db: ann.outbound.share(db, us, ROOM, session, [ann.user], ()))
        with pytest.raises(Discarded):
            await ann.run(lambda db: ann.outbound.encrypt(db, us, ROOM, session, "m.room.message", TEXT))

    async def test_for_each_room_apart(self, ann: Side) -> None:
        one = await ann.encrypt(TEXT, ann.user, room="!one:x")
        other = await ann.encrypt(TEXT, ann.user, room="!other:x")
        assert one["content"]["session_id"] != other["content"]["session_id"]


class TestSettings:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ({}, (604_800_000, 100)),
            ({"rotation_period_ms": 7_200_000, "rotation_period_msgs": 5}, (7_200_000, 5)),
            ({"rotation_period_ms": 0, "rotation_period_msgs": 0}, (3_600_000, 1)),
            ({"rotation_period_ms": 2**53, "rotation_period_msgs": 2**53}, (365 * 86_400_000, 10_000)),
            ({"rotation_period_ms": "1", "rotation_period_msgs": True}, (604_800_000, 100)),
        ],
    )
    def test_are_taken_from_the_room_within_reason(self, content: dict[str, Any], expected: tuple[int, int]) -> None:
        how = RoomEncryption.of(content)
        assert (how.rotation_ms, how.rotation_messages) == expected

    @pytest.mark.parametrize("visibility", ["shared", "world_readable", "joined", "invited", ""])
    def test_history_is_shared_where_newcomers_read_it(self, visibility: str) -> None:
        assert RoomEncryption.of({}, visibility).shared_history is (visibility in ("shared", "world_readable"))


class TestWhoGetsIt:
    async def test_a_device_that_comes_later_gets_it_from_there_on(self, ann: Side, ben: Side) -> None:
        first = await ann.encrypt(TEXT, ann.user)
        second = await ann.encrypt(TEXT, ann.user, ben.user)
        await ben.take(*await ann.outgoing(ben))
        assert first["content"]["session_id"] == second["content"]["session_id"]
        assert isinstance(await ben.read({**second, "event_id": "$2"}), Decrypted)
        assert isinstance(await ben.read(first), Sealed)

    async def test_once(self, ann: Side, ben: Side) -> None:
        await session(ann, ben.user)
        assert len(await ann.outgoing(ben)) == 1
        await session(ann, ben.user)
        assert await ann.outgoing(ben) == []

    async def test_with_signed_devices_only_the_others_are_told_once_and_get_it_when_they_are_signed(
        self, make: Make
    ) -> None:
        ann, ben = await make("@ann:x", recipients=Recipients.SIGNED), await make("@ben:x")
        await ann.learn(ben)
        await ann.begin(ben)
        about = await session(ann, ben.user)
        (told,) = await ann.outgoing(ben)
        content = {name: told["content"][name] for name in ("code", "session_id", "room_id")}
        assert told["type"] == "m.room_key.withheld"
        assert content == {"code": "m.unverified", "session_id": about, "room_id": "!room:x"}
        assert await session(ann, ben.user) == about
        assert await ann.outgoing(ben) == []
        await ann.learn(ben, signing=PrivateKeys.new())
        assert await session(ann, ben.user) == about
        assert [each["type"] for each in await ann.outgoing(ben)] == ["m.room.encrypted"]

    async def test_our_own_other_device_only_if_we_signed_it(self, ann: Side, make: Make) -> None:
        mine = await make(ann.user, "MINE")
        await ann.learn(mine)
        await ann.begin(mine)
        await session(ann)
        assert [each["type"] for each in await ann.outgoing(mine)] == ["m.room_key.withheld"]
        await ann.learn(mine, signing=PrivateKeys.new())
        await session(ann)
        assert [each["type"] for each in await ann.outgoing(mine)] == ["m.room.encrypted"]

    async def test_a_device_without_keys_is_told_and_stops_nobody(self, ann: Side, ben: Side, make: Make) -> None:
        carl = await make("@carl:x")
        await ann.learn(carl)
        await session(ann, ben.user, carl.user)
        assert [each["content"]["code"] for each in await ann.outgoing(carl)] == ["m.no_olm"]
        assert [each["type"] for each in await ann.outgoing(ben)] == ["m.room.encrypted"]


class TestTheRatchet:
    async def test_never_goes_back_even_if_what_was_encrypted_was_never_sent(self, ann: Side, make: Make) -> None:
        """Using an index twice would show that two messages are the same, and the second would count as a replay."""
        await ann.encrypt(TEXT, ann.user)
        again = await make(ann.user, ann.device)
        events = [await again.encrypt(TEXT, ann.user), await ann.encrypt(TEXT, ann.user)]
        read = [await ann.read({**event, "event_id": f"${n}"}) for n, event in enumerate(events)]
        assert all(isinstance(each, Decrypted) for each in read)
        numbers = await ann.run(lambda db: db.execute("SELECT number FROM seen_indexes ORDER BY number").fetchall())
        assert numbers == [(1,), (2,)]
