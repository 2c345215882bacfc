"""The bot's side of C2SP tlog-witness, against a witness that checks everything."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from bot.effects.witness import Ahead, WitnessClient
from bot.matrix.other_servers import NoAnswer, post
from moderation.values.ids import PersonId
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.record import Draft, Part
from storage.journal.record_keys import PersonKeys
from storage.journal.transparency.cosignature import Cosigner, cosigned
from storage.journal.transparency.daily_checkpoints import Closing, Closings
from storage.journal.transparency.proof import Prover
from storage.journal.transparency.tiles import Tiles
from tests.fakes.http_stub import Answer, HttpStub
from tests.fakes.witness import FakeWitness

NOON = 1_795_521_600_000  # 2026-11-24T12:00:00Z
DAY_MS = 86_400_000
AT_MS = 1_700_000_000_000  # as the witness
SIZES = (3, 300, 301, 800)  # records at the end of each day


class Grown:
    """A log of several days."""

    def __init__(self, data_dir: Path) -> None:
        keys = PersonKeys.open(DatabasePlace(data_dir))
        with Journal.open(data_dir, "example.org/log", keys, NOON) as journal:
            for number, size in enumerate(SIZES):
                at = NOON + number * DAY_MS
                part = Part(PersonId("@anna:example.org"), {"mxid": "@anna:example.org"})
                journal.append([Draft("message", at, "G-7F3K", parts=(part,))] * (size - journal.size))
                journal.close_day(at + DAY_MS)
            self.vkey = journal.vkey
        keys.close()
        closings = Closings(data_dir / "records")
        self.closings = [closings.read(day) for day in closings.days()]
        assert [closing.size for closing in self.closings] == list(SIZES)
        self.prover = Prover(Tiles(data_dir / "records" / "tile"))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    yield Grown(tmp_path_factory.mktemp("log"))


@pytest.fixture
async def witness(log: Grown) -> AsyncIterator[FakeWitness]:
    async with FakeWitness(log.vkey) as witness:
        yield witness


def asking(url: str, witness: FakeWitness, prover: Prover, now_ms: int = AT_MS) -> WitnessClient:
    return WitnessClient(url, [Cosigner.parse(key) for key in witness.vkeys], prover.consistency, lambda: now_ms)


def client(log: Grown, witness: FakeWitness) -> WitnessClient:
    return asking(witness.url, witness, log.prover)


def time_in(closing: Closing, lines: list[str], witness: FakeWitness) -> int | None:
    return cosigned(closing.note + "".join(lines), *(Cosigner.parse(key) for key in witness.vkeys))


async def test_each_day_is_cosigned_with_a_proof_from_the_day_before(log: Grown, witness: FakeWitness) -> None:
    old = 0
    for closing in log.closings:
        lines = await client(log, witness).cosign(closing, old)
        assert time_in(closing, lines, witness) == witness.now_s
        old = closing.size
    assert [asked.old for asked in witness.asked] == [0, *SIZES[:-1]]


@pytest.mark.parametrize("thought", [0, 2, 3, 301, 800])
async def test_a_witness_that_knows_another_size_is_given_the_proof_from_there(
    log: Grown, witness: FakeWitness, thought: int
) -> None:
    await client(log, witness).cosign(log.closings[1], 0)
    lines = await client(log, witness).cosign(log.closings[3], thought)
    assert time_in(log.closings[3], lines, witness) == witness.now_s
    assert [asked.old for asked in witness.asked] == [0, thought, 300]


async def test_asking_again_for_the_same_gives_another_line(log: Grown, witness: FakeWitness) -> None:
    first = await client(log, witness).cosign(log.closings[1], 0)
    witness.now_s += 60
    again = await client(log, witness).cosign(log.closings[1], 0)
    assert time_in(log.closings[1], [*first, *again], witness) == witness.now_s


async def test_a_witness_that_has_seen_more_is_not_rolled_back(log: Grown, witness: FakeWitness) -> None:
    await client(log, witness).cosign(log.closings[2], 0)
    with pytest.raises(Ahead):
        await client(log, witness).cosign(log.closings[1], 3)
    assert witness.seen["example.org/log"][0] == SIZES[2]


async def test_a_witness_that_saw_another_history_refuses(log: Grown, witness: FakeWitness) -> None:
    witness.seen["example.org/log"] = SIZES[1], bytes(32)
    for closing in log.closings[1:]:
        with pytest.raises(NoAnswer):
            await client(log, witness).cosign(closing, 0)
    assert witness.seen["example.org/log"] == (SIZES[1], bytes(32))


async def test_a_log_that_the_witness_does_not_know_is_refused(log: Grown) -> None:
    async with FakeWitness() as stranger:
        with pytest.raises(NoAnswer, match="404"):
            await client(log, stranger).cosign(log.closings[0], 0)


async def test_a_line_of_another_key_is_not_accepted(log: Grown, witness: FakeWitness) -> None:
    async with FakeWitness(log.vkey, name="other.example.net/w") as other:
        its = asking(witness.url, other, log.prover)
        with pytest.raises(NoAnswer, match="without a cosignature"):
            await its.cosign(log.closings[0], 0)


async def test_only_the_line_of_the_known_key_is_taken(log: Grown, witness: FakeWitness) -> None:
    text = log.closings[0].note.rpartition("\n\n")[0] + "\n"
    other = FakeWitness(name="other.example.net/w")
    witness.will(web.Response(text=other.cosign(text) + witness.cosign(text)))
    assert await client(log, witness).cosign(log.closings[0], 0) == [witness.cosign(text)]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b""),
        Answer(200, b"\n"),
        Answer(200, b"\xff\xfe"),
        Answer(200, b"<html>hello</html>"),
        Answer(200, "— witness.example.net/w1 AAAA\n".encode()),
        Answer(200, b"x" * 100_000),
        Answer(201, b""),
        Answer(302, headers={"Location": "http://127.0.0.1:1/"}),
        Answer(400),
        Answer(409, b"300\n", headers={"Content-Type": "text/plain"}),
        Answer(409, b"-1\n", headers={"Content-Type": "text/x.tlog.size"}),
        Answer(409, b"1" * 50, headers={"Content-Type": "text/x.tlog.size"}),
        Answer(409, "٣".encode(), headers={"Content-Type": "text/x.tlog.size"}),
        Answer(422),
        Answer(500),
        Answer(200, b"x", cut=True),
    ],
)
async def test_any_other_response_is_not_accepted(log: Grown, answer: Answer) -> None:
    async with HttpStub() as stub:
        stub.will(answer)
        its = asking(stub.url, FakeWitness(), log.prover)
        with pytest.raises(NoAnswer):
            await its.cosign(log.closings[0], 0)


async def test_a_witness_that_changes_its_mind_for_ever_is_left_alone(log: Grown) -> None:
    sizes = [Answer(409, f"{n}\n".encode(), headers={"Content-Type": "text/x.tlog.size"}) for n in range(1, 50)]
    async with HttpStub() as stub:
        stub.will(*sizes)
        its = asking(stub.url, FakeWitness(), log.prover)
        with pytest.raises(NoAnswer):
            await its.cosign(log.closings[1], 0)
        assert len(stub.requests) == 3


async def test_an_invalid_cosignature_is_not_accepted(log: Grown, witness: FakeWitness) -> None:
    witness.will(web.Response(text=witness.cosign("another text\n")))
    with pytest.raises(NoAnswer, match="does not hold"):
        await client(log, witness).cosign(log.closings[0], 0)


async def test_an_impossible_proof_gives_no_cosignature(log: Grown, tmp_path: Path) -> None:
    prover = Prover(Tiles(tmp_path))
    its = asking("http://127.0.0.1:1", FakeWitness(), prover)
    with pytest.raises(NoAnswer, match="no proof"):
        await its.cosign(log.closings[3], 300)


async def test_an_absent_or_silent_witness_gives_no_cosignature() -> None:
    with pytest.raises(NoAnswer):
        await post("http://127.0.0.1:1/", b"", "text/plain")
    async with HttpStub() as stub:
        stub.will(Answer(hang=True))
        with pytest.raises(NoAnswer, match=r"0\.05 s"):
            async with asyncio.timeout(120):
                await post(stub.url, b"", "text/plain", timeout_s=0.05)


@pytest.fixture
async def both(log: Grown) -> AsyncIterator[FakeWitness]:
    async with FakeWitness(log.vkey, tree=True) as witness:
        yield witness


async def test_a_witness_that_signs_with_both_kinds_gives_two_lines(log: Grown, both: FakeWitness) -> None:
    lines = await client(log, both).cosign(log.closings[1], 0)
    assert len(lines) == 2
    for vkey in both.vkeys:
        assert cosigned(log.closings[1].note + "".join(lines), Cosigner.parse(vkey)) == both.now_s


@pytest.mark.parametrize("known", [0, 1])
async def test_the_line_of_the_kind_we_know_is_taken_alone(log: Grown, both: FakeWitness, known: int) -> None:
    cosigner = Cosigner.parse(both.vkeys[known])
    its = WitnessClient(both.url, [cosigner], log.prover.consistency, lambda: AT_MS)
    (line,) = await its.cosign(log.closings[1], 0)
    assert cosigned(log.closings[1].note + line, cosigner) == both.now_s


async def test_two_lines_of_one_witness_that_contradict_each_other_are_both_refused(
    log: Grown, both: FakeWitness
) -> None:
    text, other = (each.note.rpartition("\n\n")[0] + "\n" for each in log.closings[:2])
    for answer in (both.cosign(text) + both.cosign_tree(other), both.cosign(other) + both.cosign_tree(text)):
        both.will(web.Response(text=answer))
        with pytest.raises(NoAnswer, match="does not hold"):
            await client(log, both).cosign(log.closings[0], 0)


@pytest.mark.parametrize("at_s", [0, AT_MS // 1000 + 2 * 86_400, 1 << 62])
async def test_a_witness_whose_clock_is_far_ahead_or_silent_is_not_believed(
    log: Grown, both: FakeWitness, at_s: int
) -> None:
    both.now_s = at_s
    with pytest.raises(NoAnswer, match="clock"):
        await client(log, both).cosign(log.closings[1], 0)
