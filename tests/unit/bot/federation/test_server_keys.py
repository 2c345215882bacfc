"""The keys of other servers: only their own word counts, as long as it says, and they are asked seldom."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from bot.crypto.signing import SigningKey
from bot.federation import server_keys
from bot.federation.errors import MalformedPdu, ServerUnreachable, TooManyAsked
from bot.federation.pdu import Pdu, hashed_and_signed
from bot.federation.room_versions import room_version
from bot.federation.server_keys import KnownKeys, ServerKey, ServerKeys, keys_in
from tests.unit.bot.federation.events import KEY, event

SERVER, ID, OTHER_ID = "domain", "ed25519:1", "ed25519:2"
DAY, HOUR, MINUTE = 24 * 3_600_000, 3_600_000, 60_000
NOW = 1_800_000_000_000
OTHER = SigningKey.new()


def answer(*signers: tuple[str, SigningKey], **changed: Any) -> bytes:
    """Return what a server publishes: keys that have signed it; by default our one key, valid for a day."""
    keys = signers or ((ID, KEY),)
    said: dict[str, Any] = {
        "server_name": SERVER,
        "valid_until_ts": NOW + DAY,
        "verify_keys": {key_id: {"key": key.public} for key_id, key in keys},
        "old_verify_keys": {},
        **changed,
    }
    for key_id, key in keys:
        said = key.signed(said, SERVER, key_id.removeprefix("ed25519:"))
    return json.dumps(said).encode()


class Servers:
    """Other servers, which answer as the test says; and the time."""

    def __init__(self) -> None:
        self.says: bytes | Exception = answer()
        self.asked: list[str] = []
        self.now = NOW
        self.open = asyncio.Event()
        self.open.set()
        self.silent: set[str] = set()  # servers that answer only once `open` is set
        self.many = 192  # strangers are asked at most so many at a time
        self.all_asked = asyncio.Event()

    async def fetch(self, server: str) -> bytes:
        self.asked.append(server)
        if len(self.asked) == self.many:
            self.all_asked.set()
        if server in self.silent or not self.silent:
            await self.open.wait()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def keys(self, store: server_keys.KeyStore | None = None) -> ServerKeys:
        return ServerKeys(self.fetch, clock=lambda: self.now, store=store)


@pytest.fixture
def servers() -> Servers:
    return Servers()


async def test_a_key_is_fetched_once_and_holds_as_long_as_its_server_says(servers: Servers) -> None:
    keys = servers.keys()
    assert [await keys.for_request(SERVER, ID) for _ in range(3)] == [KEY.public] * 3
    servers.now += DAY - HOUR - 1
    assert await keys.for_request(SERVER, ID) == KEY.public
    assert servers.asked == [SERVER]
    servers.now += HOUR + 2
    servers.says = answer((ID, OTHER), valid_until_ts=servers.now + DAY)
    assert await keys.for_request(SERVER, ID) == OTHER.public
    assert servers.asked == [SERVER] * 2


async def test_no_key_holds_longer_than_seven_days(servers: Servers) -> None:
    servers.says = answer(valid_until_ts=NOW + 400 * DAY)
    keys = servers.keys()
    assert await keys.for_request(SERVER, ID) == KEY.public
    servers.now += 7 * DAY + 1
    servers.says = answer((OTHER_ID, OTHER), valid_until_ts=servers.now + DAY)
    assert await keys.for_request(SERVER, ID) is None
    assert len(servers.asked) == 2


async def test_an_expired_key_counts_a_while_longer_only_if_its_server_cannot_be_asked(servers: Servers) -> None:
    keys = servers.keys()
    assert await keys.for_request(SERVER, ID) == KEY.public
    servers.now += 3 * DAY
    servers.says = ServerUnreachable("down")
    assert await keys.for_request(SERVER, ID) == KEY.public
    servers.now += 2 * DAY
    assert await keys.for_request(SERVER, ID) is None


async def test_a_key_that_its_server_says_has_expired_gets_no_grace(servers: Servers) -> None:
    keys = servers.keys()
    assert await keys.for_request(SERVER, ID) == KEY.public
    servers.now += DAY + 1
    assert await keys.for_request(SERVER, ID) is None


async def test_an_unknown_key_is_asked_for_at_most_once_a_minute(servers: Servers) -> None:
    keys = servers.keys()
    for _ in range(5):
        assert await keys.for_request(SERVER, OTHER_ID) is None
    assert len(servers.asked) == 1
    servers.says = answer((OTHER_ID, OTHER))
    servers.now += MINUTE - 1
    assert await keys.for_request(SERVER, OTHER_ID) is None
    servers.now += 1
    assert await keys.for_request(SERVER, OTHER_ID) == OTHER.public
    assert len(servers.asked) == 2


async def test_a_server_that_fails_is_asked_less_and_less_often(servers: Servers) -> None:
    keys = servers.keys()
    servers.says = ServerUnreachable("down")
    for _ in range(60 * 12):
        assert await keys.for_request(SERVER, ID) is None
        servers.now += 5_000
    assert len(servers.asked) == 9  # after 0, 1, 3, 7, 15, 25, 35, 45, 55 minutes


async def test_many_who_wait_for_the_same_server_ask_it_once(servers: Servers) -> None:
    keys = servers.keys()
    servers.open.clear()
    waiting = [asyncio.ensure_future(keys.for_request(SERVER, ID)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    servers.open.set()
    assert await asyncio.gather(*waiting[1:]) == [KEY.public] * 19
    assert servers.asked == [SERVER]


async def filled(servers: Servers, keys: ServerKeys, many: int = 192) -> list[asyncio.Task[str | None]]:
    """Let strangers who never answer take each place that they can have."""
    servers.open.clear()
    names = [f"s{number}.example" for number in range(many)]
    servers.silent = set(names)
    servers.many = len(servers.asked) + many
    waiting = [asyncio.ensure_future(keys.for_request(name, ID)) for name in names]
    await servers.all_asked.wait()
    return waiting


async def test_strangers_cannot_make_us_ask_any_number_of_servers_at_a_time(servers: Servers) -> None:
    keys = servers.keys()
    waiting = await filled(servers, keys)
    with pytest.raises(TooManyAsked):
        await keys.for_request("one-more.example", ID)
    assert not await keys.event_is_signed(signed_at(NOW, ID, KEY), SERVER)
    assert len(servers.asked) == 192
    await keys.close()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_only_so_many_requests_wait_for_the_keys_of_strangers(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_keys, "_MOST_WAITING", 5)
    monkeypatch.setattr(server_keys, "_MOST_WAITING_FOR_ONE", 3)
    keys = servers.keys()
    waiting = await filled(servers, keys, 1)
    waiting += [asyncio.ensure_future(keys.for_request("s0.example", ID)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyAsked):
        await keys.for_request("s0.example", ID)
    assert await keys.for_request(SERVER, ID) == KEY.public
    servers.silent |= {"t.example"}
    waiting += [asyncio.ensure_future(keys.for_request("t.example", ID)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyAsked):
        await keys.for_request("u.example", ID)
    assert await keys.for_request(SERVER, ID) == KEY.public
    servers.open.set()
    assert await asyncio.gather(*waiting) == [None] * 5
    assert await keys.for_request("u.example", ID) is None


async def test_strangers_leave_places_to_servers_that_are_known(servers: Servers) -> None:
    keys = servers.keys()
    assert await keys.for_request(SERVER, ID) == KEY.public
    waiting = await filled(servers, keys)
    servers.now += DAY + 1
    servers.says = answer((ID, OTHER), valid_until_ts=servers.now + DAY)
    assert await keys.for_request(SERVER, ID) == OTHER.public
    await keys.close()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_key_counts_longer_too_if_its_server_is_not_asked_because_too_many_are(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_keys, "_MOST_AT_A_TIME", 64)
    monkeypatch.setattr(server_keys, "_RESERVED", 0)
    keys = servers.keys()
    assert await keys.for_request(SERVER, ID) == KEY.public
    waiting = await filled(servers, keys, 64)
    servers.now += DAY + 1
    assert await keys.for_request(SERVER, ID) == KEY.public
    assert await keys.for_request(SERVER, OTHER_ID) is None
    servers.now += 3 * DAY
    assert await keys.for_request(SERVER, ID) is None
    assert servers.asked.count(SERVER) == 1
    await keys.close()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_key_is_fetched_again_before_it_ends_and_nobody_waits_for_that(servers: Servers) -> None:
    keys = servers.keys()
    assert await keys.for_request(SERVER, ID) == KEY.public
    servers.now += DAY - HOUR - 1
    assert await keys.for_request(SERVER, ID) == KEY.public
    assert servers.asked == [SERVER]
    servers.now += 1
    servers.says = answer((ID, OTHER), valid_until_ts=servers.now + DAY)
    servers.many = 2
    servers.open.clear()
    assert await keys.for_request(SERVER, ID) == KEY.public
    await servers.all_asked.wait()
    servers.open.set()
    assert await keys.for_request(SERVER, OTHER_ID) is None  # waits for the same answer
    assert await keys.for_request(SERVER, ID) == OTHER.public
    assert servers.asked == [SERVER] * 2


async def test_only_so_many_servers_are_kept(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_keys, "_MOST_SERVERS", 2)
    servers.says = ServerUnreachable("down")
    keys = servers.keys()
    for name in ("a.example", "b.example", "a.example", "c.example", "b.example", "a.example"):
        await keys.for_request(name, ID)
    assert servers.asked == ["a.example", "b.example", "c.example", "a.example"]


@pytest.mark.parametrize("name", ["", "no server", "a.example/../b", "a.example\n"])
async def test_what_is_no_server_name_is_not_asked(servers: Servers, name: str) -> None:
    assert await servers.keys().for_request(name, ID) is None
    assert await servers.keys().for_request(SERVER, "rsa:1") is None
    assert servers.asked == []


def unsigned(said: bytes, **changed: Any) -> bytes:
    """Change an answer after it was signed."""
    return json.dumps({**json.loads(said), **changed}).encode()


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"[]",
        b"\xff",
        answer(server_name="other"),
        answer(valid_until_ts="soon"),
        answer(valid_until_ts=True),
        unsigned(answer(), valid_until_ts=NOW + 2 * DAY),
        unsigned(answer(), signatures={}),
        unsigned(answer(), signatures=[]),
        unsigned(answer(), verify_keys={ID: {"key": OTHER.public}}),
        unsigned(answer(), verify_keys={ID: KEY.public}),
        answer(verify_keys={}),
        answer(verify_keys={ID: {"key": "short"}}),
        answer(verify_keys={"curve25519:1": {"key": KEY.public}}),
        answer() + b" " * 70_000,
    ],
    ids=range(15),
)
async def test_only_the_own_signed_word_of_a_server_counts(servers: Servers, forged: bytes) -> None:
    with pytest.raises(MalformedPdu):
        keys_in(forged, SERVER, NOW)
    servers.says = forged
    assert await servers.keys().for_request(SERVER, ID) is None


def test_a_key_counts_only_if_it_has_signed_the_list_itself() -> None:
    said = json.loads(answer((ID, KEY), (OTHER_ID, OTHER)))
    del said["signatures"][SERVER][OTHER_ID]
    assert keys_in(json.dumps(said).encode(), SERVER, NOW) == {ID: ServerKey(KEY.public, NOW + DAY)}


def signed_at(sent_ms: int, key_id: str, key: SigningKey, version: str = "11") -> Pdu:
    rules = room_version(version)
    return Pdu.of(hashed_and_signed(event(version, origin_server_ts=sent_ms), rules, SERVER, key_id, key), rules)


class TestEvents:
    OLD = answer(old_verify_keys={OTHER_ID: {"key": OTHER.public, "expired_ts": NOW - DAY}})

    @pytest.mark.parametrize(
        ("pdu", "counts"),
        [
            (lambda: signed_at(NOW, ID, KEY), True),
            (lambda: signed_at(NOW + DAY, ID, KEY), True),
            (lambda: signed_at(NOW + DAY + 1, ID, KEY), False),
            (lambda: signed_at(NOW - DAY, OTHER_ID, OTHER), True),
            (lambda: signed_at(NOW - DAY + 1, OTHER_ID, OTHER), False),
            (lambda: signed_at(NOW, OTHER_ID, OTHER, "4"), True),
            (lambda: signed_at(NOW, ID, OTHER), False),
            (lambda: signed_at(NOW, "ed25519:3", KEY), False),
        ],
        ids=range(8),
    )
    async def test_must_be_signed_by_a_key_of_their_time(
        self, servers: Servers, pdu: Callable[[], Pdu], counts: bool
    ) -> None:
        servers.says = self.OLD
        assert await servers.keys().event_is_signed(pdu(), SERVER) is counts

    async def test_a_former_key_signs_no_requests(self, servers: Servers) -> None:
        servers.says = self.OLD
        assert await servers.keys().for_request(SERVER, OTHER_ID) is None

    async def test_a_key_that_is_no_longer_named_counts_for_what_was_signed_before(self, servers: Servers) -> None:
        keys = servers.keys()
        assert await keys.for_request(SERVER, ID) == KEY.public
        servers.now += 2 * DAY
        servers.says = answer((OTHER_ID, OTHER), valid_until_ts=servers.now + DAY)
        assert await keys.for_request(SERVER, ID) is None
        assert await keys.event_is_signed(signed_at(NOW + DAY, ID, KEY), SERVER)
        assert not await keys.event_is_signed(signed_at(servers.now, ID, KEY), SERVER)

    async def test_an_event_without_a_signature_asks_nobody(self, servers: Servers) -> None:
        assert not await servers.keys().event_is_signed(Pdu.of(event("11"), room_version("11")), SERVER)
        assert not await servers.keys().event_is_signed(signed_at(NOW, ID, KEY), "other.example")
        assert servers.asked == []


class Store:
    """A place where keys are kept."""

    def __init__(self) -> None:
        self.kept: dict[str, KnownKeys] = {}

    async def read(self, server: str) -> KnownKeys | None:
        return self.kept.get(server)

    async def write(self, server: str, known: KnownKeys) -> None:
        self.kept[server] = known


async def test_keys_outlive_the_process_where_they_are_kept(servers: Servers) -> None:
    store = Store()
    assert await servers.keys(store).for_request(SERVER, ID) == KEY.public
    servers.says = ServerUnreachable("down")
    assert await servers.keys(store).for_request(SERVER, ID) == KEY.public
    assert servers.asked == [SERVER]
    assert store.kept == {SERVER: KnownKeys({ID: ServerKey(KEY.public, NOW + DAY)}, NOW)}
