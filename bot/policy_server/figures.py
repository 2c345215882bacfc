"""The counters of the policy server, and the pages that show them and its health.

``/metrics`` is in Prometheus' text format, for this machine alone. The page of health is for the bot, which asks
for it from outside: 200, or 503 if no answer can be given at all.

Rules kept here:
- No label has a value that people choose, and none names a room.
- Tables that cannot be read are no reason to be called unwell: then everything is let through, and nobody is silenced.
- A disk that failed is believed again once something was written, and not because time has passed.
"""

import asyncio
from collections import Counter
from typing import Literal, get_args

import structlog

from bot.runtime.clock import Clock

log = structlog.get_logger()

Counted = Literal[
    "judged",
    "delivered",
    "unwanted",
    "unreadable",
    "not_judged",
    "refused",
    "past",
    "unproven",
    "absent",
    "unrecorded",
    "tampered",
    "repeated",
    "unknown_room",
    "denied",
    "malformed",
    "unauthorized",
    "too_many",
    "not_kept",
    "unkept",
]
_MEANINGS: dict[Counted, str] = {
    "judged": "Events signed because they break no rule.",
    "delivered": "Events signed because the bot has them already.",
    "unwanted": "Events signed because their room no longer wants to be asked.",
    "unreadable": "Events signed because they have no meaning.",
    "not_judged": "Events signed because they could not be judged in time.",
    "refused": "Events refused, each with its record.",
    "past": "Events refused without a record: they claim to be older than the wish of the owner.",
    "unproven": "Events refused without a record: no proof that their sender's server sent them.",
    "absent": "Events refused without a record: their sender is not in the room.",
    "unrecorded": "Events refused without a record: their sender, or its server, had too many within a minute.",
    "tampered": "Events refused because their content is not what was hashed.",
    "repeated": "Answers given again.",
    "unknown_room": "Requests about rooms that do not ask.",
    "denied": "Requests of servers that the bot keeps out of the room.",
    "malformed": "Requests that hold no event.",
    "unauthorized": "Requests that prove no server.",
    "too_many": "Requests refused because their server, or all without known keys together, asks too much.",
    "not_kept": "Answers that could not be kept.",
    "unkept": "Of these, events signed all the same because none could be kept for long.",
}
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SAY_EACH_MS = 60_000


class PolicyFigures:
    """The counts since the start."""

    def __init__(self, clock: Clock) -> None:
        self.noted = asyncio.Event()  # a refusal waits for the bot
        self._clock = clock
        self._began_ms = clock()
        self._counts: Counter[Counted] = Counter(dict.fromkeys(get_args(Counted), 0))
        self._failing_since_ms: int | None = None
        self._said_ms = 0

    def count(self, what: Counted) -> None:
        """Count one."""
        self._counts[what] += 1
        if what in ("judged", "refused"):
            self._failing_since_ms = None
        elif what == "not_judged" and self._clock() - self._said_ms >= _SAY_EACH_MS:
            self._said_ms = self._clock()
            log.warning("policy_not_judged", since_start=self._counts[what])

    def kept(self) -> None:
        """Note that the disk can be written again."""
        self._failing_since_ms = None

    def not_kept(self, why: str) -> None:
        """Count an answer that could not be kept."""
        self._counts["not_kept"] += 1
        if self._failing_since_ms is None:
            log.error("policy_answer_not_kept", why=why)
            self._failing_since_ms = self._clock()

    def failing_ms(self) -> int:
        """Return for how long no answer could be kept, in milliseconds."""
        return 0 if self._failing_since_ms is None else self._clock() - self._failing_since_ms

    @property
    def healthy(self) -> bool:
        """Tell whether answers can be given."""
        return self._failing_since_ms is None

    def counted(self) -> dict[str, int]:
        """Return all counts by name."""
        return {str(name): number for name, number in self._counts.items()}

    def text(self, *, rooms: int, joined: int, tables_age_s: float) -> str:
        """Return the page for Prometheus."""
        gauges = (
            ("answerable_policy_healthy", "1: answers can be given.", int(self.healthy)),
            ("answerable_policy_up_seconds", "Since the start.", (self._clock() - self._began_ms) // 1000),
            ("answerable_policy_rooms", "Rooms whose owners want it to be asked.", rooms),
            ("answerable_policy_rooms_joined", "Of these, rooms it has joined.", joined),
            ("answerable_policy_tables_age_seconds", "Since the tables last answered; -1: never.", tables_age_s),
        )
        lines = [f"# HELP {name} {meaning}\n# TYPE {name} gauge\n{name} {value}\n" for name, meaning, value in gauges]
        for name, meaning in _MEANINGS.items():
            total = f"answerable_policy_{name}_total"
            lines.append(f"# HELP {total} {meaning}\n# TYPE {total} counter\n{total} {self._counts[name]}\n")
        return "".join(lines)
