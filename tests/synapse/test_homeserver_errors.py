"""The port's behaviour when a homeserver, or something in front of it, misbehaves."""

import asyncio
import json
import math
import socket
import time
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.matrix.client import Homeserver, Session, log_in_with_password, log_in_with_token
from bot.matrix.errors import (
    DEFAULT_RETRY_MS,
    LONGEST_RETRY_MS,
    Answered,
    Forbidden,
    HomeserverError,
    LoggedOut,
    NotFound,
    RateLimited,
    Rejected,
    TooLarge,
    Unreachable,
    error_of,
)
from bot.matrix.http import clean_url, decode, segment
from bot.matrix.synapse_admin import SynapseAdmin
from moderation.values.errors import Invalid
from moderation.values.ids import EventId, RoomId, UserId
from tests.fakes.http_stub import Answer, HttpStub

TOKEN = "syt_Ym90_secret"
ROOM = RoomId("!room:example.org")
HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n</html>"

HEADERS = ["Retry-After", "Location"]
FIELDS = ["errcode", "error", "retry_after_ms", "flows"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)

# How a server may repeat what it should not.
ECHOES: list[Callable[[str], Answer]] = [
    lambda secret: refusal(400, "M_UNKNOWN", f"what is {secret}?"),
    lambda secret: Answer(500, f"Authorization: Bearer {secret}".encode()),
    lambda secret: Answer(500, b"x" * 190 + secret.encode()),  # would be cut in its middle
    lambda secret: Answer(302, headers={"Location": f"https://elsewhere/?t={secret}"}),
    lambda secret: Answer(200, f"oops {secret}".encode()),
    lambda secret: Answer(429, secret.encode()),
]


def session(url: str) -> Session:
    return Session(url, UserId("@bot:example.org"), "DEVICE", TOKEN)


def refusal(status: int, errcode: str, error: str = "no", **more: Any) -> Answer:
    return Answer(status, json={"errcode": errcode, "error": error, **more})


@pytest.fixture
async def stub() -> AsyncIterator[HttpStub]:
    async with HttpStub() as stub:
        yield stub


@pytest.fixture
async def bot(stub: HttpStub) -> AsyncIterator[Homeserver]:
    homeserver = Homeserver(session(stub.url), request_timeout_s=120)
    yield homeserver
    await homeserver.close()


@pytest.fixture
async def hasty(stub: HttpStub) -> AsyncIterator[Homeserver]:
    """Provide a port for servers that never answer: with others the test would depend on the speed of the machine."""
    homeserver = Homeserver(session(stub.url), request_timeout_s=0.2)
    yield homeserver
    await homeserver.close()


