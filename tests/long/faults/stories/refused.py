"""A story: a policy server refuses messages, and the bot records what it noted, whatever happens to the bot.

While the bot is away, two messages of one person and one of another are refused; later two more are. The first person
appeals and is heard; so they are told that they can send it again.
"""

import sqlite3
from collections.abc import Sequence

from bot.pipeline.withheld import Withheld, note_of
from moderation.judge.beforehand import Refusal
from moderation.values.events import Json
from moderation.values.ids import EventId, RoomId
from storage.policy_server.tables import open_to_write
from tests.long.faults.group import Said
from tests.long.faults.play import Play
from tests.long.faults.scene import Story
from tests.theatre.rules import no_elephants, tickets

RULES = no_elephants(more='measure = "mute"\nmute_for = "1h"') + tickets('interim = "hold"')
RULES += """
[policy_server]
server_name = "policy.example.org"
"""
FIRST_SEQ = 1_000
SENT_MS = 1_700_000_000_000
ELEPHANT = Refusal("no-elephants", "moderate", "rule", "body", "purple elephant")
TICKET = Refusal("tickets", "serious", "interim", "body", "forbidden 7")
AT_FIRST = (("ann", "a purple elephant", ELEPHANT), ("ann", "a second purple elephant", ELEPHANT))
LATER = (("ben", "forbidden 7", TICKET), ("ann", "a third purple elephant", ELEPHANT))


class Refused(Play):
    """The story in which what nobody saw is appealed."""

    def before(self, meanwhile: Sequence[Said]) -> None:
        super().before(meanwhile)
        self._refuse(AT_FIRST)

    async def act(self) -> None:
        if self.card(1) is None or not self.running.is_idle():
            return
        if self.once("later"):
            self._refuse(LATER)
        for room in self.direct("ann"):
            if self.card(2) is not None and self.hears(room, "!appeal") and self.once("appeal"):
                await self.say("ann", "!appeal 1 I meant the plush one", room)
        if self.hears(self.desk, "the plush one") and self.once("heard"):
            await self.say("manager", "!dismiss 1 so it was", self.desk)

    def is_at_its_end(self) -> bool:
        read = self.running.rows("SELECT value FROM meta WHERE key = 'policy_seq'")
        states = self.running.rows("SELECT n, state FROM cases ORDER BY n")
        return read == [(str(FIRST_SEQ + len(AT_FIRST + LATER)),)] and states == [(1, "reversed"), (2, "open")]

    def wrong(self) -> dict[str, object]:
        """Check that each refusal is recorded once, and is no event of the room."""
        records = self.running.rows("SELECT event FROM withheld ORDER BY event")
        events = self.running.rows("SELECT event FROM events WHERE event LIKE '$refused%'")
        wanted = [(f"$refused{number}",) for number in range(1, 1 + len(AT_FIRST + LATER))]
        return {} if (records, events) == (wanted, []) else {"refusals": (records, events)}

    def _refuse(self, some: Sequence[tuple[str, str, Refusal]]) -> None:
        """Note refusals as the policy server does, each with its answer."""
        tables = open_to_write(self.running.place.data, FIRST_SEQ)
        try:
            for name, body, refusal in some:
                self._note(tables, name, body, refusal)
        finally:
            tables.close()

    def _note(self, tables: sqlite3.Connection, name: str, body: str, refusal: Refusal) -> None:
        (count,) = tables.execute("SELECT count(*) FROM refusals").fetchone()
        event = EventId(f"$refused{count + 1}")
        self.called[event] = f"{name}: {body}"
        raw: dict[str, Json] = {
            "sender": self.users[name],
            "type": "m.room.message",
            "origin_server_ts": SENT_MS,
            "content": {"msgtype": "m.text", "body": body},
        }
        note = note_of(Withheld(RoomId(self.room.id), event, raw, refusal, "policy_server", SENT_MS))
        sql = "INSERT INTO refusals (at_ms, event_id, note) VALUES (?, ?, ?)"
        tables.execute(sql, (SENT_MS, event, note))


REFUSED = Story("refused", RULES, ("ann", "ben"), (), Refused)
