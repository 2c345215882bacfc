"""The HTTP requests of encryption, one method for each, over the bot's own `Wire`.

Rules this module keeps:
- An answer is the server's unchanged JSON; errors are those of `bot/matrix/errors.py`.
- Nothing is retried here. A request that may be repeated is harmless if it is (`to_device` by its transaction id).
Left to others: the contents.

Specification: Matrix client-server API v1.19, "Key management API", "Send-to-Device messaging", "Cross-signing",
"Server-side key backups", "Client Config".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.matrix.errors import NotFound
from bot.matrix.http import Ask, Wire

from .encoding import Object, object_of

CLAIM_MS = 10_000  # how long our server waits for other servers
_SLOW_S = 90.0
USERS_AT_ONCE = 100


class Requests:
    """The requests of one account."""

    def __init__(self, wire: Wire, user: str) -> None:
        self._wire = wire
        self.user = user

    # Keys of devices

    async def upload_keys(self, body: Object) -> dict[str, Any]:
        """Upload our device, one-time and fallback keys (section "POST /keys/upload"). Returns the new counts."""
        return await self._ask("POST", "keys", "upload", json=body)

    async def query_keys(self, users: Sequence[str]) -> dict[str, Any]:
        """Return `device_keys`, `master_keys`, `self_signing_keys`, `failures` ... (section "POST /keys/query")."""
        body = {"timeout": CLAIM_MS, "device_keys": {user: [] for user in users}}
        return await self._ask("POST", "keys", "query", json=body, timeout_s=_SLOW_S)

    async def claim_keys(self, devices: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Claim one key of each device (section "POST /keys/claim")."""
        wanted = {user: dict.fromkeys(ids, "signed_curve25519") for user, ids in devices.items()}
        body = {"timeout": CLAIM_MS, "one_time_keys": wanted}
        return await self._ask("POST", "keys", "claim", json=body, timeout_s=_SLOW_S)

    async def to_device(self, type: str, messages: Object, txn: str) -> None:
        """Send messages to devices (section "PUT /sendToDevice/{eventType}/{txnId}")."""
        await self._ask("PUT", "sendToDevice", type, txn, json={"messages": messages})

    # Cross-signing

    async def upload_signing_keys(self, keys: Object, auth: Object | None = None, secret: str = "") -> None:
        """Upload our public cross-signing keys (section "POST /keys/device_signing/upload").

        Without `auth` the homeserver may answer with the authentication it wants (`Rejected`).
        """
        body = {**keys, **({"auth": auth} if auth is not None else {})}
        await self._ask("POST", "keys", "device_signing", "upload", json=body, secrets=(secret,) if secret else ())

    async def upload_signatures(self, signed: Object) -> dict[str, Any]:
        """Upload signatures (section "POST /keys/signatures/upload"). Returns `failures`, by user and key."""
        return await self._ask("POST", "keys", "signatures", "upload", json=signed)

    # Account data, for secrets

    async def account_data(self, type: str) -> dict[str, Any] | None:
        """Return account data (section "Client Config"); None if it was never set."""
        try:
            found = await self._ask("GET", "user", self.user, "account_data", type)
        except NotFound:
            return None
        return found or None

    async def set_account_data(self, type: str, content: Object) -> None:
        """Set account data (section "Client Config")."""
        await self._ask("PUT", "user", self.user, "account_data", type, json=content)

    # Key backup

    async def backup(self) -> dict[str, Any] | None:
        """Return the newest backup (section "GET /room_keys/version"); None if there is none."""
        try:
            return await self._ask("GET", "room_keys", "version")
        except NotFound:
            return None

    async def create_backup(self, algorithm: str, auth_data: Object) -> str:
        """Create a backup (section "POST /room_keys/version"). Returns its version."""
        body = {"algorithm": algorithm, "auth_data": auth_data}
        return str((await self._ask("POST", "room_keys", "version", json=body)).get("version", ""))

    async def put_backup_keys(self, version: str, rooms: Object) -> dict[str, Any]:
        """Upload keys to a backup (section "PUT /room_keys/keys"). Returns the new `count` and `etag`.

        Raises `Rejected` if a newer backup was made.
        """
        query = (("version", version),)
        return await self._ask("PUT", "room_keys", "keys", json={"rooms": rooms}, query=query, timeout_s=_SLOW_S)

    async def backup_keys(self, version: str) -> dict[str, Any]:
        """Return all keys of a backup, by room and session (section "GET /room_keys/keys")."""
        answer = await self._ask("GET", "room_keys", "keys", query=(("version", version),), timeout_s=_SLOW_S)
        return object_of(answer.get("rooms"))

    async def _ask(
        self,
        method: str,
        *segments: str,
        json: Object | None = None,
        query: tuple[tuple[str, str], ...] = (),
        timeout_s: float | None = None,
        secrets: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        return await self._wire.ask(
            Ask(method=method, segments=segments, json=json, query=query, timeout_s=timeout_s, secrets=secrets)
        )
