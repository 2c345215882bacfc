"""Each closing checkpoint is processed once, whatever happens; outside services never block anything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.app import make_operations
from bot.config.config import Config, parse_config
from bot.config.deployment import AnchorSettings
from bot.crypto.encrypting_client import SealedHomeserver
from bot.effects.anchor_day import Closer, txn_of
from bot.effects.anchor_outside import OutsideAnchorer, Patience
from bot.effects.witness import WitnessClient
from bot.outbox.dispatcher import OutboxDispatcher
from bot.outbox.handler import Done, Services
from bot.pipeline.event_reader import PlainReader
from bot.pipeline.replay import Rooms, rebuild
from bot.runtime.clock import Clock
from bot.scheduler.digest import Digester
from bot.scheduler.scheduler import Scheduler
from bot.startup import Stores, make_pipeline, open_stores
from bot.sync.presence import Presence
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from moderation.model.actions.anchors import Anchor, Timestamp, Witness
from moderation.model.actions.base import Action
from moderation.model.facts import ActionTaken, CheckpointAnchored, Fact, RoomEntered, RoomStateChanged
from moderation.values.ids import GroupCode, RoomId, UserId
from storage import outbox
from storage.journal.transparency import timestamp
from storage.journal.transparency.cosignature import Cosigner, cosigned
from storage.journal.transparency.daily_checkpoints import Closing, Closings
from storage.journal.transparency.proof import Prover
from storage.journal.transparency.tiles import Tiles
from storage.journal.verify.verify import verify
from storage.projections import set_meta
from storage.record_mapping import fact_of_record
from storage.state import anchor_progress
from tests.fakes.tsa import FakeTsa
from tests.fakes.witness import FakeWitness
from tests.theatre.state_tables import StateTables

NOON = 1_795_521_600_000  # 2026-11-24T12:00:00Z
MIDNIGHT = NOON + 43_200_000
DAY_MS = 86_400_000
DAYS = ["2026-11-24", "2026-11-25", "2026-11-26"]
BOT = UserId("@answerable:example.org")
ONE, TWO = RoomId("!one:example.org"), RoomId("!two:example.org")
CODES = {ONE: GroupCode("G-7F3K"), TWO: GroupCode("G-2ABC")}
HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n[bot]\ndata_dir = "."\n'
OUTSIDE = {  # the handlers decide what is asked of whom
    "witness_url": "http://127.0.0.1:1",
    "witness_vkey": "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
}
SOON = Patience(tries=3, first_ms=1, last_ms=2)


class Deployment:
    """Journal, database and pipeline of one data directory, without a homeserver, on a clock that the test sets."""

    def __init__(self, config: Config, stores: Stores, settings: AnchorSettings) -> None:
        self.config = config
        self.now = NOON
        self.data_dir = config.data_dir
        self.state = StateTables(config.place)
        self.stores = stores
        self.settings = settings
        self.pipeline = make_pipeline(config, BOT, config.policy, stores, lambda: self.now, PlainReader())
        self.closings = Closings(stores.journal.folder)
        self.closer = self.new_closer()

    def new_closer(self) -> Closer:
        """Return a closer as after a restart, which knows only what is on disk."""
        return Closer(self.stores.database, self.pipeline, self.closings, self.settings, lambda: self.now)

    def services(self, homeserver: SealedHomeserver) -> Services:
        """Return what a handler of actions works with, on this homeserver."""
        speech = Speech(Catalog.load(), self.config.policy, "en")
        return Services(
            homeserver, self.stores.database, self.pipeline, speech, lambda: self.now, self.config.policy, "!"
        )

    async def enter(self, *rooms: RoomId) -> None:
        for room in rooms:
            entered = RoomEntered(room=room, code=CODES[room], purpose="group", room_id=room)
            await self.pipeline.commit((entered, RoomStateChanged(room=room, condition="protected")))

    async def waiting(self) -> list[Action]:
        async with self.stores.database.read() as db:
            return [row.action for row in await outbox.due_rows(db, self.now + 10 * DAY_MS, 100)]

    async def last_day(self) -> str | None:
        async with self.stores.database.read() as db:
            return await anchor_progress.last_day(db)

    def facts(self) -> list[Fact]:
        rooms, found = Rooms({}), []
        for record in self.stores.journal.read():
            if fact := fact_of_record(record, rooms.of):
                rooms.learn(fact)
                found.append(fact)
        return found

    def anchors(self) -> list[CheckpointAnchored]:
        return [fact for fact in self.facts() if isinstance(fact, CheckpointAnchored)]

    async def over_midnight(self, days: int = 1) -> None:
        self.now = (self.now // DAY_MS + days) * DAY_MS + 5
        await self.closer.look()

    @asynccontextmanager
    async def acting(self, **handlers: Any) -> AsyncIterator[None]:
        """Run a dispatcher inside this block; an action without a handler is never due here."""
        by_type: dict[type[Action], Any] = {
            {"witness": Witness, "timestamp": Timestamp, "anchor": Anchor}[name]: handler
            for name, handler in handlers.items()
        }
        async with self.sending(by_type):
            yield

    @asynccontextmanager
    async def sending(self, by_type: dict[type[Action], Any]) -> AsyncIterator[None]:
        """Run a dispatcher with these handlers inside this block."""
        actor = OutboxDispatcher(self.stores.database, self.pipeline, by_type, lambda: self.now)
        task = asyncio.create_task(actor.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    def scheduler(self, clock: Clock) -> Scheduler:
        """Return the scheduler of this deployment, on this clock."""
        operations = make_operations(self.config, self.stores, self.pipeline, clock)
        return Scheduler(
            self.stores.database,
            self.pipeline,
            clock,
            self.data_dir,
            self.closer,
            operations,
            Digester(self.stores.database, self.pipeline, self.config.policy, clock, at="", zone="UTC"),
            Presence(),
            _nothing_asked,
            behind=lambda: False,
        )

    async def until_empty(self, kind: type[Action] = Action) -> None:
        async with asyncio.timeout(120):
            while any(isinstance(action, kind) for action in await self.waiting()):
                self.now += 1
                await asyncio.sleep(0.005)


@asynccontextmanager
async def deployment(folder: Path, **settings: Any) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as stack:
        config = parse_config(folder / "config.toml", HEAD, {})
        stores = await open_stores(config, stack, lambda: NOON)
        place = Deployment(config, stores, AnchorSettings(**settings))
        async with stores.database.write() as db:
            await set_meta(db, "applied", str(stores.journal.size))  # the first record, which changes nothing there
        await place.pipeline.begin()
        yield place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployment(tmp_path) as place:
        yield place
    assert verify(tmp_path / "records").problems == ()


class TestClosing:
    async def test_queues_one_anchor_a_group_when_the_day_is_over(self, place: Deployment) -> None:
        await place.enter(ONE, TWO)
        await place.closer.look()
        assert (await place.waiting(), place.closings.days()) == ([], [])
        await place.over_midnight()
        assert await place.waiting() == [Anchor(room=ONE, day=DAYS[0]), Anchor(room=TWO, day=DAYS[0])]
        assert place.closings.days() == DAYS[:1]

    async def test_happens_once(self, place: Deployment) -> None:
        await place.enter(ONE)
        await place.over_midnight()
        await place.closer.look()
        await place.new_closer().look()
        assert await place.waiting() == [Anchor(room=ONE, day=DAYS[0])]

    async def test_is_noticed_by_a_record_of_the_next_day(self, place: Deployment) -> None:
        await place.enter(ONE)
        await place.closer.look()
        place.now = MIDNIGHT + 1
        await place.enter(TWO)  # closes the day; the second group has nothing in it
        await place.closer.look()
        assert await place.waiting() == [Anchor(room=ONE, day=DAYS[0])]

    async def test_spans_days_without_records_as_one(self, place: Deployment) -> None:
        await place.enter(ONE)
        await place.over_midnight(days=30)
        assert await place.waiting() == [Anchor(room=ONE, day=DAYS[0])]

    async def test_happens_again_the_next_day(self, place: Deployment) -> None:
        await place.enter(ONE)
        await place.over_midnight()
        await place.enter(TWO)
        await place.over_midnight()
        queued = [Anchor(room=ONE, day=DAYS[0]), Anchor(room=ONE, day=DAYS[1]), Anchor(room=TWO, day=DAYS[1])]
        assert await place.waiting() == queued

    async def test_begins_with_the_newest_day_if_the_log_never_anchored(self, place: Deployment) -> None:
        await place.enter(ONE)
        for number in range(3):
            place.now = NOON + (number + 1) * DAY_MS
            await place.pipeline.journal.close_day()
            await place.pipeline.commit((RoomStateChanged(room=ONE, condition="protected"),))
        await place.closer.look()
        assert await place.waiting() == [Anchor(room=ONE, day=DAYS[2])]

    async def test_leaves_out_groups_that_are_not_served_any_more(self, place: Deployment) -> None:
        await place.enter(ONE, TWO)
        await place.pipeline.commit((RoomStateChanged(room=TWO, condition="left"),))
        await place.over_midnight()
        assert await place.waiting() == [Anchor(room=ONE, day=DAYS[0])]

    async def test_happens_without_any_group(self, place: Deployment) -> None:
        await place.over_midnight()
        assert (await place.waiting(), await place.last_day()) == ([], DAYS[0])

    async def test_tolerates_a_damaged_checkpoint(self, tmp_path: Path) -> None:
        async with deployment(tmp_path) as place:
            await place.enter(ONE)
            await place.pipeline.journal.close_day()
            place.now = MIDNIGHT + 1
            await place.pipeline.journal.close_day()
            (place.stores.journal.folder / "checkpoints" / f"{DAYS[0]}.ckpt").write_text("gone")
            await place.closer.look()
            assert await place.waiting() == []

    @pytest.mark.parametrize(("globs", "rooms"), [(["G-2ABC", "G-9"], [TWO]), (["!one:*"], [ONE])])
    async def test_is_posted_in_the_configured_rooms(
        self, tmp_path: Path, globs: list[str], rooms: list[RoomId]
    ) -> None:
        async with deployment(tmp_path, rooms=tuple(globs)) as place:
            await place.enter(ONE, TWO)
            await place.over_midnight()
            queued = [action for action in await place.waiting() if isinstance(action, Anchor)]
            assert [action.room for action in queued if action.where == "room"] == rooms
            assert [action.room for action in queued if action.where == "desk"] == [ONE, TWO]

    async def test_is_known_again_from_the_journal_alone(self, tmp_path: Path) -> None:
        async with deployment(tmp_path) as place:
            await place.enter(ONE)
            await place.over_midnight()
            done = CheckpointAnchored(room=ONE, where="desk", size=3, day=DAYS[0], made="$event")
            await place.pipeline.commit((done,))
        place.state.lose()
        async with deployment(tmp_path) as place:
            place.now = MIDNIGHT + 10
            assert await place.last_day() is None
            await rebuild(place.stores.journal, place.stores.database)
            assert await place.last_day() == DAYS[0]
            await place.pipeline.begin()
            await place.closer.look()
            assert await place.waiting() == []

    async def test_never_goes_back(self, place: Deployment) -> None:
        for day in (DAYS[1], DAYS[0]):
            async with place.stores.database.write() as db:
                await anchor_progress.advance(db, day)
        assert await place.last_day() == DAYS[1]

    async def test_is_done_by_the_scheduler_which_wakes_for_it(self, place: Deployment) -> None:
        await place.enter(ONE)
        now = MIDNIGHT - 200
        loop = asyncio.get_running_loop()
        begun = loop.time()

        def clock() -> int:
            place.now = now + int((loop.time() - begun) * 1000)
            return place.now

        scheduler = place.scheduler(clock)
        task = asyncio.create_task(scheduler.run())
        async with asyncio.timeout(120):
            while not await place.waiting():
                clock()
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        assert await place.waiting() == [Anchor(room=ONE, day=DAYS[0])]


class TestWitness:
    async def test_cosigns_each_day_and_the_line_is_kept(self, tmp_path: Path) -> None:
        async with FakeWitness(tree=True) as witness, deployment(tmp_path, **OUTSIDE) as place:
            witness.trust(place.stores.journal.vkey)
            async with place.acting(witness=handler(place, witness)):
                for _ in range(2):
                    await place.over_midnight()
                    await place.until_empty()
        sizes = [place.closings.read(day).size for day in DAYS[:2]]
        assert [asked.old for asked in witness.asked] == [0, sizes[0]]
        assert place_anchors(place) == [
            ("witness", DAYS[0], sizes[0], "done", f"checkpoints/{DAYS[0]}.ckpt"),
            ("witness", DAYS[1], sizes[1], "done", f"checkpoints/{DAYS[1]}.ckpt"),
        ]
        cosigners = [Cosigner.parse(key) for key in witness.vkeys]
        assert [cosigned(place.closings.read(DAYS[0]).note, each) for each in cosigners] == [witness.now_s] * 2
        assert verify(tmp_path / "records", witnesses=cosigners).problems == ()

    async def test_that_comes_back_in_time_is_asked_again(self, tmp_path: Path) -> None:
        async with FakeWitness() as witness, deployment(tmp_path, **OUTSIDE) as place:
            witness.trust(place.stores.journal.vkey)
            witness.will(web.Response(status=503), web.Response(text="nonsense"))
            async with place.acting(witness=handler(place, witness)):
                await place.over_midnight()
                await place.until_empty()
            assert [anchor[3] for anchor in place_anchors(place)] == ["done"]

    async def test_that_refuses_for_good_is_recorded_as_that(self, tmp_path: Path) -> None:
        async with FakeWitness() as stranger, deployment(tmp_path, **OUTSIDE) as place:
            async with place.acting(witness=handler(place, stranger)):
                await place.over_midnight()
                await place.until_empty()
            assert len(stranger.asked) == SOON.tries
            size = place.closings.read(DAYS[0]).size
            assert place_anchors(place) == [("witness", DAYS[0], size, "refused", "")]
            (taken,) = [fact for fact in place.facts() if isinstance(fact, ActionTaken)]
            assert (taken.action, taken.result, taken.code, taken.room) == ("witness", "refused", "unanswered", None)
            assert verify(tmp_path / "records").problems == ()

    async def test_is_not_asked_again_for_what_is_there(self, tmp_path: Path) -> None:
        async with FakeWitness() as witness, deployment(tmp_path, **OUTSIDE) as place:
            witness.trust(place.stores.journal.vkey)
            act = handler(place, witness)
            await place.over_midnight()
            first = await act(Witness(day=DAYS[0]), "txn")
            assert await act(Witness(day=DAYS[0]), "txn") == first
            assert len(witness.asked) == 1

    async def test_that_has_seen_a_later_day_makes_this_one_refused(self, tmp_path: Path) -> None:
        async with FakeWitness() as witness, deployment(tmp_path, **OUTSIDE) as place:
            witness.trust(place.stores.journal.vkey)
            act = handler(place, witness)
            await place.over_midnight()
            await place.enter(ONE)
            await place.over_midnight()
            await act(Witness(day=DAYS[1]), "txn")
            done = await act(Witness(day=DAYS[0]), "txn")
            assert (done.result, done.code) == ("refused", "ahead")

    async def test_that_is_slow_keeps_nothing_else_waiting(self, tmp_path: Path) -> None:
        never = asyncio.Event()

        async def slow(_action: Action, _txn: str) -> Done:
            await never.wait()
            return Done()

        async def quick(_action: Action, _txn: str) -> Done:
            return Done()

        async with deployment(tmp_path, **OUTSIDE, timestamp_url="http://127.0.0.1:1") as place:
            await place.enter(ONE)
            async with place.acting(witness=slow, timestamp=slow, anchor=quick):
                await place.over_midnight()
                await place.until_empty(Anchor)
            assert sorted(action.NAME for action in await place.waiting()) == ["timestamp", "witness"]

    async def test_that_was_switched_off_meanwhile_is_let_go(self, place: Deployment) -> None:
        anchorer = OutsideAnchorer(None, None, place.closings)
        assert (await anchorer.cosign(Witness(day=DAYS[0]), "")).result == "abandoned"
        assert (await anchorer.stamp(Timestamp(day=DAYS[0]), "")).result == "abandoned"


class TestTimestamp:
    async def test_is_kept_next_to_the_checkpoint(self, tmp_path: Path) -> None:
        async with FakeTsa() as tsa, deployment(tmp_path, timestamp_url=tsa.url) as place:
            async with place.acting(timestamp=OutsideAnchorer(None, tsa.url, place.closings, SOON).stamp):
                await place.over_midnight()
                await place.until_empty()
            closing = place.closings.read(DAYS[0])
            made = f"checkpoints/{DAYS[0]}.tsr"
            assert place_anchors(place) == [("timestamp", DAYS[0], closing.size, "done", made)]
            assert timestamp.check((tmp_path / "records" / made).read_bytes(), closing.as_signed) == 1_795_564_807
            assert verify(tmp_path / "records").problems == ()

    @pytest.mark.parametrize("mischief", ["nonce", "error", "long"])
    async def test_that_is_not_what_was_asked_is_recorded_as_refused(self, tmp_path: Path, mischief: Any) -> None:
        async with FakeTsa() as tsa, deployment(tmp_path, timestamp_url=tsa.url) as place:
            tsa.mischief = mischief
            async with place.acting(timestamp=OutsideAnchorer(None, tsa.url, place.closings, SOON).stamp):
                await place.over_midnight()
                await place.until_empty()
            assert len(tsa.requests) == SOON.tries
            assert [anchor[3] for anchor in place_anchors(place)] == ["refused"]
            assert place.closings.timestamp(DAYS[0]) is None


def handler(place: Deployment, witness: FakeWitness) -> Any:
    prover = Prover(Tiles(place.stores.journal.folder / "tile"))
    cosigners = [Cosigner.parse(key) for key in witness.vkeys]
    client = WitnessClient(witness.url, cosigners, prover.consistency, lambda: place.now)
    return OutsideAnchorer(client, None, place.closings, SOON).cosign


def place_anchors(place: Deployment) -> list[tuple[str, str, int, str, str]]:
    found: list[tuple[str, str, int, str, str]] = []
    for fact in place.anchors():
        assert fact.room is None
        found.append((fact.where, fact.day, fact.size, fact.result, fact.made))
    return found


def test_another_history_of_a_day_is_posted_as_another_request() -> None:
    """After a restore a day can end otherwise than it was posted; the homeserver must not take the two for one."""
    note = "example.org/log\n{size}\nJRrMe8pqvl1G3v0tKvd4QXYVdBQlKfV5WvrKemrw8t4=\n\n\u2014 example.org/log Q9Gu+ZB0\n"
    lost, now = (Closing(DAYS[0], size, note.format(size=size)) for size in (75, 71))
    cosigned = Closing(now.day, now.size, now.note + "\u2014 remora.n621.de 2nerBw==\n")
    txns = [txn_of(each, "desk", CODES[ONE]) for each in (lost, now, cosigned)]
    assert (txns[0] != txns[1], txns[1] == txns[2]) == (True, True)


async def _nothing_asked() -> None:
    """Let nothing be due for people."""
