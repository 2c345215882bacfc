"""A homeserver that does not answer for a long time, or reports nothing more about one room."""

from urllib.parse import quote

import pytest

from bot.matrix.client import Homeserver
from bot.matrix.http import Wire
from bot.matrix.sync_filter import SYNC_FILTER
from bot.sync import backfill, sync_loop
from moderation.model.facts import (
    ActionTaken,
    CaseDecided,
    CaseOpened,
    CreditChanged,
    LevelKept,
    NotSeen,
    SanctionEnded,
    SanctionStarted,
)
from tests.fakes.bad_line import BadLine
from tests.fakes.http_stub import Answer
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import MUTE, RULES, like, until

SOON = """
[cases.deadlines]
minor = "1h"
moderate = "1h"
serious = "50s"
severe = "1h"
"""
REDACT = r"PUT /_matrix/client/v3/rooms/[^/]*/redact/"
LEVELS = r"PUT /_matrix/client/v3/rooms/[^/]*/state/m.room.power_levels"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all waits short."""
    for made, patience in ((Wire.__init__, "timeout_s"), (Homeserver.__init__, "request_timeout_s")):
        monkeypatch.setattr(made, "__kwdefaults__", {**(made.__kwdefaults__ or {}), patience: 1.0})
    monkeypatch.setattr(sync_loop, "LONG_POLL_MS", 200)
    monkeypatch.setattr(sync_loop, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(sync_loop, "LAST_RETRY_S", 0.2)
    monkeypatch.setattr(backfill, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(backfill, "LAST_RETRY_S", 0.1)


async def test_messages_during_silence_are_recorded_and_judged_once_afterwards(theatre: Theatre, line: BadLine) -> None:
    scene = await theatre.scene(members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    asked = line.silence("GET /_matrix/client/v3/sync")
    await until(lambda: _later(asked.met >= 1), "a question without an answer")  # what was under way has been answered
    silence = line.silence(".*")
    said = [await ann.send_text(room, "a purple elephant"), await ben.send_text(room, "dear me")]
    await until(lambda: _later(asked.met + silence.met >= 4), "some questions without an answer")
    await until(lambda: _later(any(each["event"] == "homeserver_away" for each in theatre.logged)), "it to be missed")
    assert set(said).isdisjoint(bot.recorded(room))
    bot.must_live()
    line.clear()
    await bot.has(*said)
    await bot.idle()
    assert await ann.is_redacted(room, said[0])
    recorded = bot.recorded()
    assert len(recorded) == len(set(recorded))
    assert [fact.subject for fact in bot.facts(CaseOpened)] == [ann.user]
    assert [fact for fact in bot.facts(NotSeen) if fact.what == "gap"] == []


@pytest.mark.long
async def test_a_silence_of_seconds_postpones_each_deadline(theatre: Theatre, line: BadLine) -> None:
    scene = await theatre.scene(RULES + SOON)
    bot = scene.bot

    def due_and_pauses() -> tuple[int, int]:
        pauses = [fact.count for fact in bot.facts(NotSeen) if fact.what == "down"]
        return bot.rows("SELECT due FROM cases WHERE n = 1")[0][0], sum(pauses)

    await scene.members[0].send_text(scene.room, "forbidden 7")
    await scene.card(scene.managers[0], 1)
    due, paused = due_and_pauses()  # on a slow machine it may have been missed before
    missed = _missed(theatre)
    line.silence(".*")
    bot.ahead_ms += 60_000  # the deadline is over by the clock
    await until(lambda: _later(_missed(theatre) > missed), "it to be missed")
    line.clear()
    await bot.until(lambda: due_and_pauses()[1] >= paused + 60_000, "the pause to be noted")
    await bot.has(await scene.members[0].send_text(scene.room, "there you are"))
    await bot.until(lambda: (now := due_and_pauses())[0] - due == now[1] - paused, "the deadline to be so much later")
    assert bot.facts(CreditChanged) == []


async def test_a_request_without_an_answer_takes_effect_once(theatre: Theatre, line: BadLine) -> None:
    scene = await theatre.scene(members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    silence = line.silence(REDACT, lost=True)
    said = await ann.send_text(room, "a purple elephant")
    await until(lambda: ann.is_redacted(room, said), "the redaction that nobody answers for")
    heard = await ben.send_text(room, "dear me")
    await bot.has(heard)  # nobody else waits for it
    await until(lambda: _later(silence.met >= 2), "another try")
    line.clear()
    await bot.idle()
    gone = [each for each in bot.facts(ActionTaken) if each.action == "redact"]
    assert [(each.event, each.result) for each in gone] == [(said, "done")]
    redactions = [record for record in bot.records() if record.kind == "redact"]
    assert [record.group for record in redactions] == [bot.code(room)]


async def test_an_appeal_that_is_granted_while_the_measure_is_on_its_way_leaves_nothing_of_it(
    theatre: Theatre, line: BadLine
) -> None:
    scene = await theatre.scene(RULES + MUTE, members=1)
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    on_its_way = line.silence(LEVELS, lost=True)
    await ann.send_text(room, "a geyser")
    await scene.until_level(ann.user, -1)
    assert on_its_way.met >= 1
    assert bot.facts(LevelKept)[0].step == "intended"  # it holds there, and the bot learns it only by asking again
    word = await told(ann, bot, like("notice.violation"))
    await ann.send_text(word.room, "!appeal 1 it was a kettle")
    await told(ann, bot, like("notice.appealed.other"))
    assert like("decided.dismissed").search(await ask(manager, bot, scene.desk, "!dismiss 1 it was a kettle"))
    assert scene.bot.facts(SanctionEnded) != []
    line.clear()
    await scene.until_level(ann.user, None)
    await bot.idle()
    assert [fact.kind for fact in bot.facts(SanctionStarted)] == ["redact", "mute"]
    assert [(fact.what, fact.state) for fact in bot.facts(CaseDecided)] == [("dismissed", "reversed")]
    assert (await scene.levels()).get(ann.user) is None
    assert bot.rows("SELECT 1 FROM holds WHERE user = ?", ann.user) == []


@pytest.mark.long
async def test_a_room_unreadable_for_a_quarter_hour_continues_with_new_events(
    theatre: Theatre, line: BadLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    room_filter = {**SYNC_FILTER["room"], "timeline": {"limit": 3, "lazy_load_members": True}}
    monkeypatch.setattr(sync_loop, "SYNC_FILTER", {**SYNC_FILTER, "room": room_filter})
    scene = await theatre.scene(members=1)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    await bot.stop()
    said = [await ann.send_text(room, f"this is {number}") for number in range(9)]
    line.trouble(f"GET .*{quote(room, safe='')}/messages", Answer(502), always=True)
    bot.start()
    await bot.until(lambda: bot.rows("SELECT 1 FROM gaps"), "the gap")
    grave = await ann.send_text(room, "a purple elephant")
    await bot.has(await scene.managers[0].send_text(scene.desk, "nobody waits for that room"))
    assert [fact for fact in bot.facts(NotSeen) if fact.what == "gap"] == []  # it may come back yet
    monkeypatch.setattr(backfill, "GIVE_UP_MS", 0)  # a quarter of an hour later
    await until(lambda: ann.is_redacted(room, grave), "the elephant to be gone")
    (lost,) = [fact for fact in bot.facts(NotSeen) if fact.what == "gap"]
    assert lost.room == room
    there = [event for event in bot.recorded(room) if event in {*said, grave}]
    assert there in ([*said[-3:], grave], [*said[-2:], grave])  # all that was delivered, in one answer or in two
    await bot.until(lambda: not bot.rows("SELECT 1 FROM gaps"), "the room to be level")
    await bot.has(await ann.send_text(room, "thank you"))


def _missed(theatre: Theatre) -> int:
    return sum(each["event"] == "homeserver_away" for each in theatre.logged)


async def _later(value: bool) -> bool:
    return value
