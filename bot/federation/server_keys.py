"""The keys of other servers: fetched from the servers themselves, checked, and kept.

Rules this module keeps:
- An answer counts only if it is of the server that was asked, and a key only if it has signed the answer itself.
- A key is valid until the answer says, and never longer than seven days from when it was fetched.
- A request must be signed by a key that is valid now. An event must be signed by a key that was valid when the event
  says that it was sent; a key that its server no longer uses counts up to its end. (Before room version 5 any key
  that was ever its server's counts.)
- If a server cannot be asked, also because too many are being asked, its keys count three days longer. Otherwise its
  people would fall silent because our own way out is broken. A key that its server no longer names does not.
- A server is asked once at a time, and at most once a minute; after failures less and less often, at last each ten
  minutes. Only so many servers are asked at a time, and kept. Strangers never take the places of servers whose keys are
  known, and these are asked again an hour before a key ends, while nobody waits.
- Only so many requests wait for the keys of strangers, and fewer for those of one. One more is told to come again.
- No notary is asked: a server that is not there to give its keys has nobody waiting for an answer of ours.

Specification: server-server API v1.19, "Retrieving server keys"; "Room versions", "Signing key validity period".
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

import structlog

from bot.crypto.encoding import MalformedKey, object_of, unb64
from bot.crypto.signing import is_signed
from bot.runtime.clock import Clock, wall_clock
from bot.runtime.newest import Newest

from .errors import MalformedPdu, ServerRefused, ServerUnreachable, TooManyAsked
from .pdu import Pdu
from .server_names import is_server_name
from .shared_work import SharedWork
from .strict_json import parse_strictly

log = structlog.get_logger()

_MOST_BYTES = 65_536
_MOST_KEYS = 64
_MOST_SIGNATURES = 8  # of one server on one event
_MOST_SERVERS = 10_000
_MOST_AT_A_TIME = 256
_RESERVED = 64  # of these, for servers whose keys are known
_MOST_WAITING = 200  # requests, for the keys of strangers
_MOST_WAITING_FOR_ONE = 50
_WITHIN_S = 20.0  # looking the server up included
_MINUTE_MS = 60_000
_LONGEST_WAIT_MS = 10 * _MINUTE_MS
_LONGEST_MS = 7 * 24 * 3_600_000
_GRACE_MS = 3 * 24 * 3_600_000
_SOON_MS = 3_600_000
_PREFIX = "ed25519:"

FetchKeys = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A key of a server, in base64, and how long it is or was valid. A retired one signs no more requests."""

    public: str
    until_ms: int
    retired: bool = False


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """The known keys of a server. `asked_ms` is when it was last asked, `failures` how often in vain since."""

    keys: Mapping[str, ServerKey] = field(default_factory=dict)
    asked_ms: int = 0
    failures: int = 0

    def is_valid(self, key: ServerKey, at_ms: int) -> bool:
        """Return whether a key counts at a time."""
        grace = _GRACE_MS if self.failures and not key.retired else 0
        return at_ms <= key.until_ms + grace

    def ends_soon(self, key_id: str, now: int) -> bool:
        """Return whether a key in use ends within an hour."""
        key = self.keys[key_id]
        return not key.retired and key.until_ms - _SOON_MS <= now

    def ask_again_ms(self) -> int:
        """Return from when on the server may be asked again."""
        return self.asked_ms + min(_MINUTE_MS << max(min(self.failures, 10) - 1, 0), _LONGEST_WAIT_MS)


class KeyStore(Protocol):
    """A place where keys outlive the process. Neither method may raise."""

    async def read(self, server: str) -> KnownKeys | None:
        """Return the keys of a server as they were written."""

    async def write(self, server: str, known: KnownKeys) -> None:
        """Keep the keys of a server."""


class NoKeyStore:
    """Keeps nothing."""

    async def read(self, server: str) -> KnownKeys | None:  # noqa: ARG002
        """Return None."""
        return None

    async def write(self, server: str, known: KnownKeys) -> None:
        """Do nothing."""


