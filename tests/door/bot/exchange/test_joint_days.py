"""The joint checkpoint of a day: one for all shards, whoever makes it, and nothing that does not hold is posted."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.exchange.joint_days import WAIT_MS, Choice, JointDays, JointTableAway
from bot.monitoring.trusted_time import Doubt
from moderation.model.actions.telling import Tell, TellAbove
from moderation.model.facts import ShardPinned
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.daily_checkpoints import Closing
from storage.journal.transparency.dated_closing import dated
from storage.journal.transparency.joint_checkpoint import JointCheckpoint, countersigned, open_joint
from storage.journal.transparency.log_key import load
from storage.journal.transparency.signed_note import MAX_SIGNATURES, Signer, signature_line, split_note
from tests.fakes.exchange import MemoryExchange
from tests.fakes.joint_table import MemoryJointTable
from tests.theatre.shard import NOON, Shard

DAY, DAY_MS = "2026-11-24", 86_400_000
MIDNIGHT = NOON + DAY_MS // 2
BASE, NAMES = "example.org", ("one", "two")


class Member:
    """One shard and what it thinks of joint checkpoints."""

    def __init__(self, shard: Shard, table: MemoryJointTable) -> None:
        self.shard = shard
        self.table = table
        self.vkeys: dict[str, str | None] = dict.fromkeys(name for name in NAMES if name != shard.name)
        self.doubt: Doubt | None = None
        table.vkeys[shard.name] = self.signer.verifier.text
        self.anew()

    def anew(self) -> None:
        """Begin with what a restart leaves."""
        stores = self.shard.stores
        parts = (self.shard.pipeline, stores.journal, stores.database)
        self.days = JointDays(self.table, *parts, BASE, self.shard.name, self.vkeys, lambda: self.doubt)

    @property
    def closing(self) -> Closing:
        return self.shard.stores.journal.closings.read(DAY)

    @property
    def signer(self) -> Signer:
        return load(self.shard.config.data_dir)

    def enters(self) -> None:
        """Let the database have its closing checkpoint."""
        self.table.enter(DAY, dated(Checkpoint.of_note(self.closing.note), DAY, self.signer))

    async def chooses(self, after_ms: int = 0) -> Choice | None:
        [choice] = await self.days.choose([self.closing], MIDNIGHT + after_ms)
        return choice

    async def posts(self, choice: Choice | None) -> str:
        assert choice is not None
        return (await self.days.again(self.closing, choice.joint)).note


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[tuple[Member, Member]]:
    """Provide two shards whose day is closed; the database has neither closing checkpoint yet."""
    table, shards = MemoryJointTable(), []
    for name in NAMES:
        shard = await Shard(name, tmp_path / name, MemoryExchange(), {}).open()
        await shard.room({"@olga:example.org": 100})
        shard.now = MIDNIGHT
        await shard.pipeline.journal.close_day()
        shards.append(Member(shard, table))
    yield shards[0], shards[1]
    for member in shards:
        await member.shard.close()


Two = tuple[Member, Member]


def joint_of(note: str, *members: Member) -> JointCheckpoint:
    """Return a joint checkpoint that each of these shards has signed."""
    found = [open_joint(note, [member.signer.verifier]) for member in members]
    return found[0]


def about(choice: Choice | None) -> tuple[str, str, list[str]]:
    """Return what a shard posts: what it speaks of, why it is its own, and what the operators are told."""
    assert choice is not None
    told = [action.lines[0].key for action in choice.told if isinstance(action, TellAbove)]
    return choice.joint, choice.why, told


async def test_all_shards_post_the_same_whoever_comes_first(members: Two) -> None:
    one, two = members
    for member in members:
        member.enters()
    first, second = await two.chooses(), await one.chooses()
    assert first == second
    notes = [await two.posts(first), await one.posts(second)]
    joint = joint_of(notes[0], two)
    assert joint_of(notes[1], one, two) == joint
    assert (joint.day, joint.names, joint.without) == (DAY, NAMES, ())
    assert [each.text for each in joint.closings] == [
        Checkpoint.of_note(member.closing.note).text for member in members
    ]


async def test_a_shard_waits_for_the_others_and_names_those_that_do_not_come(members: Two) -> None:
    one, two = members
    one.enters()
    assert await one.chooses() is None
    assert await one.chooses(WAIT_MS - 1) is None
    choice = await one.chooses(WAIT_MS)
    joint = joint_of(await one.posts(choice), one)
    assert (joint.names, joint.without) == (NAMES, ("two",))
    two.enters()
    assert about(await two.chooses(WAIT_MS + 1)) == ("", "without", [])
    assert about(await one.chooses(2 * WAIT_MS))[:2] == about(choice)[:2]


async def test_what_comes_meanwhile_is_taken_at_once(members: Two) -> None:
    one, two = members
    one.enters()
    assert await one.chooses() is None
    two.enters()
    assert joint_of(await one.posts(await one.chooses(1)), one).without == ()


async def test_after_an_outage_the_wait_is_the_same_for_all_days(members: Two) -> None:
    one, _ = members
    await one.shard.room({"@olga:example.org": 100})
    one.shard.now += DAY_MS
    await one.shard.pipeline.journal.close_day()
    days = [DAY, "2026-11-25"]
    closings = [one.shard.stores.journal.closings.read(day) for day in days]
    assert await one.days.choose(closings, one.shard.now) == [None, None]
    assert list(one.table.entered) == days  # the others see both at once
    choices = await one.days.choose(closings, one.shard.now + WAIT_MS)
    assert [about(choice)[1] for choice in choices] == ["", ""]
    assert list(one.table.notes) == days


async def test_a_clock_that_is_set_back_neither_ends_the_wait_nor_makes_it_endless(members: Two) -> None:
    one, _ = members
    one.enters()
    assert await one.chooses() is None
    assert await one.chooses(-DAY_MS) is None
    assert await one.chooses(WAIT_MS - DAY_MS) is not None


async def test_a_shard_whose_clock_is_ahead_leaves_out_nobody(members: Two) -> None:
    one, _ = members
    one.table.over = False  # by the server of the database
    assert await one.chooses() is None
    assert await one.chooses(WAIT_MS) is None
    one.table.over = True
    one.doubt = "homeserver"
    assert await one.chooses(WAIT_MS) is None
    one.doubt = "unheard"  # which is nothing against the clock
    assert joint_of(await one.posts(await one.chooses(WAIT_MS)), one).without == ("two",)


async def test_a_shard_whose_clock_is_ahead_makes_the_one_of_all(members: Two) -> None:
    one, two = members
    one.table.over, one.doubt = False, "homeserver"
    two.enters()
    assert joint_of(await one.posts(await one.chooses()), one).without == ()


async def test_a_restart_makes_no_second_one(members: Two) -> None:
    one, two = members
    one.enters()
    await one.chooses()
    first = await one.posts(await one.chooses(WAIT_MS))
    two.enters()
    one.anew()
    assert await one.posts(await one.chooses(WAIT_MS)) == first
    assert list(one.table.notes.values()) == [first]


async def test_a_database_that_does_not_answer_holds_it_up_until_the_wait_is_over(members: Two) -> None:
    one, two = members
    for member in members:
        member.enters()
    one.table.away = True
    assert await one.chooses() is None
    one.table.away = False
    choice = await one.chooses(1)
    assert about(choice)[1:] == ("", [])
    one.table.away = True
    assert await two.chooses() is None
    assert about(await two.chooses(WAIT_MS)) == ("", "late", [])
    assert await one.posts(choice)  # it was seen already
    one.anew()
    with pytest.raises(JointTableAway):
        await one.posts(choice)


async def test_one_that_the_database_does_not_keep_is_not_posted(members: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = members
    two.enters()
    monkeypatch.setattr(one.table, "put", lambda *_: None)
    assert await one.chooses() is None
    assert about(await one.chooses(WAIT_MS)) == ("", "late", [])


async def test_an_unknown_key_that_signed_is_recorded_and_told_once(members: Two) -> None:
    one, two = members
    for member in members:
        member.enters()
    await one.chooses()
    one.anew()
    await one.chooses()
    vkey = two.signer.verifier.text
    pinned = [fact for fact in one.shard.facts() if isinstance(fact, ShardPinned)]
    assert [(fact.origin, fact.vkey) for fact in pinned] == [("example.org/two", vkey)]


@pytest.mark.parametrize("known", ["settings", "recorded", "none"])
async def test_a_closing_that_is_not_signed_by_its_log_is_left_out_and_told(members: Two, known: str) -> None:
    one, two = members
    for member in members:
        member.enters()
    if known == "settings":
        one.vkeys["two"] = two.signer.verifier.text
        one.anew()
    elif known == "recorded":
        fact = ShardPinned(origin="example.org/two", vkey=two.signer.verifier.text)
        await one.shard.pipeline.commit((fact,))
    thief = Signer.generate("example.org/two")
    forged = dated(Checkpoint.of_note(two.closing.note), DAY, thief)
    vkey = thief.verifier.text if known != "none" else two.signer.verifier.text
    one.table.change(DAY, "two", note=forged, vkey=vkey)
    assert await one.chooses() is None
    choice = await one.chooses(WAIT_MS)
    assert joint_of(await one.posts(choice), one).without == ("two",)
    assert about(choice)[1:] == ("", ["shards.joint-left-out"])


@pytest.mark.parametrize("day", ["", "2026-11-23"])
async def test_a_checkpoint_of_another_day_is_as_good_as_missing_until_its_shard_looks(members: Two, day: str) -> None:
    """Else a writer of the database could bind a shard to what its log was long ago."""
    one, two = members
    two.enters()
    old = Checkpoint("example.org/two", 1, bytes(32))
    one.table.change(DAY, "two", note=dated(old, day, two.signer) if day else old.signed(two.signer))
    assert await one.chooses() is None
    assert joint_of(await two.posts(await two.chooses()), two).without == ()
    assert about(await one.chooses())[1:] == ("", [])


async def test_a_refused_closing_is_logged_once(members: Two) -> None:
    one, two = members
    two.enters()
    one.table.change(DAY, "two", note="nonsense")
    with capture_logs() as logged:
        for after_ms in (0, 5_000, WAIT_MS):
            await one.chooses(after_ms)
    assert [entry["shard"] for entry in logged if entry["event"] == "closing_refused"] == ["two"]


async def test_a_key_of_another_log_counts_for_none(members: Two) -> None:
    one, _ = members
    for member in members:
        member.enters()
    thief = Signer.generate("example.org/three")
    forged = dated(Checkpoint("example.org/three", 7, bytes(32)), DAY, thief)
    one.table.change(DAY, "two", note=forged, vkey=thief.verifier.text)
    assert await one.chooses() is None


async def _unsigned(one: Member, two: Member, joint: JointCheckpoint) -> str:
    return Signer.generate("example.org/one").sign(joint.text)


async def _altered(one: Member, two: Member, joint: JointCheckpoint) -> str:
    closing = Checkpoint("example.org/two", 99, bytes(32))
    other = JointCheckpoint.of(BASE, DAY, [joint.closings[0], closing], [])
    return countersigned(joint, two.signer).replace(joint.text, other.text)


async def _of_another_day(one: Member, two: Member, joint: JointCheckpoint) -> str:
    return countersigned(JointCheckpoint.of(BASE, "2026-11-23", joint.closings, []), two.signer)


async def _of_a_stranger_that_it_covers(one: Member, two: Member, joint: JointCheckpoint) -> str:
    thief = Signer.generate("example.org/three")
    closings = [*joint.closings, Checkpoint("example.org/three", 1, bytes(32))]
    return countersigned(JointCheckpoint.of(BASE, DAY, closings, []), thief)


async def _no_note(one: Member, two: Member, joint: JointCheckpoint) -> str:
    return "nonsense"


FORGERIES = [_unsigned, _altered, _of_another_day, _of_a_stranger_that_it_covers, _no_note]


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_what_somebody_wrote_into_the_database_is_not_posted(
    members: Two, forgery: Callable[[Member, Member, JointCheckpoint], Awaitable[str]]
) -> None:
    one, two = members
    for member in members:
        member.enters()
    joint = JointCheckpoint.of(BASE, DAY, [Checkpoint.of_note(member.closing.note) for member in members], [])
    one.table.notes[DAY] = await forgery(one, two, joint)
    for member in members:
        assert about(await member.chooses()) == ("", "forged", ["shards.joint-forged"])


async def test_lines_that_somebody_added_are_not_posted(members: Two) -> None:
    """Else a note would soon have too many lines to be one, or be too long for a message."""
    one, two = members
    for member in members:
        member.enters()
    await two.chooses()
    foreign = [signature_line(f"example.org/x{n}", bytes(700)) for n in range(MAX_SIGNATURES - 1)]
    one.table.notes[DAY] += "".join(foreign)
    note = await one.posts(await one.chooses())
    assert joint_of(note, one, two).without == ()
    assert [name for name, _ in split_note(note)[1]] == ["example.org/two", "example.org/one"]


async def test_one_that_says_something_else_of_another_log_is_not_posted(members: Two) -> None:
    """One compromised shard cannot let the others sign what it says of a third."""
    one, two = members
    one.vkeys["three"] = None
    one.anew()
    three = Signer.generate("example.org/three")
    truth, lie = (Checkpoint(three.name, size, bytes(32)) for size in (50, 60))
    for member in members:
        member.enters()
    one.table.vkeys["three"] = three.verifier.text
    one.table.enter(DAY, dated(truth, DAY, three))
    closings = [Checkpoint.of_note(member.closing.note) for member in members]
    one.table.notes[DAY] = countersigned(JointCheckpoint.of(BASE, DAY, [*closings, lie], []), two.signer)
    assert about(await one.chooses()) == ("", "other", ["shards.joint-other"])
    one.table.notes[DAY] = countersigned(JointCheckpoint.of(BASE, DAY, closings, ["three"]), two.signer)
    joint, *rest = about(await one.chooses())
    assert (bool(joint), *rest) == (True, "", ["shards.joint-left-out"])


async def test_a_shard_that_is_left_out_before_the_wait_is_over_tells_the_operators(members: Two) -> None:
    one, two = members
    for member in members:
        member.enters()
    await one.chooses()
    joint = JointCheckpoint.of(BASE, DAY, [Checkpoint.of_note(two.closing.note)], ["one"])
    one.table.notes[DAY] = countersigned(joint, two.signer)
    assert about(await one.chooses(WAIT_MS - 1)) == ("", "without", ["shards.joint-left-out"])
    assert about(await one.chooses(WAIT_MS)) == ("", "without", [])


async def test_one_that_names_more_shards_than_there_are_is_not_posted(members: Two) -> None:
    """Else a thief of one log's key could make it too long for a message."""
    one, two = members
    closings = [Checkpoint.of_note(member.closing.note) for member in members]
    joint = JointCheckpoint.of(BASE, DAY, closings, [f"x{n}" for n in range(9_000)])
    for member in members:
        member.enters()
    one.table.notes[DAY] = countersigned(joint, two.signer)
    assert about(await one.chooses()) == ("", "unnamed", ["shards.joint-unnamed"])


