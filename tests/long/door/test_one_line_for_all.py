"""Two shards close a day: their desks get the same joint checkpoint, once, and what is forged is not posted."""

import shutil
from pathlib import Path

import psycopg
import pytest

from bot.config.config import parse_config
from bot.config.shards import of_shard
from bot.exchange.joint_days import WAIT_MS
from moderation.model.facts import CheckpointAnchored
from moderation.values.ids import RoomId
from storage.journal.joint_table import JointTable
from storage.journal.line_format import day_of
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.joint_checkpoint import JointCheckpoint, countersigned, joint_in
from storage.journal.transparency.signed_note import Signer, split_note
from tests.door.bot.effects.test_anchors import closing, closings_seen, midnight, put
from tests.long.door.test_two_shards import two_shards
from tests.people.client import Client
from tests.theatre.by_command import Operator
from tests.theatre.scene import Theatre, ask
from tests.theatre.served import ServedBot, like
from tests.theatre.state_tables import StateTables


class Story:
    """Two shards, each with a room and its desk, in the middle of a day."""

    def __init__(
        self, theatre: Theatre, bots: tuple[ServedBot, ServedBot], people: list[Client], desks: list[RoomId]
    ) -> None:
        self.theatre = theatre
        self.bots = bots
        self.people = people
        self.desks = desks
        self.day = day_of(bots[0].clock())

    def goes_to(self, now_ms: int) -> None:
        """Let the clocks of both show this time."""
        for bot in self.bots:
            put(bot, now_ms)

    async def wakes(self, *numbers: int) -> None:
        """Let somebody say something to these bots, which look at their clocks then."""
        for number in numbers:
            await self.people[number].send_text(self.desks[number], "!cases")

    async def note(self, number: int, day: str) -> str:
        """Return what is posted in a desk for a day."""
        return await closing(self.people[number], self.bots[number], self.desks[number], day)

    async def says(self, number: int, key: str) -> None:
        """Wait until something was said in a desk."""
        words, bot = like(key), self.bots[number]
        await self.people[number].wait_event(
            self.desks[number], lambda seen: seen.sender == bot.user and bool(words.search(seen.body)), what=key
        )


@pytest.fixture
async def story(
    theatre: Theatre, tmp_path: Path, postgres_url: str, short_waits: None, monkeypatch: pytest.MonkeyPatch
) -> Story:
    monkeypatch.setattr("bot.effects.anchor_day.JOINT_MS", 50)
    monkeypatch.setattr(JointTable, "is_over", lambda *_: True)  # the server has no clock of the test
    bots = await two_shards(theatre, tmp_path, postgres_url)
    people = await theatre.people("olga", "otto")
    rooms = [await theatre.room(bot, owner) for bot, owner in zip(bots, people, strict=True)]
    desks = [await theatre.enter_desk(*each) for each in zip(bots, rooms, people, strict=True)]
    return Story(theatre, bots, people, desks)


async def test_both_desks_get_the_same_and_get_it_once(story: Story) -> None:
    one, _ = story.bots
    story.goes_to(midnight(one) + 1_000)
    await story.wakes(0, 1)
    notes = [await story.note(number, story.day) for number in (0, 1)]
    assert joint_in(notes[0]) == joint_in(notes[1])
    assert (joint_in(notes[0]).names, joint_in(notes[0]).without) == (("one", "two"), ())
    for number, bot in enumerate(story.bots):
        vkey = (bot.data_dir / "records" / "log.vkey").read_text().strip().split("+")[0]
        assert vkey in {name for name, _ in split_note(notes[number])[1]}
        await bot.until(lambda bot=bot: len(bot.facts(CheckpointAnchored)) == 1, "the record")  # type: ignore[misc]
        assert bot.facts(CheckpointAnchored)[-1].joint == joint_in(notes[0]).root_text
        await bot.restart()
    story.goes_to(one.clock() + WAIT_MS + 1_000)
    await story.wakes(0, 1)
    for number, bot in enumerate(story.bots):
        await bot.idle()
        assert await closings_seen(story.people[number], bot, story.desks[number], [story.day]) == [story.day]


