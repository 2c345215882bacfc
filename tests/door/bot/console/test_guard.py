"""The requests that the console answers at all, and the headers of every answer."""

import asyncio

import pytest

from bot.console import forms
from bot.console.app import routes
from bot.console.guard import HEADERS
from tests.door.bot.console.browsing import Answered, ServedConsole
from tests.door.bot.console.route_table import example
from tests.postgres.engines import ENGINES


def must_have_the_headers(answer: Answered) -> None:
    cached = answer.headers.get("Cache-Control", "").startswith("private, max-age=")
    expected = {name: value for name, value in HEADERS.items() if not (cached and name == "Cache-Control")}
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert "Server" not in answer.headers


class TestEveryAnswer:
    @pytest.mark.parametrize("path", ["/cases", "/cases/1", "/cases/99", "/nowhere", "/favicon.ico", "/enter/x", "/"])
    async def test_has_the_headers(self, console: ServedConsole, path: str) -> None:
        async with console.operator() as browser, console.browser() as nobody:
            for who in (browser, nobody):
                must_have_the_headers(await who.get(path))
                must_have_the_headers(await who.post(path))

    async def test_that_is_a_file_has_the_headers_and_is_kept_by_the_browser(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            page = (await browser.get("/cases")).text
            style = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
            answer = await browser.get(style)
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]
        must_have_the_headers(answer)

    @pytest.mark.parametrize(
        "sent", [b"GET /\x00 HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\na b: c\r\n\r\n"]
    )
    async def test_to_what_is_no_request_has_the_headers(self, console: ServedConsole, sent: bytes) -> None:
        port = int(console.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent + b"\r\n\r\n")
        answer = (await reader.read()).decode()
        writer.close()
        assert answer.startswith(("HTTP/1.0 400 ", "HTTP/1.1 400 "))
        assert all(f"{name}: {value}" in answer for name, value in HEADERS.items())
        assert "Server:" not in answer
        assert "Python" not in answer


class TestARequest:
    async def test_for_another_host_is_misdirected(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert (await browser.get("/cases", Host="evil.example")).status == 421
            assert (await browser.get("/cases", Host="localhost")).status == 421
            assert (await browser.get("/cases", Host=f"localhost:{console.url.rpartition(':')[2]}")).status == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
        ],
    )
    async def test_that_changes_something_comes_from_our_pages(
        self, console: ServedConsole, headers: dict[str, str]
    ) -> None:
        async with console.operator() as browser:
            assert (await browser.post("/cases/1/read", {"reason": "a report"}, **headers)).status == 403
            assert "it is forbidden" not in (await browser.get("/cases/1")).text

    async def test_for_any_page_by_somebody_who_is_not_in_shows_nothing(self, console: ServedConsole) -> None:
        async with console.browser() as nobody:
            for route in routes():
                path = example(route.path)
                ask = nobody.get if route.method == "GET" else nobody.post
                answer = await ask(path)
                assert answer.status == 403, path
                assert "anna" not in answer.text

    async def test_that_is_too_long_is_refused(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert (await browser.post("/cases/1/read", {"reason": "x" * 100_000})).status == 413

    async def test_of_another_kind_is_refused(self, console: ServedConsole) -> None:
        async with console.operator() as browser:
            assert (await browser.post("/cases")).status == 405
            answer = await browser.post("/cases/1/read", None, **{"Content-Type": "text/plain"})
            assert answer.status == 415


class TestASlowRequest:
    async def test_keeps_no_page_waiting(self, console: ServedConsole, monkeypatch: pytest.MonkeyPatch) -> None:
        """A form that never comes takes nothing that others need, and is given up."""
        monkeypatch.setattr(forms, "WITHIN_S", 0.2)
        port = int(console.url.rpartition(":")[2])
        head = (
            f"POST /cases/1/read HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nreason="
        )
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in slow:
            writer.write(head.encode())
        async with console.operator() as browser:
            assert (await browser.get("/cases")).status == 200
        for reader, writer in slow:
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
            writer.close()


class TestSomebodyWhoIsNotIn:
    @pytest.mark.parametrize("bots_database", ENGINES, indirect=True)
    async def test_learns_neither_path_nor_server(self, console: ServedConsole) -> None:
        with console.bot.state.away():
            async with console.browser() as nobody:
                answer = await nobody.get("/cases")
        assert answer.status == 503
        assert str(console.bot.config.data_dir) not in answer.text
        assert "postgresql:" not in answer.text
