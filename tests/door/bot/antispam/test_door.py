"""Joins and invitations on one's own homeserver, answered from the real tables."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.antispam.front_process import GOES_THROUGH, CallbackAnswer
from moderation.model.facts import AccountsLinked, SanctionStarted
from moderation.values.ids import UserId
from tests.door.bot.antispam.asked import antispam_of
from tests.door.offline import ANNA, BOT, DESK, MARK, OLGA, ROOM, Offline, offline
from tests.theatre.served import like

BEN, CARA = UserId("@ben:example.org"), UserId("@cara:example.org")
HOUR = 3_600_000


async def ask(bot: Offline, callback: str, **fields: Any) -> CallbackAnswer:
    return await antispam_of(bot).answer(callback, json.dumps(fields).encode(), 0)


async def join(bot: Offline, user: UserId, *, invited: bool = False) -> CallbackAnswer:
    return await ask(bot, "user_may_join_room", user=user, room=ROOM, is_invited=invited)


async def invite(bot: Offline, by: UserId, user: UserId = BEN) -> CallbackAnswer:
    return await ask(bot, "user_may_invite", inviter=by, invitee=user, room_id=ROOM)


def said(reply: CallbackAnswer, key: str) -> bool:
    answer = json.loads(reply.body)
    return reply.status == 403 and answer["errcode"] == "M_FORBIDDEN" and bool(like(key).search(answer["error"]))


async def shut(bot: Offline, **more: Any) -> None:
    facts = SanctionStarted(room=ROOM, kind="gate", basis="rule", until=bot.time.ms + HOUR, **more)
    await bot.pipeline.commit((facts,))


async def test_a_shut_room_lets_in_those_whom_people_who_run_it_invite(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        assert await join(bot, BEN) == GOES_THROUGH
        await shut(bot)
        assert said(await join(bot, BEN), "antispam.join.shut")
        assert said(await invite(bot, ANNA), "antispam.invite.shut")
        assert await invite(bot, MARK) == GOES_THROUGH
        await bot.event(ANNA, "m.room.member", {"membership": "invite"}, key=BEN)
        assert said(await join(bot, BEN, invited=True), "antispam.join.shut")
        await bot.event(MARK, "m.room.member", {"membership": "invite"}, key=BEN)
        assert await join(bot, BEN, invited=True) == GOES_THROUGH


async def test_an_invitation_that_was_used_opens_nothing_again(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.event(MARK, "m.room.member", {"membership": "invite"}, key=BEN)
        await bot.membership(BEN, "join")
        await bot.membership(BEN, "leave")
        await shut(bot)
        assert said(await join(bot, BEN), "antispam.join.shut")


async def test_an_invitation_that_the_bot_has_not_heard_of_yet_opens_the_door(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await shut(bot)
        assert await join(bot, BEN, invited=True) == GOES_THROUGH


async def test_members_can_change_their_name_while_a_room_is_shut(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await shut(bot)
        assert await join(bot, ANNA) == GOES_THROUGH


async def test_a_ban_keeps_out_every_account_of_a_person(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.pipeline.commit((AccountsLinked(method="confirmed", subject=CARA, target=BEN),))
        ban = SanctionStarted(room=None, kind="ban", basis="operator", until=bot.time.ms + HOUR, subject=BEN)
        await bot.pipeline.commit((ban,))
        for user in (BEN, CARA):
            assert said(await join(bot, user), "antispam.join.banned")
            assert said(await invite(bot, OLGA, user), "antispam.invite.person")


@pytest.mark.parametrize(
    ("callback", "fields"),
    [
        ("user_may_join_room", {"user": BEN, "room": "!elsewhere:example.org", "is_invited": False}),
        ("user_may_join_room", {"user": BEN, "room": DESK, "is_invited": False}),
        ("user_may_join_room", {"user": BOT, "room": ROOM, "is_invited": False}),
        ("user_may_join_room", {"user": 7, "room": ROOM}),
        ("user_may_join_room", {"user": BEN}),
        ("user_may_invite", {"inviter": ANNA, "invitee": BOT, "room_id": ROOM}),
        ("user_may_create_room", {"user_id": BEN}),
        ("check_username_for_spam", {"user_profile": {"user_id": BEN}, "requester_id": ANNA}),
        ("check_event_for_spam", {"event": {"room_id": ROOM}}),
        ("federated_user_may_invite", {"event": []}),
    ],
)
async def test_what_is_not_about_the_door_of_a_room_that_is_served_goes_through(
    tmp_path: Path, callback: str, fields: Mapping[str, Any]
) -> None:
    async with offline(tmp_path) as bot:
        await shut(bot)
        assert await ask(bot, callback, **fields) == GOES_THROUGH


@pytest.mark.parametrize(
    ("callback", "fields"),
    [
        ("accept_make_join", {"user": BEN, "room": ROOM}),
        ("federated_user_may_invite", {"event": {"sender": ANNA, "state_key": BEN, "room_id": ROOM}}),
    ],
)
async def test_people_of_other_servers_are_asked_about_in_other_words_and_answered_alike(
    tmp_path: Path, callback: str, fields: Mapping[str, Any]
) -> None:
    async with offline(tmp_path) as bot:
        await shut(bot)
        assert (await ask(bot, callback, **fields)).status == 403


async def test_a_ping_comes_back(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        reply = await ask(bot, "ping", id="AbCdEfGh")
        assert (reply.status, json.loads(reply.body)) == (200, {"id": "AbCdEfGh", "status": "ok"})
        assert await ask(bot, "ping", id=7) == GOES_THROUGH
