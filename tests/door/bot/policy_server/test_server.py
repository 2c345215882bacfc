"""The policy server's HTTP: who is answered, in which form, and what strangers may send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from bot.config.policy_server import HEALTH_PATH
from bot.federation.errors import TooManyAsked
from bot.federation.policy_server_seen import POLICY_WELL_KNOWN
from bot.policy_server.bot_tables import NEVER, RoomThatAsks
from bot.policy_server.pace import OriginPace
from bot.policy_server.rooms import PolicyRooms
from bot.policy_server.server import MOST_BODY, SIGN, UNSTABLE_SIGN, PolicyPages
from moderation.model.facts import PolicyServerSet, SanctionStarted
from moderation.values.ids import RoomId
from tests.door.bot.policy_server.asked import BAD, GOOD, NAME, Asked, StaysOut, asked
from tests.door.offline import ANNA, MARK, ROOM


@dataclass
class Served:
    """A policy server that listens."""

    asked: Asked
    url: str
    session: aiohttp.ClientSession

    async def sign(
        self, event: Any, path: str = SIGN, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        given = self.asked.homeservers.header(event, path) if headers is None else headers
        sent = orjson.dumps(event) if body is None else body
        async with self.session.post(self.url + path, data=sent, headers=given) as response:
            return response.status, orjson.loads(await response.read())

    async def get(self, path: str, **headers: str) -> tuple[int, str, Any]:
        async with self.session.get(self.url + path, headers=headers) as response:
            return response.status, await response.text(), response.headers


@asynccontextmanager
async def served(folder: Path, pace: OriginPace | None = None) -> AsyncIterator[Served]:
    async def nothing(_request: web.BaseRequest) -> None:
        return None

    async with asked(folder) as server:
        server.homeservers.key("example.org")
        pages = PolicyPages(
            NAME,
            server.own.public,
            server.answering,
            PolicyRooms(server.tables, server.store, StaysOut(), server.bot.time),
            server.homeservers,
            server.figures,
            nothing,
            str,
            pace,
        )
        runner = web.ServerRunner(web.Server(pages.handle))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _, port = runner.addresses[0]
        async with aiohttp.ClientSession() as session:
            yield Served(server, f"http://127.0.0.1:{port}", session)
        await runner.cleanup()


def event(server: Served, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return dict(server.asked.pdu(ANNA, content, **more).event)


async def test_both_forms_of_a_signature_and_of_a_refusal(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        good, bad = event(server, GOOD), event(server, BAD)
        signature = server.asked.pdu(ANNA, GOOD).signature(server.asked.own)
        for path in (SIGN, UNSTABLE_SIGN):
            assert await server.sign(good, path) == (200, {NAME: {"ed25519:policy_server": signature}})
        assert await server.sign(bad) == (400, {"errcode": "M_FORBIDDEN", "error": "elephants, "})
        assert await server.sign(bad, UNSTABLE_SIGN) == (200, {})


async def test_only_servers_that_prove_their_name_are_answered(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        good = event(server, GOOD)
        header = server.asked.homeservers.header
        right = header(good, SIGN)["Authorization"]
        for wrong in (
            {},
            {"Authorization": "Bearer token"},
            {"Authorization": right.replace("example.org", "elsewhere.example", 1)},
            header(good, UNSTABLE_SIGN),  # of another request
            header(event(server, BAD), SIGN),  # of another event
            header(good, SIGN, to="another.example"),
            {"Authorization": right + ",origin=elsewhere.example"},
        ):
            status, answer = await server.sign(good, headers=wrong)
            assert (status, answer["errcode"]) == (401, "M_UNAUTHORIZED"), wrong
        assert server.asked.counted() == {"unauthorized": 7}


async def test_a_server_that_is_kept_out_of_the_room_is_told_nothing_about_it(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        denied = SanctionStarted(room=ROOM, kind="server", n=1, basis="list", server="*.example")
        await server.asked.bot.pipeline.commit((PolicyServerSet(room=ROOM, step="on"), denied))
        await server.asked.tables.look()
        good, homeservers = dict(server.asked.pdu(MARK, GOOD).event), server.asked.homeservers
        homeservers.key("elsewhere.example")
        found = await server.sign(good, headers=homeservers.header(good, SIGN, by="elsewhere.example"))
        assert (found[0], found[1]["errcode"]) == (403, "M_FORBIDDEN")
        assert server.asked.counted() == {"denied": 1}
        assert (await server.sign(good))[0] == 200


async def test_a_server_that_asks_too_fast_is_told_to_wait_and_others_are_answered(tmp_path: Path) -> None:
    async with served(tmp_path, OriginPace(at_once=3, a_second=0)) as server:
        found = [await server.sign(event(server, GOOD, depth=n)) for n in range(5)]
        assert [status for status, _ in found] == [200, 200, 200, 429, 429]
        assert found[-1][1]["errcode"] == "M_LIMIT_EXCEEDED" and found[-1][1]["retry_after_ms"] > 0
        assert server.asked.counted() == {"judged": 3, "too_many": 2}
        good = dict(server.asked.pdu(MARK, GOOD).event)
        server.asked.homeservers.key("elsewhere.example")
        by_another = server.asked.homeservers.header(good, SIGN, by="elsewhere.example")
        assert (await server.sign(good, headers=by_another))[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "errcode"),
    (
        (b"", 400, "M_NOT_JSON"),
        (b"<html>", 400, "M_NOT_JSON"),
        (b"[]", 400, "M_NOT_JSON"),
        (b'{"a":1,"a":2}', 400, "M_NOT_JSON"),
        (b'{"a":1.5}', 400, "M_NOT_JSON"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 400, "M_NOT_JSON"),
        (b'"' + b"a" * MOST_BODY + b'"', 413, "M_TOO_LARGE"),
    ),
)
async def test_what_is_no_event(tmp_path: Path, body: bytes, status: int, errcode: str) -> None:
    async with served(tmp_path) as server:
        found, answer = await server.sign({}, body=body)
        assert (found, answer["errcode"]) == (status, errcode)


async def test_a_body_without_a_length_is_bounded(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MOST_BODY // 1_000 + 2):
            yield b" " * 1_000

    async with served(tmp_path) as server, server.session.post(server.url + SIGN, data=endless()) as response:
        assert response.status == 413


async def test_an_event_of_64_kib_is_judged_and_a_larger_one_is_not_signed(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        room_left = 65_536 - len(orjson.dumps(event(server, {"body": ""})))
        status, answer = await server.sign(event(server, {"body": "a" * room_left}))
        assert (status, list(answer)) == (200, [NAME])
        large = server.asked.homeservers.event(ANNA, {"body": "a" * (room_left + 1)}, at_ms=server.asked.now_ms)
        status, answer = await server.sign(large)
        assert (status, answer["errcode"]) == (400, "M_BAD_JSON")


async def test_rooms_that_do_not_ask_and_versions_nobody_knows_get_no_signature(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        others: tuple[Any, ...] = ("!elsewhere:example.org", None, 7, {})
        for room in others:
            status, answer = await server.sign(event(server, GOOD) | {"room_id": room})
            assert (status, answer["errcode"]) == (404, "M_NOT_FOUND")
        for version in ("13", "org.example.unstable", ""):
            server.asked.tables.rooms = {ROOM: RoomThatAsks(ROOM, 0, version)}
            status, answer = await server.sign(event(server, GOOD))
            assert (status, answer["errcode"]) == (404, "M_NOT_FOUND")


async def test_a_room_that_does_not_want_it_any_more_is_not_silenced(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        server.asked.tables.rooms = {ROOM: RoomThatAsks(ROOM, NEVER, "11", joined=True)}
        status, answer = await server.sign(event(server, BAD))
        assert (status, list(answer)) == (200, [NAME])
        assert server.asked.notes() == ()


async def test_an_event_that_is_not_of_the_rooms_version_is_not_signed(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        status, answer = await server.sign(event(server, GOOD) | {"event_id": "$given:example.org"})
        assert (status, answer["errcode"]) == (400, "M_BAD_JSON")


async def test_its_key_and_its_health_are_for_everybody_and_its_figures_for_this_machine(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        status, body, headers = await server.get(POLICY_WELL_KNOWN)
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert orjson.loads(body) == {"public_keys": {"ed25519": server.asked.own.public}}
        assert (await server.get(HEALTH_PATH))[:2] == (200, '{"healthy":true}')
        await server.sign(event(server, GOOD))
        status, body, _ = await server.get("/metrics")
        assert status == 200 and "answerable_policy_judged_total 1\n" in body
        assert (await server.get("/metrics", Host=NAME))[0] == 404
        assert (await server.get("/anything"))[0] == 404


async def test_if_answers_cannot_be_kept_none_is_given_and_it_says_that_it_is_unwell(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        server.asked.store._writer._connection.execute("PRAGMA query_only = ON")
        status, answer = await server.sign(event(server, GOOD))
        assert (status, answer["errcode"]) == (503, "M_UNKNOWN")
        assert (await server.get(HEALTH_PATH))[0] == 503
        server.asked.store._writer._connection.execute("PRAGMA query_only = OFF")
        assert (await server.sign(event(server, GOOD)))[0] == 200
        assert (await server.get(HEALTH_PATH))[0] == 200


async def test_a_disk_that_stays_full_silences_nobody_who_breaks_no_rule(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        kept, refused = event(server, GOOD), event(server, BAD)
        assert (await server.sign(refused))[1]["errcode"] == "M_FORBIDDEN"
        server.asked.answering._known.clear()  # as after a restart
        server.asked.store._writer._connection.execute("PRAGMA query_only = ON")
        assert (await server.sign(kept))[0] == 503
        server.asked.bot.time.ms += 89_999
        assert (await server.sign(kept))[0] == 503
        server.asked.bot.time.ms += 1
        assert [(await server.sign(each))[0] for each in (kept, kept)] == [200, 200]
        assert (await server.sign(event(server, BAD, depth=8)))[0] == 503
        assert (await server.sign(refused))[0] != 200
        assert (await server.get(HEALTH_PATH))[0] == 503
        assert len(server.asked.notes()) == 1


async def test_it_stays_unwell_until_something_can_be_written_even_if_nobody_asks(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        connection = server.asked.store._writer._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")  # as on a disk that is full
        server.asked.figures.not_kept("disk full")
        for _ in range(3):
            server.asked.bot.time.ms += 600_000
            assert (await server.get(HEALTH_PATH))[0] == 503
        connection.execute(f"PRAGMA max_page_count = {pages + 1_000}")
        server.asked.bot.time.ms += 1_000
        assert (await server.get(HEALTH_PATH))[0] == 200
        assert (await server.get(HEALTH_PATH))[0] == 200


async def test_somebody_who_hangs_up_harms_no_answer(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        bad = event(server, BAD)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.sign(bad), 0.0001)
        assert (await server.sign(bad))[1]["errcode"] == "M_FORBIDDEN"
        assert len(server.asked.notes()) == 1
        assert RoomId(bad["room_id"]) == ROOM


async def test_a_stranger_comes_again_if_too_many_wait_for_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_many(_server: str, _key_id: str) -> str:
        raise TooManyAsked("too many")

    async with served(tmp_path) as server:
        monkeypatch.setattr(server.asked.homeservers, "for_request", too_many)
        status, said = await server.sign(event(server, GOOD))
        assert (status, said["errcode"]) == (429, "M_LIMIT_EXCEEDED")