async def test_a_machine_that_takes_over_posts_no_second_one(story: Story, tmp_path: Path) -> None:
    one, _ = story.bots
    story.goes_to(midnight(one) + 1_000)
    await story.wakes(0, 1)
    first = await story.note(0, story.day)
    await one.until(lambda: len(one.facts(CheckpointAnchored)) == 1, "the record")
    await one.stop()
    moves_to(one, tmp_path / "second")
    one.start()
    await ask(story.people[0], one, story.desks[0], "!cases")
    await one.idle()
    assert await closings_seen(story.people[0], one, story.desks[0], [story.day]) == [story.day]
    day = day_of(one.clock())
    story.goes_to(midnight(one) + 1_000)
    await story.wakes(0, 1)
    joint = joint_in(await story.note(0, day))
    assert (joint.names, joint.without) == (("one", "two"), ())
    assert joint.root != joint_in(first).root


def moves_to(bot: ServedBot, folder: Path) -> None:
    """Let the stopped bot be on another machine, to which its keys were copied."""
    text = bot.config.file.read_text()
    config = of_shard(parse_config(folder / "config.toml", text, {}), bot.config.shard)
    shutil.copytree(bot.data_dir / "keys", config.data_dir / "keys")
    bot.config, bot.data_dir, bot.state = config, config.data_dir, StateTables(config.place)


async def test_the_command_verifies_what_a_desk_shows(story: Story, tmp_path: Path) -> None:
    one, _ = story.bots
    story.goes_to(midnight(one) + 1_000)
    await story.wakes(0, 1)
    for number, name in enumerate(("one", "two")):
        note = await story.note(number, story.day)
        (tmp_path / "kept.txt").write_text(note)
        operator = Operator(story.bots[number].config.file.parent)
        for kept in (str(tmp_path / "kept.txt"), joint_in(note).root_text):
            said = (await operator.done("logs", "verify", "--shard", name, "--against", kept, "--json")).json
            assert (said["ok"], said["joint"]["stored"]) == (True, "same")
            states = {each["shard"]: each["state"] for each in said["joint"]["shards"]}
            assert states == {"one": "elsewhere", "two": "elsewhere"} | {name: "verified"}


async def test_a_shard_that_is_down_is_named_and_posts_its_own_when_it_is_back(story: Story) -> None:
    one, two = story.bots
    await two.crash()
    waits = [entry["event"] for entry in story.theatre.logged].count("joint_checkpoint_waits")
    story.goes_to(midnight(one) + 1_000)
    await story.wakes(0)
    await story.theatre.until_logged("joint_checkpoint_waits", times=waits + 1)
    story.goes_to(one.clock() + WAIT_MS)
    await story.wakes(0)
    joint = joint_in(await story.note(0, story.day))
    assert ([joint.name_of(each) for each in joint.closings], joint.without) == (["one"], ("two",))
    await story.says(0, "anchor.joint-without")
    two.start()
    own = await story.note(1, story.day)
    assert own.startswith("localhost/answerable/two\n")
    await story.says(1, "anchor.own.without")


async def test_what_somebody_wrote_into_the_database_is_not_posted(story: Story, postgres_url: str) -> None:
    one, _ = story.bots
    story.theatre.expected.add("joint_checkpoint_refused")
    lie = Checkpoint("localhost/answerable/one", 1, bytes(32))
    joint = JointCheckpoint.of("localhost/answerable", story.day, [lie], ["two"])
    forged = countersigned(joint, Signer.generate(lie.origin))
    with psycopg.connect(postgres_url, autocommit=True) as db:
        row = (story.day, joint.root_text, forged, "one")
        db.execute("INSERT INTO answerable_shared.joint_checkpoints VALUES (%s, %s, %s, %s)", row)
    story.goes_to(midnight(one) + 1_000)
    await story.wakes(0, 1)
    for number, name in enumerate(("one", "two")):
        assert (await story.note(number, story.day)).startswith(f"localhost/answerable/{name}\n")
        await story.says(number, "anchor.own.forged")