class ServerKeys:
    """The keys of other servers. `fetch` returns what a server publishes, or raises; see `FederationClient`."""

    def __init__(self, fetch: FetchKeys, *, clock: Clock = wall_clock, store: KeyStore | None = None) -> None:
        self._fetch, self._clock = fetch, clock
        self._store: KeyStore = store or NoKeyStore()
        self._known: Newest[str, KnownKeys] = Newest(_MOST_SERVERS)
        self._work: SharedWork[KnownKeys] = SharedWork(_MOST_AT_A_TIME)
        self._waiting: Counter[str] = Counter()  # for strangers

    async def for_request(self, server: str, key_id: str) -> str | None:
        """Return the key with which a server signs requests now, or None.

        Raises `TooManyAsked` if the server is a stranger and may not be asked now.
        """
        now = self._clock()
        known = await self._about(server, key_id, now)
        found = known.keys.get(key_id)
        return None if found is None or found.retired or not known.is_valid(found, now) else found.public

    async def event_is_signed(self, pdu: Pdu, server: str) -> bool:
        """Tell whether a key that a server had when it says that the event was sent has signed it. Never raises."""
        expire = pdu.version.keys_expire
        for key_id in islice(pdu.signatures_of(server), _MOST_SIGNATURES):
            try:
                known = await self._about(server, key_id, pdu.sent_ms if expire else 0)
            except TooManyAsked:
                return False
            found = known.keys.get(key_id)
            if (
                found is not None
                and (not expire or known.is_valid(found, pdu.sent_ms))
                and pdu.is_signed(server, key_id, found.public)
            ):
                return True
        return False

    async def close(self) -> None:
        """End the requests that are running."""
        await self._work.close()

    async def _about(self, server: str, key_id: str, at_ms: int) -> KnownKeys:
        """Return what is known of a server; it is asked unless the key is known to be valid at `at_ms`."""
        if not is_server_name(server) or not key_id.startswith(_PREFIX):
            return KnownKeys()
        known = self._known.get(server)
        if known is None and (known := await self._store.read(server)) is not None:
            self._known[server] = known
        known = known or KnownKeys()
        now = self._clock()
        if now < known.ask_again_ms():
            return known
        before = known
        if _has(known, key_id, at_ms):
            if known.ends_soon(key_id, now):
                self._work.begin(server, lambda: self._ask(server, before))
            return known
        if not known.keys:
            return await self._of_stranger(server)
        try:
            return await self._work.result(server, lambda: self._ask(server, before))
        except ServerUnreachable as error:  # too many are being asked
            log.warning("server_keys_not_asked", server=server, why=str(error))
            return replace(known, failures=known.failures + 1)

    async def _of_stranger(self, server: str) -> KnownKeys:
        """Return what is known of a server once it was asked. Raises `TooManyAsked`."""
        if self._waiting.total() >= _MOST_WAITING or self._waiting[server] >= _MOST_WAITING_FOR_ONE:
            raise TooManyAsked("too many wait for the keys of servers")
        before = self._known.get(server, KnownKeys())
        self._waiting[server] += 1
        try:
            return await self._work.result(server, lambda: self._ask(server, before), _RESERVED)
        except ServerUnreachable as error:
            raise TooManyAsked(str(error)) from None
        finally:
            self._waiting[server] -= 1
            if not self._waiting[server]:
                del self._waiting[server]

    async def _ask(self, server: str, before: KnownKeys) -> KnownKeys:
        now = self._clock()
        try:
            fresh = keys_in(await self._fetched(server), server, now)
        except (ServerUnreachable, ServerRefused, MalformedPdu) as error:
            log.info("server_keys_not_fetched", server=server, why=str(error))
            known = KnownKeys(before.keys, now, before.failures + 1)
        else:
            known = KnownKeys(_joined(before.keys, fresh, now), now)
            await self._store.write(server, known)
        self._known[server] = known
        return known

    async def _fetched(self, server: str) -> bytes:
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await self._fetch(server)
        except TimeoutError:
            raise ServerUnreachable(f"no keys within {_WITHIN_S:g} s") from None


def keys_in(body: bytes, server: str, now: int) -> dict[str, ServerKey]:
    """Return the keys in what a server published. Raises `MalformedPdu` if it is not the server's own word."""
    answer = parse_strictly(body, _MOST_BYTES)
    until = answer.get("valid_until_ts")
    if answer.get("server_name") != server or not isinstance(until, int) or isinstance(until, bool):
        raise MalformedPdu("not the keys of this server")
    until_ms = min(until, now + _LONGEST_MS)
    current = {
        key_id: ServerKey(public, until_ms)
        for key_id, public, _ in _listed(answer.get("verify_keys"))
        if is_signed(answer, server, key_id.removeprefix(_PREFIX), public)
    }
    if not current:
        raise MalformedPdu("keys that have not signed themselves")
    old = {
        key_id: ServerKey(public, min(expired, now), retired=True)
        for key_id, public, entry in _listed(answer.get("old_verify_keys"))
        if isinstance(expired := entry.get("expired_ts"), int) and not isinstance(expired, bool)
    }
    return {**old, **current}


def _listed(value: object) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return id, public half and entry of each well-formed Ed25519 key of a list."""
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    for key_id, each in list(object_of(value).items())[:_MOST_KEYS]:
        entry = object_of(each)
        public = entry.get("key")
        if key_id.startswith(_PREFIX) and isinstance(public, str) and _is_key(public):
            found.append((key_id, public, entry))
    return found


def _is_key(public: str) -> bool:
    try:
        unb64(public, 32)
    except MalformedKey:
        return False
    return True


def _joined(before: Mapping[str, ServerKey], fresh: Mapping[str, ServerKey], now: int) -> dict[str, ServerKey]:
    """Return what is known after an answer. A key that it no longer names is retired, and counts up to its end."""
    gone = {
        key_id: ServerKey(key.public, min(key.until_ms, now), retired=True)
        for key_id, key in before.items()
        if key_id not in fresh
    }
    kept = dict(list(gone.items())[-_MOST_KEYS:])
    return {**kept, **fresh}


def _has(known: KnownKeys, key_id: str, at_ms: int) -> bool:
    found = known.keys.get(key_id)
    return found is not None and (found.retired or found.until_ms >= at_ms)
