"""A story: five cases that nobody decides, for which two managers are responsible.

Their deadlines pass in one look. Each manager is charged for as many of them as a day allows, falls below what managing
takes, and is demoted. One appeals a charge, the owner grants it, and the rights come back; the other's rights stay
suspended. The owner decides one of the cases.
"""

from functools import partial

from tests.long.faults.group import Group
from tests.long.faults.play import Play
from tests.long.faults.scene import Story

A_DAY = 3  # so many of the five cost something: the third makes it too little
COST = 21
STEP_MS = 25_000  # an answer of the homeserver may take as long
MEMBERS = ("ann", "ben", "cat")
PLANTS = ("tulip", "rose")
SAID = (("ann", "tulip"), ("ben", "tulip"), ("cat", "tulip"), ("ann", "rose"), ("ben", "rose"))
RULES = (
    "".join(
        f"""
[[rules]]
name = "{plant}s"
kind = "terms"
class = "serious"
decide = "manager"
terms = ["{plant}"]
"""
        for plant in PLANTS
    )
    + f"""
[standing]
overdue = {COST}
overdue_daily = 0
overdue_at_most = {COST}
overdue_a_day = {A_DAY}
[cases.deadlines]
minor = "1h"
moderate = "1h"
severe = "1h"
"""
)
WAITING = "SELECT 1 FROM cases WHERE rule != 'duty_overdue' AND asked = 'managers' AND state = 'open' LIMIT 1"
CHARGED = "SELECT count(*) FROM cases WHERE rule = 'duty_overdue'"
FIRST = "SELECT min(n) FROM cases WHERE rule = 'duty_overdue' AND subject = '{user}'"
ENDED = "SELECT 1 FROM sanctions WHERE kind = 'demote' AND ended > 0"


async def prepare(group: Group) -> None:
    """Break rules, and wait until the managers are reminded of every case."""
    running = group.running
    for name, plant in SAID:
        await group.say(name, f"a {plant}", group.room)
    await running.until(partial(_is_reminded, group), "all reminders")


async def _is_reminded(group: Group) -> bool:
    await group.people.listen()
    group.accept()
    running = group.running
    if not running.is_idle() or not all(group.card(n) for n in range(1, 6)):
        return False
    if not running.rows("SELECT 1 FROM cases WHERE remind > 0"):
        return True
    running.pass_by(STEP_MS)
    return False


class Deadlines(Play):
    """Time passes until all five have passed their deadline."""

    async def act(self) -> None:
        waiting = self.running.rows(WAITING)
        if not self.running.is_idle():
            return
        if waiting:
            self.running.pass_by(STEP_MS)
        elif self.once("appeal"):
            await self.say("manager", f"!appeal {self._first()} I was on a train", self.direct("manager")[0])
        elif self.hears(self.desk, "on a train") and self.once("granted"):
            await self.say("owner", f"!dismiss {self._first()} so you were", self.desk)
        elif self.running.rows(ENDED) and self.once("decided"):
            await self.say("owner", "!uphold 1 see the rules", self.desk)

    def _first(self) -> int:
        ((n,),) = self.running.rows(FIRST.format(user=self.users["manager"]))
        return int(n)

    def is_at_its_end(self) -> bool:
        return self.running.rows("SELECT state FROM cases WHERE n = 1") == [("decided",)]

    def wrong(self) -> dict[str, object]:
        """Check that the story went as described above."""
        charged = self.running.rows(CHARGED)
        levels = [self.room.level(self.users[name]) for name in ("manager", "second")]
        as_told = (charged, levels) == ([(2 * A_DAY,)], [50, 0])
        return {} if as_told else {"told otherwise": (charged, levels)}


DEADLINES = Story(
    "deadlines",
    RULES + 'serious = "1h"\n',
    MEMBERS,
    (),
    Deadlines,
    managers=("manager", "second"),
    before=RULES + 'serious = "2m"\n',
    prepare=prepare,
    sets_time=True,
)
