"""Our account on a real Synapse: logging in, its limits, and the connections that the port keeps."""

import asyncio
import gc
import itertools
import time
import warnings
from collections.abc import Awaitable

import pytest

from bot.matrix.client import Homeserver, Session, log_in_with_password, log_in_with_token
from bot.matrix.errors import Forbidden, LoggedOut, RateLimited
from bot.matrix.synapse_admin import SynapseAdmin
from moderation.values.errors import Invalid
from moderation.values.ids import RoomId, UserId
from tests.theatre.stage import PASSWORD, Stage, own_room, text


class TestLoggingIn:
    async def test_a_password_gives_a_session_that_can_be_stored_and_taken_up_again(self, stage: Stage) -> None:
        user = (await stage.bot()).user

        made = await log_in_with_password(stage.server.url + "/", user, PASSWORD, "Answerable")
        stored = Session(made.url, made.user, made.device, made.token)

        assert (made.url, made.user) == (stage.server.url, user)
        assert await stage.port(stored).whoami() == {"user_id": user, "device_id": made.device, "is_guest": False}

    async def test_a_localpart_will_do(self, stage: Stage) -> None:
        user = (await stage.bot()).user
        made = await log_in_with_password(stage.server.url, user[1:].partition(":")[0], PASSWORD, "Answerable")
        assert made.user == user

    async def test_logging_in_again_can_keep_the_device(self, stage: Stage) -> None:
        user = (await stage.bot()).user
        first = await log_in_with_password(stage.server.url, user, PASSWORD, "Answerable")
        second = await log_in_with_password(stage.server.url, user, PASSWORD, "Answerable", first.device)

        assert second.device == first.device
        assert second.token != first.token
        assert (await stage.port(second).whoami())["device_id"] == first.device

    async def test_a_wrong_password_is_forbidden_and_not_repeated(self, stage: Stage) -> None:
        user = (await stage.bot()).user
        with pytest.raises(Forbidden) as caught:
            await log_in_with_password(stage.server.url, user, "correct horse", "Answerable")
        assert caught.value.errcode == "M_FORBIDDEN"
        assert "correct horse" not in str(caught.value)

    async def test_a_token_gives_the_session_it_belongs_to(self, stage: Stage) -> None:
        session = (await stage.bot()).session
        assert await log_in_with_token(session.url, session.token) == session

    async def test_a_token_that_is_not_valid_is_logged_out(self, stage: Stage) -> None:
        with pytest.raises(LoggedOut):
            await log_in_with_token(stage.server.url, "syt_made_up")

    async def test_a_token_without_a_device_is_refused_with_what_to_do(self, stage: Stage) -> None:
        admin, user = await stage.person("admin", admin=True), (await stage.bot()).user
        answer = await admin.request("POST", "users", user, "login", json={}, base="/_synapse/admin/v1")
        with pytest.raises(Invalid, match="log in with the password"):
            await log_in_with_token(stage.server.url, answer["access_token"])

    def test_the_token_is_in_no_repr(self) -> None:
        session = Session("http://localhost", UserId("@bot:localhost"), "D", "syt_secret")
        assert "syt_secret" not in repr(session) + repr(Homeserver(session)) + repr(Homeserver(session).wire)


class TestTheServer:
    async def test_it_says_what_it_can_do(self, stage: Stage) -> None:
        bot = await stage.bot()
        assert "v1.11" in (await bot.versions())["versions"]


class TestLimits:
    async def send_until_limited(self, bot: Homeserver, room: RoomId, name: str) -> tuple[RateLimited, float]:
        """Return the refusal, and until when at least all is refused: Synapse counts the time from the question."""
        for number in range(30):
            asked_at = time.monotonic()
            try:
                await bot.send(room, "m.room.message", text(str(number)), f"{name}{number}")
            except RateLimited as limited:
                return limited, asked_at + limited.retry_after_ms / 1000
        raise AssertionError("30 events in a row and no limit")

    async def is_limited(self, request: Awaitable[object]) -> bool:
        try:
            await request
        except RateLimited:
            return True
        return False

    async def test_a_429_says_how_long_to_wait_and_redactions_draw_on_the_same_budget(
        self, stage_limited: Stage
    ) -> None:
        bot = await stage_limited.bot()
        room = await own_room(bot)
        event = await bot.send(room, "m.room.message", text("first"), "first")

        for turn in itertools.count():
            limited, until = await self.send_until_limited(bot, room, f"t{turn}-")
            assert 0 < limited.retry_after_ms <= 5_000
            is_limited = await self.is_limited(bot.redact(room, event, f"r{turn}"))
            if time.monotonic() < until:  # else the limit may have let it through
                break

        assert is_limited

    async def test_an_admin_can_free_an_account_and_it_acts_at_once(self, stage_limited: Stage) -> None:
        bot, admin = await stage_limited.bot(), await stage_limited.person("admin", admin=True)
        room = await own_room(bot)
        await self.send_until_limited(bot, room, "before")
        admins = SynapseAdmin(bot.wire, admin.token)
        before = await admins.is_unlimited(bot.user)

        await admins.lift_limit(bot.user)

        assert (before, await admins.is_unlimited(bot.user)) == (False, True)
        for number in range(30):
            await bot.send(room, "m.room.message", text(str(number)), f"after{number}")

    async def test_nobody_else_can(self, stage_limited: Stage) -> None:
        bot = await stage_limited.bot()
        with pytest.raises(Forbidden):
            await SynapseAdmin(bot.wire, bot.session.token).lift_limit(bot.user)


class TestConnections:
    async def test_closing_releases_them_all(self, stage: Stage) -> None:
        bot = await stage.bot()
        gc.collect()  # what others left is not of these connections
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            homeserver = Homeserver(bot.session)
            await asyncio.gather(*(homeserver.whoami() for _ in range(5)))
            await homeserver.close()
            await homeserver.close()
            del homeserver
            gc.collect()
        assert [str(warning.message) for warning in caught] == []

    async def test_a_port_is_made_before_there_is_a_loop_and_used_in_one(self, stage: Stage) -> None:
        session = (await stage.bot()).session

        def make_and_use() -> str:
            homeserver = Homeserver(session)

            async def use() -> str:
                user = (await homeserver.whoami())["user_id"]
                await homeserver.close()
                return str(user)

            return asyncio.run(use())

        assert await asyncio.to_thread(make_and_use) == session.user
