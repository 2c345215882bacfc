"""A story: the bot was away, and rules were broken meanwhile.

One person broke a rule that acts at once, one a rule that mutes, one a rule on which managers decide, and there were
more messages than fit into one answer. The bot comes; the manager upholds one case; the person who was warned appeals
and is heard.
"""

from tests.long.faults.play import Play
from tests.long.faults.scene import Story
from tests.theatre.rules import loud, no_elephants, tickets

RULES = no_elephants() + loud() + tickets()
MEANWHILE = (
    ("ann", "a purple elephant"),
    *(("cat", f"tea {n}") for n in range(70)),
    ("ben", "a geyser"),
    ("owner", "forbidden 7"),
    *(("cat", f"cake {n}") for n in range(70)),
)


class Away(Play):
    """The story in which one case is decided and one appealed."""

    async def act(self) -> None:
        await self._appeal()
        await self._decide()

    def is_at_its_end(self) -> bool:
        states = self.running.rows("SELECT n, state FROM cases ORDER BY n")
        return states == [(1, "reversed"), (2, "decided"), (3, "decided")]

    async def _appeal(self) -> None:
        if self.card(1) is None:
            return  # a card that is posted after the appeal has it from the start, and is not edited
        for room in self.direct("ann"):
            if self.hears(room, "!appeal") and self.once("appeal"):
                await self.say("ann", "!appeal 1 I meant the plush one", room)

    async def _decide(self) -> None:
        card = self.card(3)
        if card is not None and self.once("uphold"):
            self.press("manager", card, "✅", "manager: upholds")
        # Once the bot has said all: of two edits of a card that wait, only the later is sent.
        appealed = self.hears(self.desk, "the plush one") and self.running.is_idle()
        if appealed and self.once("heard"):
            await self.say("manager", "!dismiss 1 so it was", self.desk)


AWAY = Story("away", RULES, ("ann", "ben", "cat"), MEANWHILE, Away)