class TestNobodyAnswered:
    """`Unreachable`: the caller tries the same again."""

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (Answer(502, HTML), "502 with an answer that is not a Matrix error: <html> <head>"),
            (Answer(503), "503 with an answer that is not a Matrix error: (nothing)"),
            (refusal(500, "M_UNKNOWN", "Internal server error"), "500 M_UNKNOWN Internal server error"),
            (Answer(404, HTML), "404 with an answer that is not a Matrix error"),
            (Answer(403, b'{"message": "blocked by the firewall"}'), "403 with an answer that is not a Matrix"),
            (Answer(200, b'{"user_id": "@bot:exam'), "an answer that is not JSON"),
            (Answer(200, HTML), "an answer that is not JSON"),
            (Answer(200, b""), "an answer that is not JSON"),
            (Answer(200, b'{"a":' + b"[" * 5_000), "an answer that is not JSON"),
            (Answer(200, b"[1, 2]"), "an answer that is no JSON object"),
            (Answer(200, b'{"user_id":', cut=True), ""),
        ],
        ids=lambda value: "" if isinstance(value, str) else f"{value.status} {value.payload()[:12]!r}",
    )
    async def test_it_says_what_came_instead(self, stub: HttpStub, bot: Homeserver, answer: Answer, said: str) -> None:
        stub.will(answer)
        with pytest.raises(Unreachable) as caught:
            await bot.whoami()
        assert str(caught.value).startswith("GET /_matrix/client/v3/account/whoami: " + said)

    async def test_it_says_how_long_it_has_waited(self, stub: HttpStub, hasty: Homeserver) -> None:
        stub.will(Answer(hang=True))
        with pytest.raises(Unreachable, match=r"GET /_matrix/client/v3/account/whoami: no answer within 0\.2 s"):
            await hasty.whoami()

    async def test_an_answer_that_lacks_what_was_asked_for(self, stub: HttpStub, bot: Homeserver) -> None:
        stub.will(*[Answer(json={})] * 5, Answer(json={"chunk": {}}))
        for attempt in (
            bot.send(ROOM, "m.room.message", {}, "t"),
            bot.create_room({}),
            bot.sync(None, timeout_ms=0),
            bot.state(ROOM),
            bot.upload(b"", "text/plain", "a"),
            bot.members(ROOM),
        ):
            with pytest.raises(Unreachable, match="an answer"):
                await attempt

    async def test_nobody_listens(self) -> None:
        with socket.socket() as taken:  # bound, not listening: nobody else can take the port
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(Unreachable, match=r"(?i)connect"):
                await log_in_with_token(f"http://127.0.0.1:{taken.getsockname()[1]}", TOKEN)

    async def test_no_tls_on_the_other_side(self, stub: HttpStub) -> None:
        with pytest.raises(Unreachable):
            await log_in_with_token(stub.url.replace("http://", "https://"), TOKEN)

    async def test_a_page_of_a_proxy_is_not_read_as_absent(self, stub: HttpStub, bot: Homeserver) -> None:
        stub.will(Answer(404, HTML))
        with pytest.raises(Unreachable):
            await bot.state_event(ROOM, "m.room.topic")

    async def test_sync_is_given_the_time_it_asked_for_and_a_margin(self, stub: HttpStub, hasty: Homeserver) -> None:
        stub.will(Answer(hang=True))
        begun = time.monotonic()
        with pytest.raises(Unreachable, match=r"no answer within 0\.5 s"):
            await hasty.sync("s1", timeout_ms=300)
        assert time.monotonic() - begun >= 0.5

    async def test_a_cancelled_request_stays_cancelled(self, stub: HttpStub, bot: Homeserver) -> None:
        stub.will(Answer(hang=True))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):  # cancels the block
                await bot.sync("s1", timeout_ms=10_000)


