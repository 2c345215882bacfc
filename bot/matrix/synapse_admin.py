"""Synapse's admin API. Each method does one request, and raises `Forbidden` without an administrator's token."""

from typing import Any, Literal

from moderation.values.ids import EventId, UserId

from .http import SYNAPSE_ADMIN, Ask, Wire

Reports = Literal["event_reports", "user_reports"]


class SynapseAdmin:
    """The admin API, asked over a wire with an administrator's token."""

    def __init__(self, wire: Wire, token: str) -> None:
        self._wire = wire
        self._token = token

    async def is_unlimited(self, user: UserId) -> bool:
        """Tell whether `user` is free of rate limits. Section "Override ratelimiting for users"."""
        ask = Ask(method="GET", base=SYNAPSE_ADMIN, segments=_limit_of(user), token=self._token)
        return (await self._wire.ask(ask)).get("messages_per_second") == 0

    async def lift_limit(self, user: UserId) -> None:
        """Free `user` of rate limits, at once. Section "Override ratelimiting for users"."""
        none = {"messages_per_second": 0, "burst_count": 0}  # 0: no limit
        await self._wire.ask(
            Ask(method="POST", base=SYNAPSE_ADMIN, segments=_limit_of(user), json=none, token=self._token)
        )

    async def reports(self, of: Reports, limit: int) -> list[dict[str, Any]]:
        """Return what people reported to the homeserver, messages or people, newest first."""
        query = (("dir", "b"), ("limit", str(limit)))
        ask = Ask(method="GET", base=SYNAPSE_ADMIN, segments=(of,), query=query, token=self._token)
        found = (await self._wire.ask(ask)).get(of)
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    async def event(self, event: EventId) -> dict[str, Any]:
        """Return an event as it was sent, even if it was redacted since."""
        ask = Ask(method="GET", base=SYNAPSE_ADMIN, segments=("fetch_event", event), token=self._token)
        found = (await self._wire.ask(ask)).get("event")
        return {**found, "event_id": event, "unsigned": {}} if isinstance(found, dict) else {}


def _limit_of(user: UserId) -> tuple[str, ...]:
    return ("users", user, "override_ratelimit")
