"""A message of another shard is learnt if it is proved, and refused and told once if it is not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from bot.exchange import checking
from bot.exchange.checking import NotProved, _learnt
from bot.exchange.envelope import of_leaf
from bot.exchange.pinning import pin
from bot.exchange.port import Message
from bot.exchange.receiver import OtherShard
from moderation.model.actions.people import EraseAlso
from moderation.model.actions.telling import Tell
from moderation.model.facts import (
    CreditChanged,
    DataAsked,
    EntryConfirmed,
    Fact,
    Learnt,
    OrderedEverywhere,
    RecordsRestored,
    SanctionEnded,
    SanctionStarted,
    ShardPinned,
)
from moderation.model.reach import DEPLOYMENT
from moderation.values.ids import UserId
from storage.database.place import DatabasePlace
from storage.journal import journal
from storage.journal.line_format import open_line
from storage.journal.transparency.signed_note import NoteVerifier, Signer
from tests.fakes.exchange import MemoryExchange
from tests.theatre.opened import cut_end
from tests.theatre.shard import NOON, Shard, apart, origin_of
from tests.theatre.state_tables import StateTables

ANN, BEN, MO = "@ann:example.org", "@ben:example.org", "@mo:example.org"
BAN = SanctionStarted(kind="ban", until=NOON + 86_400_000, basis="operator", rule="barred", subject=UserId(ANN))


class Two:
    """Two shards, Ann in a room of each; Ben manages the room of the second."""

    def __init__(self, folder: Path) -> None:
        self.exchange = MemoryExchange()
        others = apart("one", "two")
        self.one = Shard("one", folder / "one", self.exchange, others["one"])
        self.two = Shard("two", folder / "two", self.exchange, others["two"])

    async def open(self) -> None:
        await self.one.open()
        await self.two.open()
        self.first = await self.one.room({MO: 50}, [ANN, BEN])
        self.second = await self.two.room({BEN: 50, MO: 50}, [ANN])

    def learnt(self) -> list[Learnt]:
        return [fact for fact in self.two.facts() if isinstance(fact, Learnt)]

    async def told(self) -> list[str]:
        actions = await self.two.actions()
        lines = [line for each in actions if isinstance(each, Tell) for line in each.lines]
        return [line.key.removeprefix("shards.") for line in lines if line.key.startswith("shards.")]

    def published(self) -> Message:
        [message] = self.exchange.messages.values()
        return message

    def put(self, message: Message) -> None:
        self.exchange.messages[message.origin, message.era, message.index] = message


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[Two]:
    two = Two(tmp_path)
    await two.open()
    yield two
    await two.one.close()
    await two.two.close()


async def test_a_charge_counts_in_the_other_shard_and_is_told_with_its_proof(shards: Two, tmp_path: Path) -> None:
    await shards.one.say(shards.first, ANN, "an elephant")
    assert await shards.one.exchanged() == 0
    assert await shards.two.exchanged() == 2
    [pinned, got] = [fact for fact in shards.two.facts() if isinstance(fact, ShardPinned | Learnt)]
    charge = next(fact for fact in shards.one.facts() if isinstance(fact, CreditChanged))
    assert isinstance(pinned, ShardPinned) and pinned.vkey == shards.one.stores.journal.vkey
    assert isinstance(got, Learnt)
    assert (got.what, got.subject, got.cost, got.rule, got.origin) == (
        "entry",
        ANN,
        charge.cost,
        "small",
        "example.org/one",
    )
    assert await shards.one.balance(ANN) == await shards.two.balance(ANN) == 90
    assert await shards.told() == ["pinned"]
    assert shards.two.problems() == ()
    assert await shards.two.differences(tmp_path / "again") == {}


async def test_a_violation_in_one_shard_takes_rights_in_the_other_once(shards: Two, tmp_path: Path) -> None:
    for _ in range(2):
        shards.one.now += 86_400_000
        await shards.one.say(shards.first, BEN, "plutonium")
    shards.two.now = shards.one.now
    await shards.one.exchanged()
    await shards.two.exchanged()
    demoted = [
        (shard.name, fact.subject)
        for shard in (shards.one, shards.two)
        for fact in shard.facts()
        if isinstance(fact, SanctionStarted) and fact.kind == "demote"
    ]
    assert demoted == [("two", BEN)]
    assert await shards.two.differences(tmp_path / "again") == {}


async def test_what_follows_is_not_lost_in_a_crash_right_after_it(shards: Two) -> None:
    before = StateTables(shards.two.config.place).copy()
    for _ in range(2):
        shards.one.now += 86_400_000
        await shards.one.say(shards.first, BEN, "plutonium")
    shards.two.now = shards.one.now
    await shards.one.exchanged()
    await shards.two.exchanged()
    whole = shards.two.facts()
    await shards.two.close()
    # The tables of before, and the log up to the last thing that was learnt.
    StateTables(shards.two.config.place).put_back(before)
    assert isinstance(whole[-1], SanctionStarted)
    _cut_after_learnt(shards.two.config.place)
    await shards.two.open()
    again = [fact for fact in shards.two.facts() if isinstance(fact, SanctionStarted) and fact.kind == "demote"]
    assert [fact.subject for fact in again] == [BEN]


def _cut_after_learnt(place: DatabasePlace) -> None:
    """Cut the open day after what was learnt last, and what was signed."""
    [day] = (place.data_dir / "records" / "day").glob("*.jsonl")
    lines = day.read_bytes().splitlines(keepends=True)
    learnt = max(n for n, line in enumerate(lines) if b'"k":"learnt"' in line)
    cut_end(place, len(lines) - learnt - 1)


async def test_nothing_is_learnt_twice(shards: Two) -> None:
    await shards.one.say(shards.first, ANN, "an elephant")
    await shards.one.exchanged()
    await shards.two.exchanged()
    await shards.two.again()
    assert await shards.two.exchanged() == 0
    await shards.one.again()
    assert await shards.one.publisher.flush() == 0
    assert len(shards.learnt()) == 1


async def test_how_far_a_log_was_read_is_noted_though_nothing_was_learnt_and_known_after_a_start(shards: Two) -> None:
    await shards.one.say(shards.first, ANN, "an elephant")
    await shards.one.publisher.flush()
    message = shards.published()
    leaf = open_line(message.body.encode()).leaf
    shards.put(replace(message, body=of_leaf(leaf)))  # purged meanwhile
    assert await shards.two.receiver.look() == 1, "the key"
    assert shards.exchange.read == {("two", "example.org/one"): ("-", message.index)}
    shards.exchange.read.clear()
    shards.put(replace(message, proof="{}"))  # which would be refused
    await shards.two.again()
    assert await shards.two.receiver.look() == 0
    assert await shards.told() == ["pinned"], "it was not read again"
    assert shards.exchange.read == {("two", "example.org/one"): ("-", message.index)}, "in case that was lost"
    assert shards.learnt() == []


async def test_the_same_record_told_twice_is_recorded_once_also_after_starts(shards: Two) -> None:
    charged = CreditChanged(
        room=shards.first,
        entry="charge",
        cost=5,
        grade="minor",
        rule="small",
        n=1,
        left=95,
        reach="garden",
        subject=UserId(ANN),
    )
    await shards.one.pipeline.commit((charged,))
    start = next(index for index, fact in _indexed(shards.one) if isinstance(fact, CreditChanged))
    for _ in range(2):
        await shards.one.pipeline.commit((EntryConfirmed(room=shards.first, start=start, n=1, subject=UserId(ANN)),))
        await shards.one.exchanged()
        await shards.two.exchanged()
    for _ in range(2):
        await shards.two.again()
        await shards.two.exchanged()
    assert len(shards.learnt()) == 1
    assert await shards.two.balance(ANN) == 95


async def test_what_was_recorded_while_the_exchange_was_down_is_published_later(shards: Two) -> None:
    shards.exchange.down = True
    await shards.one.say(shards.first, ANN, "an elephant")
    assert await shards.two.receiver.look() == 0
    await shards.one.again()
    shards.exchange.down = False
    await shards.one.exchanged()
    await shards.two.exchanged()
    assert len(shards.learnt()) == 1


async def test_a_log_that_the_settings_do_not_name_is_not_read(shards: Two, tmp_path: Path) -> None:
    stranger = await Shard("stranger", tmp_path / "stranger", shards.exchange, {}).open()
    room = await stranger.room({}, [ANN])
    await stranger.say(room, ANN, "an elephant")
    await stranger.publisher.flush()
    await shards.two.exchanged()
    assert shards.learnt() == []
    await stranger.close()


def _other_signature(message: Message) -> Message:
    proof = orjson.loads(message.proof)
    head, _, tail = proof["proofs"][0].rpartition(" ")
    proof["proofs"] = [f"{head} {'A' * (len(tail) - 3)}=\n" if tail.endswith("=\n") else f"{head} AAAAAAAA\n"]
    return replace(message, proof=orjson.dumps(proof).decode())


def _other_person(message: Message) -> Message:
    return replace(message, body=message.body.replace(ANN, BEN))


def _other_cost(message: Message) -> Message:
    return replace(message, body=message.body.replace('"cost":10', '"cost":99'))


def _other_place(message: Message) -> Message:
    return replace(message, index=message.index + 1)


FORGED: dict[str, Any] = {
    "signature": _other_signature,
    "part": _other_person,
    "inclusion": _other_cost,
    "inclusion-place": _other_place,
    "form": lambda message: replace(message, proof="{}"),
    "form-body": lambda message: replace(message, body="nothing\nof\nthe kind"),
    "form-json": lambda message: replace(message, proof='{"vkey":1,"before":"x","consistency":[1],"proofs":[2]}'),
}

CONTINUED = ("part", "inclusion", "inclusion-place", "form-body")  # these still prove that the log goes on


@pytest.mark.parametrize("what", FORGED)
async def test_what_is_forged_is_refused_told_once_and_stops_nothing_else(shards: Two, what: str) -> None:
    await shards.one.say(shards.first, MO, "an elephant")  # a manager: nothing is charged
    await shards.one.say(shards.first, BEN, "an elephant")
    await shards.one.exchanged()
    await shards.two.exchanged()  # now the key is known
    await shards.one.say(shards.first, ANN, "an elephant")
    await shards.one.exchanged()
    right = list(shards.exchange.messages.values())[-1]
    del shards.exchange.messages[right.origin, right.era, right.index]
    shards.put(FORGED[what](right))
    for _ in range(2):
        assert await shards.two.receiver.look() == 0
    assert await shards.told() == ["pinned", f"refused-{what.partition('-')[0]}"]
    shards.exchange.messages.pop((right.origin, right.era, right.index + 1), None)
    shards.put(right)
    assert await shards.two.receiver.look() == 1
    assert await shards.two.balance(ANN) == 90


async def _forged_and_a_later_one(shards: Two, what: str) -> Message:
    """Let the second of three messages, each with a checkpoint of its own, be forged. Returns what was right."""
    for n, (user, words) in enumerate(((BEN, "an elephant"), (ANN, "an elephant"), (ANN, "plutonium"))):
        await shards.one.say(shards.first, user, words)
        await shards.one.exchanged()
        if n == 0:
            await shards.two.exchanged()  # now the key is known
    right = sorted(shards.exchange.messages.values(), key=lambda message: message.index)[1]
    if what in FORGED:
        del shards.exchange.messages[right.origin, right.era, right.index]
        shards.put(FORGED[what](right))
    return right


@pytest.mark.parametrize("what", [*CONTINUED, "content"])
async def test_what_comes_after_a_refused_message_is_taken(
    shards: Two, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = await _forged_and_a_later_one(shards, what)
    if what == "content":  # as if the other shard were of a later version

        def unknown(message: Message, *args: Any, **more: Any) -> Learnt | None:
            if message.index == right.index:
                raise NotProved("content")
            return _learnt(message, *args, **more)

        monkeypatch.setattr(checking, "_learnt", unknown)
    assert await shards.two.receiver.look() == 1
    assert await shards.told() == ["pinned", f"refused-{what.partition('-')[0]}"]
    await shards.one.say(shards.first, BEN, "plutonium")
    await shards.one.exchanged()
    await shards.two.again()
    assert await shards.two.receiver.look() == 1
    assert await shards.told() == ["pinned", f"refused-{what.partition('-')[0]}"]


@pytest.mark.parametrize("what", sorted({*FORGED} - {*CONTINUED}))
async def test_what_comes_after_a_message_without_a_proof_waits_until_that_is_there(shards: Two, what: str) -> None:
    right = await _forged_and_a_later_one(shards, what)
    assert await shards.two.receiver.look() == 0
    assert await shards.told() == ["pinned", f"refused-{what.partition('-')[0]}", "refused-gap"]
    shards.put(right)
    assert await shards.two.receiver.look() == 2
    assert await shards.two.balance(ANN) == await shards.one.balance(ANN)


_ORDER = OrderedEverywhere(until=0, n=1, subject=UserId(ANN), by=UserId("@op:example.org"))
_CHARGE = CreditChanged(
    entry="charge", cost=10, grade="moderate", rule="small", left=0, reach=DEPLOYMENT, subject=UserId(ANN)
)
UNRECORDABLE: dict[str, Fact] = {
    "a Matrix id as a word": replace(_CHARGE, rule=BEN),
    "a text that PostgreSQL cannot keep": replace(_ORDER, reason="a\0b"),
    "a text beyond all measure": replace(_ORDER, reason="x" * 70_000),
}


@pytest.mark.parametrize("what", UNRECORDABLE)
async def test_what_no_record_can_hold_is_refused_and_what_comes_after_it_is_taken(
    shards: Two, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as unchecked:  # the other shard runs another program, with the right key
        unchecked.setattr(journal, "check_draft", lambda _draft: None)
        await shards.one.pipeline.commit((UNRECORDABLE[what],))
    await shards.one.say(shards.first, ANN, "an elephant")
    await shards.one.exchanged()
    await shards.two.receiver.look()
    assert sorted(await shards.told()) == ["pinned", "refused-content"]
    assert [got.rule for got in shards.learnt()] == ["small"]


@pytest.mark.parametrize("era", ["a b", "é", "x" * 65, BEN, ""])
async def test_an_era_that_no_record_can_hold_is_refused(shards: Two, era: str) -> None:
    await shards.one.say(shards.first, ANN, "an elephant")
    await shards.one.exchanged()
    right = shards.published()
    shards.exchange.messages.clear()
    shards.put(replace(right, era=era))
    await shards.two.receiver.look()
    await shards.two.again()
    await shards.two.receiver.look()
    assert (shards.learnt(), set(await shards.told())) == ([], {"refused-form"})


async def test_a_key_in_the_settings_holds_and_no_other(shards: Two) -> None:
    await shards.one.say(shards.first, ANN, "an elephant")
    await shards.one.exchanged()
    await shards.two.close()
    shards.two.others = {origin_of("one"): OtherShard("one", shards.one.stores.journal.vkey)}
    await shards.two.open()
    assert await shards.two.receiver.look() == 1
    assert await shards.told() == []


async def test_of_several_keys_that_are_met_at_once_one_holds_and_is_told_once(shards: Two) -> None:
    right = NoteVerifier.parse(shards.one.stores.journal.vkey)
    other = Signer.generate(origin_of("one")).verifier
    to = shards.two.pipeline, shards.two.stores.database
    held = await asyncio.gather(*(pin(*to, key) for key in (right, right, other)))
    assert held == [True, True, False]
    assert [fact.vkey for fact in shards.two.facts() if isinstance(fact, ShardPinned)] == [right.text]
    assert await shards.told() == ["pinned"]


async def test_a_message_that_is_missing_stops_the_log_until_it_is_there(shards: Two) -> None:
    for user in (BEN, ANN):
        await shards.one.say(shards.first, user, "an elephant")
        await shards.one.exchanged()
        if user == BEN:
            await shards.two.exchanged()
    await shards.one.say(shards.first, ANN, "plutonium")
    await shards.one.exchanged()
    middle = sorted(shards.exchange.messages.values(), key=lambda message: message.index)[1]
    del shards.exchange.messages[middle.origin, middle.era, middle.index]
    assert await shards.two.receiver.look() == 0
    assert await shards.told() == ["pinned", "refused-gap"]
    shards.put(middle)
    assert await shards.two.receiver.look() == 2
    assert await shards.two.balance(ANN) == await shards.one.balance(ANN)


async def test_a_shard_from_an_old_backup_without_saying_so_is_noticed_and_what_was_learnt_stands(
    shards: Two, tmp_path: Path
) -> None:
    await shards.one.close()
    shards.one.copy_to(tmp_path / "backup")
    await shards.one.open()
    await shards.one.say(shards.first, ANN, "an elephant")
    await shards.one.exchanged()
    await shards.two.exchanged()
    await shards.one.close()
    shards.one.replace_by(tmp_path / "backup")
    await shards.one.open()
    for _ in range(3):
        shards.one.now += 86_400_000
        await shards.one.say(shards.first, BEN, "an elephant")
    await shards.one.exchanged()
    await shards.two.receiver.look()
    assert await shards.told() == ["pinned", "refused-fork"]
    assert await shards.two.balance(ANN) == 90
    assert len(shards.learnt()) == 1


async def test_a_shard_that_says_it_goes_on_from_a_backup_is_read_on(shards: Two, tmp_path: Path) -> None:
    await shards.one.close()
    shards.one.copy_to(tmp_path / "backup")
    await shards.one.open()
    await shards.one.say(shards.first, ANN, "an elephant")
    await shards.one.exchanged()
    await shards.two.exchanged()
    await shards.one.close()
    shards.one.replace_by(tmp_path / "backup")
    await shards.one.open()
    restored = RecordsRestored(era="r7", made=NOON, cases=100, size=1)
    await shards.one.pipeline.commit((restored,))
    await shards.one.say(shards.first, BEN, "an elephant")
    await shards.one.again()
    await shards.one.exchanged()
    await shards.two.exchanged()
    assert [fact.what for fact in shards.learnt()] == ["entry", "restored", "entry"]
    assert [await shards.two.balance(user) for user in (ANN, BEN)] == [90, 90]
    assert await shards.told() == ["pinned", "restored"]


async def test_a_ban_from_every_room_and_its_end_hold_in_the_other_shard(shards: Two) -> None:
    await shards.one.pipeline.commit((BAN,))
    await shards.one.exchanged()
    await shards.two.exchanged()
    start = next(index for index, fact in _indexed(shards.one) if fact == replace(BAN, on=index))
    ended = SanctionEnded(start=start, kind="ban", why="reversed", subject=UserId(ANN))
    await shards.one.pipeline.commit((ended,))
    await shards.one.exchanged()
    await shards.two.exchanged()
    assert [fact.what for fact in shards.learnt()] == ["barred", "admitted"]
    aligned = [type(each).__name__ for each in await shards.two.actions()]
    assert {"Align", "InviteBack"} <= set(aligned)


def _indexed(shard: Shard) -> list[tuple[int, Any]]:
    from storage.record_mapping import fact_of_record

    read = ((record.index, fact_of_record(record, lambda _: None)) for record in shard.stores.journal.read())
    return [(index, fact) for index, fact in read if fact is not None]


async def test_an_erasure_reaches_the_other_shard_and_leaves_the_exchange(shards: Two) -> None:
    await shards.one.say(shards.first, ANN, "an elephant")
    await shards.one.exchanged()
    await shards.two.exchanged()
    await shards.one.pipeline.commit((DataAsked(what="erase-confirmed", subject=UserId(ANN)),))
    await shards.one.exchanged()
    await shards.two.exchanged()
    orders = [each for each in await shards.two.actions() if isinstance(each, EraseAlso)]
    assert [(each.subject, each.again) for each in orders] == [(ANN, False)]