class TestRateLimits:
    @pytest.mark.parametrize(
        ("answer", "wait_ms"),
        [
            (refusal(429, "M_LIMIT_EXCEEDED", retry_after_ms=2345), 2345),
            (Answer(429, b'{"errcode": "M_X", "retry_after_ms": 2345}', headers={"Retry-After": "3"}), 2345),
            (Answer(429, HTML, headers={"Retry-After": "7"}), 7_000),
            (refusal(429, "M_LIMIT_EXCEEDED"), DEFAULT_RETRY_MS),
            (Answer(429, HTML), DEFAULT_RETRY_MS),
            (Answer(429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), DEFAULT_RETRY_MS),
            (refusal(429, "M_LIMIT_EXCEEDED", retry_after_ms="soon"), DEFAULT_RETRY_MS),
            (refusal(429, "M_LIMIT_EXCEEDED", retry_after_ms=True), DEFAULT_RETRY_MS),
            (refusal(429, "M_LIMIT_EXCEEDED", retry_after_ms=1234.5), 1234),
            (refusal(429, "M_LIMIT_EXCEEDED", retry_after_ms=-5), 100),
            (refusal(429, "M_LIMIT_EXCEEDED", retry_after_ms=1e300), LONGEST_RETRY_MS),
            (Answer(429, headers={"Retry-After": "9" * 5_000}), LONGEST_RETRY_MS),
            (refusal(400, "M_LIMIT_EXCEEDED", retry_after_ms=50_000), 50_000),
        ],
    )  # fmt: skip
    async def test_how_long_to_wait(self, stub: HttpStub, bot: Homeserver, answer: Answer, wait_ms: int) -> None:
        stub.will(answer)
        with pytest.raises(RateLimited) as caught:
            await bot.send(ROOM, "m.room.message", {}, "t")
        assert caught.value.retry_after_ms == wait_ms

    async def test_nothing_is_tried_twice(self, stub: HttpStub, bot: Homeserver) -> None:
        stub.will(refusal(429, "M_LIMIT_EXCEEDED", retry_after_ms=1))
        with pytest.raises(RateLimited):
            await bot.whoami()
        assert len(stub.requests) == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (refusal(403, "M_FORBIDDEN"), Forbidden),
            (refusal(403, "M_INVITE_BLOCKED"), Forbidden),
            (refusal(401, "M_USER_LOCKED", soft_logout=True), Forbidden),
            (refusal(404, "M_NOT_FOUND"), NotFound),
            (refusal(404, "M_UNRECOGNIZED"), Rejected),
            (refusal(401, "M_UNKNOWN_TOKEN"), LoggedOut),
            (refusal(401, "M_MISSING_TOKEN"), LoggedOut),
            (refusal(413, "M_TOO_LARGE"), TooLarge),
            (refusal(400, "M_TOO_LARGE"), TooLarge),
            (Answer(413, HTML), TooLarge),
            (refusal(400, "M_BAD_JSON"), Rejected),
            (refusal(405, "M_UNRECOGNIZED"), Rejected),
            (refusal(400, "M_UNSUPPORTED_ROOM_VERSION"), Rejected),
        ],
        ids=lambda value: value.__name__ if isinstance(value, type) else f"{value.status} {value.payload()[:30]!r}",
    )  # fmt: skip
    async def test_each_has_its_error(
        self, stub: HttpStub, bot: Homeserver, answer: Answer, kind: type[Answered]
    ) -> None:
        stub.will(answer)
        with pytest.raises(Answered) as caught:
            await bot.send(ROOM, "m.room.message", {}, "t")
        assert type(caught.value) is kind
        assert caught.value.status == answer.status
        assert caught.value.errcode == (answer.json or {}).get("errcode", "")

    async def test_it_names_the_request_and_what_the_server_said_on_one_line(
        self, stub: HttpStub, bot: Homeserver
    ) -> None:
        stub.will(refusal(403, "M_FORBIDDEN", "You are\nnot\x1b[31m allowed" + "!" * 500))
        with pytest.raises(Forbidden) as caught:
            await bot.redact(ROOM, EventId("$event"), "t")
        words = str(caught.value)
        assert words.startswith(
            "PUT /_matrix/client/v3/rooms/%21room%3Aexample.org/redact/%24event/t: "
            "403 M_FORBIDDEN You are not [31m allowed!!!"
        )
        assert len(words) < 300
        assert words.isprintable()

    async def test_a_demand_for_more_authentication_carries_its_flows(self, stub: HttpStub, bot: Homeserver) -> None:
        demand = {"flows": [{"stages": ["m.login.password"]}], "params": {}, "session": "xyz"}
        stub.will(Answer(401, json=demand))
        with pytest.raises(Rejected) as caught:
            await bot.whoami()
        assert caught.value.answer == demand

    async def test_a_redirect_is_named_and_not_followed(self, stub: HttpStub, bot: Homeserver) -> None:
        stub.will(Answer(301, headers={"Location": stub.url + "/elsewhere"}))
        with pytest.raises(Rejected, match=r"redirects to http.*/elsewhere"):
            await bot.whoami()
        assert [request.path for request in stub.requests] == ["/_matrix/client/v3/account/whoami"]


class TestSecrets:
    @pytest.mark.parametrize("echo", ECHOES)
    async def test_the_token_is_in_no_error(
        self, stub: HttpStub, bot: Homeserver, echo: Callable[[str], Answer]
    ) -> None:
        stub.will(echo(TOKEN))
        with pytest.raises(HomeserverError) as caught:
            await bot.whoami()
        assert "syt_" not in str(caught.value) + repr(caught.value)
        assert "syt_" not in "".join(traceback.format_exception(caught.value))
        assert stub.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"
        assert TOKEN not in stub.requests[0].path

    @pytest.mark.parametrize("echo", ECHOES)
    async def test_nor_is_the_password(self, stub: HttpStub, echo: Callable[[str], Answer]) -> None:
        stub.will(echo("correct horse"))
        with pytest.raises(HomeserverError) as caught:
            await log_in_with_password(stub.url, "bot", "correct horse", "Answerable")
        assert "corr" not in str(caught.value)
        assert "Authorization" not in stub.requests[0].headers

    async def test_nor_is_an_admins_token(self, stub: HttpStub, bot: Homeserver) -> None:
        stub.will(refusal(403, "M_FORBIDDEN", "syt_admin is no admin's"))
        with pytest.raises(Forbidden) as caught:
            await SynapseAdmin(bot.wire, "syt_admin").lift_limit(bot.user)
        assert "syt_" not in str(caught.value)