async def _removed(one: Member, two: Member) -> None:
    del one.table.notes[DAY]


async def _replaced(one: Member, two: Member) -> None:
    joint = JointCheckpoint.of(BASE, DAY, [Checkpoint.of_note(one.closing.note)], ["two"])
    one.table.notes[DAY] = countersigned(joint, one.signer)


async def _replaced_by_one_without_it(one: Member, two: Member) -> None:
    joint = JointCheckpoint.of(BASE, DAY, [Checkpoint.of_note(two.closing.note)], ["one"])
    one.table.notes[DAY] = countersigned(joint, two.signer)


async def _damaged(one: Member, two: Member) -> None:
    one.table.notes[DAY] = "nonsense"


async def _shard_added(one: Member, two: Member) -> None:
    one.vkeys["three"] = None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_removed, "gone"),
        (_replaced, "gone"),
        (_replaced_by_one_without_it, "gone"),
        (_damaged, "forged"),
        (_shard_added, "unnamed"),
    ],
)
async def test_one_that_does_not_hold_any_more_when_it_is_posted_is_told_once_with_the_reason(
    members: Two, change: Callable[[Member, Member], Awaitable[None]], why: str
) -> None:
    one, two = members
    for member in members:
        member.enters()
    choice = await one.chooses()
    assert choice is not None
    await change(one, two)
    one.anew()
    for _desk in range(2):
        assert about(await one.days.again(one.closing, choice.joint))[:2] == ("", why)
    told = [action.lines[0].key for action in await one.shard.actions() if isinstance(action, Tell)]
    assert [key for key in told if key.startswith("shards.joint")] == [f"shards.joint-{why}"]


async def test_one_that_says_something_else_of_this_log_is_not_posted(members: Two) -> None:
    one, two = members
    lie = Checkpoint("example.org/one", 3, bytes(32))
    joint = JointCheckpoint.of(BASE, DAY, [lie, Checkpoint.of_note(two.closing.note)], [])
    two.enters()
    two.table.notes[DAY] = countersigned(joint, two.signer)
    assert about(await one.chooses()) == ("", "other", ["shards.joint-other"])


async def test_one_that_leaves_out_a_shard_is_not_posted(members: Two) -> None:
    one, two = members
    for member in members:
        member.enters()
    await two.chooses()
    one.vkeys["three"] = None
    one.anew()
    assert about(await one.chooses()) == ("", "unnamed", ["shards.joint-unnamed"])
