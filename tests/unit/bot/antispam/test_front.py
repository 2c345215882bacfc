"""The listening process: a real one, over real sockets, with a bot at the other end that does as a test says."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from bot.antispam.front import MISSED, REST_MS
from bot.antispam.front_process import GOES_THROUGH, CallbackAnswer, FrontProcess, FrontSettings
from tests.fakes.ports import free_port
from tests.theatre.served import until

TOKEN = "t" * 40
WITHIN_MS, PATIENCE_MS = 1_000, 100_000  # the second: as long as the slowest machine may need
pytestmark = pytest.mark.asyncio(loop_scope="module")  # that of the process which most of them ask
DENIED = CallbackAnswer(403, b'{"errcode":"M_FORBIDDEN","error":"No."}')


@dataclass
class Asked:
    """A bot that is asked, and the process that asks it."""

    port: int
    reply: CallbackAnswer = GOES_THROUGH
    hangs: bool = False
    fails: bool = False
    asked: list[tuple[str, Any]] = field(default_factory=list)

    async def answer(self, callback: str, body: bytes, _by_ms: int) -> CallbackAnswer:
        self.asked.append((callback, json.loads(body)))
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise RuntimeError("a defect")
        return self.reply

    async def post(
        self, path: str = "check_event_for_spam", body: bytes = b"{}", token: str = TOKEN, method: str = "POST"
    ) -> tuple[int, str, str]:
        async with aiohttp.ClientSession() as client:
            return await self.request(client, path, body, token, method)

    async def request(
        self, client: aiohttp.ClientSession, path: str, body: bytes = b"{}", token: str = TOKEN, method: str = "POST"
    ) -> tuple[int, str, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"http://127.0.0.1:{self.port}/{path}"
        async with client.request(method, url, data=body, headers=headers) as answer:
            return answer.status, answer.content_type, await answer.text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting() -> AsyncIterator[Asked]:
    """Provide a bot and its process for all tests that only ask it something."""
    async with asked(PATIENCE_MS) as made:
        yield made


@pytest.fixture
def bot(lasting: Asked) -> Asked:
    """Provide a bot that nobody has asked yet, and that lets through what it is asked."""
    lasting.asked.clear()
    lasting.reply, lasting.fails = GOES_THROUGH, False
    return lasting


@pytest_asyncio.fixture(loop_scope="module")
async def new_bot() -> AsyncIterator[Asked]:
    """Provide a bot with a process of its own, which has told nothing yet."""
    async with asked(PATIENCE_MS) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def hurried() -> AsyncIterator[Asked]:
    """Provide a bot that has a second to answer."""
    async with asked(WITHIN_MS) as made:
        yield made


@asynccontextmanager
async def asked(within_ms: int) -> AsyncIterator[Asked]:
    made = Asked(free_port())
    process = FrontProcess(FrontSettings("127.0.0.1", made.port, TOKEN, within_ms), made.answer)
    running = asyncio.create_task(process.run())
    async with asyncio.timeout(120):
        await process.listening.wait()
    yield made
    running.cancel()
    await asyncio.wait({running})


async def test_a_question_reaches_the_bot_and_its_answer_the_module(bot: Asked) -> None:
    assert await bot.post(body=b'{"event":{}}') == (200, "application/json", "{}")
    bot.reply = DENIED
    assert await bot.post("a/path/before/user_may_invite") == (403, "application/json", DENIED.body.decode())
    assert bot.asked == [("check_event_for_spam", {"event": {}}), ("user_may_invite", {})]


@pytest.mark.parametrize("token", ["", "t" * 39, "t" * 41, "T" * 40, "é" * 40])
async def test_without_the_token_nothing_is_asked_and_nothing_refused(new_bot: Asked, token: str) -> None:
    """An error would have the module write the message into the homeserver's log."""
    new_bot.reply = DENIED
    with capture_logs() as logged:
        assert await new_bot.post(token=token) == (200, "application/json", "{}")
        await new_bot.post(token=token)
        status, kind, text = await new_bot.post("ping", token=token)
        await new_bot.post()  # what was told before has arrived
    assert (status, kind) == (401, "text/plain")
    with pytest.raises(json.JSONDecodeError):  # the module would take JSON for a refusal
        json.loads(text)
    assert [callback for callback, _ in new_bot.asked] == ["check_event_for_spam"]
    assert [entry["event"] for entry in logged] == ["antispam_wrong_token"]


async def test_a_bot_that_does_not_answer_lets_through_what_was_asked(hurried: Asked) -> None:
    hurried.reply, hurried.hangs = DENIED, True
    assert (await hurried.post())[0] == 200


async def test_a_defect_in_the_answer_lets_through_what_was_asked(bot: Asked) -> None:
    bot.fails = True
    assert (await bot.post())[0] == 200


async def test_a_bot_that_hangs_is_asked_only_now_and_then_until_it_answers(hurried: Asked) -> None:
    hurried.reply, hurried.hangs = DENIED, True
    for _ in range(MISSED):
        await hurried.post()
    before, began = len(hurried.asked), time.monotonic()
    answers = await asyncio.gather(*(hurried.post() for _ in range(20)))
    assert {status for status, _, _ in answers} == {200}
    assert len(hurried.asked) - before <= 1 + (time.monotonic() - began) * 1000 // REST_MS
    hurried.hangs = False

    async def back() -> bool:
        return (await hurried.post())[0] == DENIED.status

    await until(back, "the bot to be asked again")


async def test_five_hundred_at_once_are_all_answered(bot: Asked) -> None:
    bot.reply = DENIED
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=500)) as client:
        answers = await asyncio.gather(*(bot.request(client, "check_event_for_spam") for _ in range(500)))
    assert {status for status, _, _ in answers} == {403}
    assert len(bot.asked) == 500


@pytest.mark.parametrize(
    ("path", "body"),
    [("check_event_for_spam", b"x" * 1_100_000), ("Check-Event", b"{}"), ("", b"{}"), ("%2e%2e/..", b"{}")],
)
async def test_what_is_no_callback_or_far_too_large_goes_through_unasked(bot: Asked, path: str, body: bytes) -> None:
    bot.reply = DENIED
    assert (await bot.post(path, body))[0] == 200
    assert bot.asked == []


async def test_the_largest_event_with_all_its_letters_escaped_is_asked(bot: Asked) -> None:
    body = json.dumps({"event": "\u4e00" * 65_536}).encode()
    await bot.post(body=body)
    assert len(bot.asked) == 1


async def test_only_posts_are_questions(bot: Asked) -> None:
    assert (await bot.post(method="GET"))[0] == 405
    assert bot.asked == []


async def test_the_process_ends_with_the_bot_and_nobody_listens_then() -> None:
    made = Asked(free_port())
    process = FrontProcess(FrontSettings("127.0.0.1", made.port, TOKEN, WITHIN_MS), made.answer)
    running = asyncio.create_task(process.run())
    async with asyncio.timeout(120):
        await process.listening.wait()
    running.cancel()
    await asyncio.wait({running})
    with pytest.raises(aiohttp.ClientConnectorError):
        await made.post()