class TestWhatIsSent:
    async def test_an_id_cannot_reach_into_the_next_segment(self, stub: HttpStub, bot: Homeserver) -> None:
        stub.will(Answer(json={"event_id": "$e"}))
        await bot.set_state(RoomId("!a/../b?c#d%2F"), "m.type", {}, "k/e y")
        assert stub.requests[0].path == ("/_matrix/client/v3/rooms/%21a%2F..%2Fb%3Fc%23d%252F/state/m.type/k%2Fe%20y")

    async def test_every_server_of_via_is_named(self, stub: HttpStub, bot: Homeserver) -> None:
        stub.will(Answer(json={"room_id": "!a"}))
        await bot.join("!a", via=["one.example", "two.example:8448"])
        assert stub.requests[0].path == "/_matrix/client/v3/join/%21a?via=one.example&via=two.example%3A8448"

    @pytest.mark.parametrize("dots", [".", ".."])
    async def test_dots_that_would_climb_are_refused_before_anything_is_sent(
        self, stub: HttpStub, bot: Homeserver, dots: str
    ) -> None:
        with pytest.raises(Invalid):
            await bot.state_event(ROOM, "m.type", dots)
        assert stub.requests == []

    @given(st.text(min_size=1).filter(lambda text: text not in (".", "..")))
    def test_any_text_is_one_segment_and_comes_back(self, text: str) -> None:
        assert set("/?#") & set(segment(text)) == set()
        assert unquote(segment(text)) == text

    @pytest.mark.parametrize(
        ("typed", "used"),
        [
            ("https://matrix.example.org/", "https://matrix.example.org"),
            (" http://127.0.0.1:8008 ", "http://127.0.0.1:8008"),
            ("https://example.org/behind/a/path/", "https://example.org/behind/a/path"),
        ],
    )
    def test_the_address_of_the_homeserver(self, typed: str, used: str) -> None:
        assert clean_url(typed) == used

    @pytest.mark.parametrize(
        "typed",
        [
            "",
            "example.org",
            "ftp://example.org",
            "https://",
            "https://a?b",
            "https://a#b",
            "https://[",
            "https://a:99999",
            "https://a b",
        ],
    )
    def test_an_invalid_address_is_refused(self, typed: str) -> None:
        with pytest.raises(Invalid):
            clean_url(typed)

    def test_a_password_in_the_address_is_refused_and_not_shown(self) -> None:
        with pytest.raises(Invalid) as caught:
            clean_url("https://bot:hunter2@example.org")
        assert "hunter2" not in str(caught.value)


class TestWhatIsRead:
    def test_a_number_without_end_or_brackets_without_end_do_not_either(self) -> None:
        """Rooms older than version 6 hold numbers of any size, which anybody may send."""
        assert decode(b'{"next_batch": "s", "n": 1' + b"0" * 400 + b"}") == {"next_batch": "s", "n": math.inf}
        deep = b'{"next_batch": "s", "deep": ' + b'["]",{"a":' * 3000 + b"1" + b"}]" * 3000 + b', "after": [1]}'
        read = decode(deep)
        assert (read["next_batch"], read["after"], read["deep"][1]["a"][0]) == ("s", [1], "]")
        for broken in (b"[" * 5000, b'"' + b'\\"' * 50_000, b"<html>" + b"[" * 5000):
            with pytest.raises(ValueError):
                decode(broken)

    def test_half_a_character_does_not_make_the_whole_answer_unreadable(self) -> None:
        assert decode(b'{"body": "\\ud800 \\u8336", "n": 9007199254740993}') == {
            "body": "? 茶",
            "n": 9007199254740993,
        }

    @given(st.integers(100, 999), st.dictionaries(st.sampled_from(HEADERS), st.text()), st.binary())
    def test_any_answer_at_all_has_an_error(self, status: int, headers: dict[str, str], body: bytes) -> None:
        assert str(error_of("GET /x", status, headers, body, str)).isprintable()

    @given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.sampled_from([400, 401, 403, 404, 413, 429, 500]))
    def test_so_has_any_json(self, value: Any, status: int) -> None:
        body = json.dumps(value).encode()
        assert str(error_of("GET /x", status, {}, body, str)).isprintable()
