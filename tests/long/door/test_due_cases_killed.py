"""A case that nobody touches, with the bot killed repeatedly: the end is the same as without kills.

Three bots play the same story at the same time. One is undisturbed, one is killed after each record of a case. The
third is killed so, too, and gets back, each time, a database from before the story, so that it must apply the whole
journal.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from bot.matrix.client import Homeserver
from moderation.model.facts import CaseAssigned, Fact, NoticeGiven, NotSeen, SanctionStarted, StatementGiven
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.door.bot.scheduler.test_nobody_there import SHORT
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, direct_room, open_direct, told
from tests.theatre.served import ServedBot, like
from tests.theatre.state_tables import Copy

pytestmark = pytest.mark.usefixtures("short_waits", "at_noon")  # the three come to different times
ON_SYNAPSE = os.environ.get("STORIES") == "synapse"
KINDS = frozenset({"case", "decision", "appeal", "sanction", "credit", "statement", "task"})
# What is another in each run, though it means the same.
OTHERWISE = frozenset({"on", "start", "undoes", "due", "until", "event", "room", "txn"})
OTHERWISE_STATED = frozenset({"decided", "event", "sent", "appeal_until", "room"})


class Story:
    """One bot that plays the story, and the people in it."""

    def __init__(self, scene: Scene, operator: Client) -> None:
        self.scene = scene
        self.operator = operator
        people = {"owner": scene.owner, "manager": scene.managers[0], "ann": scene.members[0], "operator": operator}
        self.people = people
        self.names = {client.user: name for name, client in people.items()} | {scene.bot.user: "bot"}

    async def tell(self) -> None:
        """Play the story: reminder, overdue, owner, operator; demotion; appeal and reversal; the operator decides."""
        scene, bot = self.scene, self.scene.bot
        manager = self.people["manager"]
        await self.people["ann"].send_text(scene.room, "forbidden 7")
        await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE card != ''"), "the card")
        asked_again = "SELECT 1 FROM cases WHERE n = 1 AND asked = 'operator' AND due > ?"
        much = 3_600_000
        await bot.pass_until(lambda: bot.rows(asked_again, bot.clock() + much), "the operator to be asked again")
        await scene.until_level(manager.user, None)
        direct = await direct_room(manager, bot)
        await manager.send_text(direct, "!appeal 2 I was on a train")
        await told(self.operator, bot, like("notice.asked.operator", n="2"))
        await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE n = 2 AND card != ''"), "the card of the appeal")
        theirs = await direct_room(self.operator, bot)
        assert like("decided.dismissed", n="2").search(await ask(self.operator, bot, theirs, "!dismiss 2 fair enough"))
        await scene.until_level(manager.user, 50)
        assert like("decided.upheld", n="1").search(await ask(self.operator, bot, theirs, "!uphold 1 see the rules"))
        await told(self.people["ann"], bot, like("notice.message.upheld", n="1"))

    # Observations.

    def facts(self) -> Counter[str]:
        """Return all facts about cases and notices, without reminders, which come only if time is left."""
        seen = [fact for _, fact in self.scene.bot.numbered_facts() if getattr(fact, "step", "") != "reminded"]
        return Counter(self._plain(fact) for fact in seen if fact.KIND in KINDS or isinstance(fact, NoticeGiven))

    def _plain(self, fact: Fact) -> str:
        values = {f.name: getattr(fact, f.name) for f in fields(fact) if f.name not in OTHERWISE}
        if isinstance(fact, StatementGiven):
            stated = json.loads(fact.statement)
            values["statement"] = {name: value for name, value in stated.items() if name not in OTHERWISE_STATED}
            values["statement"]["measures"] = [m["kind"] for m in stated.get("measures", ())]
        return f"{type(fact).__name__} {self._named(values)}"

    def _named(self, values: Mapping[str, Any]) -> str:
        text = json.dumps(values, sort_keys=True, ensure_ascii=False)
        for user, name in self.names.items():
            text = text.replace(user, name)
        return text.replace(self.scene.bot.code(self.scene.room), "the group")

    async def said(self) -> dict[str, int]:
        """Return how many messages the bot sent in each room; after each start it repeats what it cannot do."""
        scene, bot = self.scene, self.scene.bot
        rooms = {name: await direct_room(client, bot) for name, client in self.people.items()}
        heard = {name: await self.people[name].messages(room, 300) for name, room in rooms.items()}
        heard["desk"] = await scene.owner.messages(scene.desk, 300)
        heard["room"] = await scene.owner.messages(scene.room, 300)
        return {name: sum(self._is_word(event) for event in events) for name, events in heard.items()}

    def _is_word(self, event: Mapping[str, Any]) -> bool:
        content = event["content"]
        relation = (content.get("m.relates_to") or {}).get("rel_type")
        words = event["type"] == "m.room.message" and event["sender"] == self.scene.bot.user
        body = str(content.get("body", ""))
        beside = any(like(key).search(body) for key in ("desk.impossible", "desk.moved.reminded"))
        return words and relation != "m.replace" and not beside


@asynccontextmanager
async def killed(bot: ServedBot, *, back_to: Copy | None = None) -> AsyncIterator[list[int]]:
    """Kill the bot inside this block after each record of a case, and start it again. Yields the record numbers."""
    kills: list[int] = []

    async def watch() -> None:
        seen, size = bot.size(), 0
        while True:
            await asyncio.sleep(0.02)
            if (now := _bytes(bot)) == size:
                continue
            size = now
            fresh = bot.records(seen)
            seen += len(fresh)
            if any(record.kind in KINDS for record in fresh):
                await asyncio.shield(again())
                kills.append(seen)

    async def again() -> None:
        await bot.crash()
        await at_rest(bot)
        if back_to is not None:
            bot.put_back(back_to)
        bot.start()

    watching = asyncio.create_task(watch())
    try:
        yield kills
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        if not watching.cancelled():
            watching.result()


async def at_rest(bot: ServedBot) -> None:
    """Wait until the homeserver has done what it was asked before the bot died; a new process would start later.

    A room that is still being created then is created twice, since no transaction id shows that it is the same request
    (docs/reliability.md). A simulated homeserver has read the last request before it reads the next one.
    """
    port = Homeserver(bot.session)
    before, now = None, set(await port.joined_rooms())
    while now != before:
        await asyncio.sleep(0.3 if ON_SYNAPSE else 0)
        before, now = now, set(await port.joined_rooms())
    await port.close()


def _bytes(bot: ServedBot) -> int:
    return sum(path.stat().st_size for path in (bot.data_dir / "records").rglob("*.jsonl"))


async def a_story(theatre: Theatre) -> Story:
    (operator,) = await theatre.people("operator")
    scene = await theatre.scene(SHORT, bot=f'operators = ["{operator.user}"]')
    story = Story(scene, operator)
    await open_direct(operator, scene.bot)
    await scene.bot.idle()
    return story


async def in_peace(story: Story) -> None:
    await story.tell()
    await story.scene.bot.idle()


async def with_kills(story: Story, back_to: Copy | None) -> int:
    bot = story.scene.bot
    async with killed(bot, back_to=back_to) as kills:
        await story.tell()
        await bot.idle()
    bot.must_live()
    await bot.idle()
    return len(kills)


async def test_the_bot_killed_after_any_record_does_everything_once(theatre: Theatre, tmp_path: Path) -> None:
    peaceful, killed_often, robbed = [await a_story(theatre) for _ in range(3)]
    back_to = robbed.scene.bot.copy_of_database()
    _, *kills = await asyncio.gather(in_peace(peaceful), with_kills(killed_often, None), with_kills(robbed, back_to))
    assert min(kills) >= 8  # at least once for each step of the story
    for story in (peaceful, killed_often, robbed):
        assert story.facts() == peaceful.facts()
        assert await story.said() == await peaceful.said()
        assert_sound(story)
        assert (await story.scene.levels()).get(story.people["manager"].user) == 50
    for name, story in (("killed", killed_often), ("robbed", robbed)):
        bot = story.scene.bot
        await bot.stop()
        live = {name: bot.table(name) for name in TABLES}
        (tmp_path / name).mkdir()
        again = await rebuilt(bot, tmp_path / name)
        assert {name: rows for name, rows in again.items() if rows != live[name]} == {}


def assert_sound(story: Story) -> None:
    """Check that the story went as it should."""
    bot = story.scene.bot
    assert [fact for fact in bot.facts(NotSeen) if fact.what != "down"] == []
    assigned = [(f.n, f.asked, story.names[f.subject]) for f in bot.facts(CaseAssigned)]
    assert assigned == [
        (1, "managers", "manager"),
        (1, "owner", "owner"),
        (1, "operator", "operator"),
        (2, "operator", "operator"),
    ]
    measures = [(f.kind, story.names[f.subject]) for f in bot.facts(SanctionStarted) if f.kind in ("demote", "rectify")]
    assert measures == [("demote", "manager"), ("demote", "owner"), ("rectify", "owner")]
    stated = bot.rows("SELECT n, count(*) FROM statements GROUP BY n ORDER BY n")
    assert stated == [(1, 1), (2, 2), (3, 1), (4, 1)]
    assert bot.rows("SELECT task, n FROM tasks WHERE done = 0") == []
    assert bot.rows("SELECT n, state FROM cases ORDER BY n") == [
        (1, "decided"),
        (2, "reversed"),
        (3, "decided"),
        (4, "decided"),
    ]
