"""Killed while writing the outcome of a request, the bot repeats the request and records nothing twice."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.events.parse_event import receive
from bot.pipeline.in_flight import InFlight
from bot.pipeline.outcome import Outcome
from bot.pipeline.replay import Rooms, catch_up
from bot.pipeline.returned_cards import with_card_mark, with_question_mark
from moderation.model.actions.cards import AskDesk, Offer, PostCard
from moderation.model.actions.telling import Tell
from moderation.model.facts import ActionTaken, CaseDecided, NoticeGiven, QuestionAsked
from moderation.values.events import Json
from moderation.values.ids import EventId, UserId
from moderation.values.notices import line
from storage import outbox
from storage.journal.record import Draft
from tests.door.bot.effects.test_anchor_day import ONE, Deployment, deployment
from tests.door.offline import ANNA as ANN
from tests.door.offline import BOT, DESK, MINA, ROOM, RULES, Offline, offline

ANNA = UserId("@anna:example.org")
GIVEN = NoticeGiven(room=ONE, what="notice.dismissed", n=1, channel="direct", subject=ANNA)


async def again(place: Deployment) -> None:
    """Begin as at the next start, where the log first records how much of it was not signed."""
    unsigned: dict[str, int | str] = {"what": "unsigned", "count": 1, "on": place.stores.journal.size - 1}
    place.pipeline.writer._append([Draft("coverage", place.now, fields=unsigned)])
    records = list(place.stores.journal.read(0))[1:]
    known = place.pipeline.writer._applied
    rooms = Rooms({code: room for room, code in place.pipeline.served.codes.items()})
    tail = [record for record in records if record.index >= known]
    await place.pipeline.begin()
    await place.pipeline.catch_up(lambda unit: catch_up(unit, place.pipeline, tail, rooms))


async def told(place: Deployment) -> str:
    """Queue a message to a person. Returns its transaction id."""
    tell = Tell(room=ONE, subject=ANNA, n=1, lines=(line("notice.dismissed"),))
    await place.pipeline.commit(actions=(tell,))
    async with place.stores.database.read() as db:
        return (await outbox.due_rows(db, place.now, 10))[-1].txn


def taken(txn: str) -> ActionTaken:
    return ActionTaken(room=ONE, on=-1, action="tell", result="done", code="-", n=1, txn=txn, subject=ANNA)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_recorded_outcome_is_not_recorded_again(tmp_path: Path, whole: bool) -> None:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        txn = await told(place)
        written = (GIVEN, taken(txn)) if whole else (GIVEN,)
        place.pipeline.writer._append([place.pipeline.processor.draft_of(fact, place.now) for fact in written])
        await again(place)
        await place.pipeline.commit((GIVEN, taken(txn)), of_row=txn)
        outcomes = [fact for fact in place.facts() if isinstance(fact, NoticeGiven | ActionTaken)]
        assert outcomes == [GIVEN, taken(txn)]
        assert place.pipeline.in_flight.facts == []
        # The same word on another occasion is another record.
        txn = await told(place)
        await place.pipeline.commit((GIVEN, taken(txn)), of_row=txn)
        assert [fact for fact in place.facts() if isinstance(fact, NoticeGiven)] == [GIVEN, GIVEN]


async def test_outcomes_recorded_together_are_not_recorded_again(tmp_path: Path) -> None:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        tell = Tell(room=ONE, subject=ANNA, n=1, lines=(line("notice.dismissed"),))
        await place.pipeline.commit(actions=[replace(tell, n=n) for n in (1, 2, 3)])
        async with place.stores.database.read() as db:
            txns = [row.txn for row in await outbox.due_rows(db, place.now, 10)]
        outcomes = [
            Outcome((replace(GIVEN, n=n), replace(taken(txn), n=n)), of_row=txn) for n, txn in enumerate(txns, 1)
        ]
        facts = [fact for outcome in outcomes for fact in outcome.facts]
        place.pipeline.writer._append([place.pipeline.processor.draft_of(fact, place.now) for fact in facts[:3]])
        await again(place)
        await place.pipeline.commit_all(outcomes)
        assert [fact for fact in place.facts() if isinstance(fact, NoticeGiven | ActionTaken)] == facts
        assert await place.waiting() == []


@pytest.mark.parametrize("killed", ["before it is recorded", "after it is recorded"])
async def test_the_effects_of_an_outcome_happen_once(tmp_path: Path, killed: str) -> None:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        txn = await told(place)
        word = Tell(room=ONE, subject=ANNA, n=2, lines=(line("notice.dismissed"),))
        writer = place.pipeline.writer
        append = writer._append

        def die(drafts: Sequence[Draft]) -> int:
            if killed == "after it is recorded":
                append(drafts)
            raise OSError("killed")

        writer._append = die  # type: ignore[method-assign]
        outcome = Outcome((taken(txn),), (word,), of_row=txn)
        with pytest.raises(OSError, match="killed"):
            await place.pipeline.commit_all([outcome])
        writer._append = append  # type: ignore[method-assign]
        await again(place)
        await place.pipeline.commit_all([outcome])  # does nothing if it is recorded already
        assert await place.waiting() == [word]
        assert [fact for fact in place.facts() if isinstance(fact, ActionTaken)] == [taken(txn)]


def test_the_outcome_of_a_later_request_is_always_new() -> None:
    cut = InFlight([GIVEN], frozenset({"then"}))
    assert cut.without([GIVEN], "later") == [GIVEN]
    assert cut.without([GIVEN, GIVEN], "then") == [GIVEN]
    assert cut.without([GIVEN], "then") == [GIVEN]


async def killed_at_the_return_of_a_card(bot: Offline, *outcome: ActionTaken) -> str:
    """Record that the card of case 1 came back, and this outcome; die before anything follows; start again.

    Returns the transaction id of the card.
    """
    await bot.say(ANN, "forbidden")
    (row,) = [row for row in await bot.waiting() if isinstance(row.action, PostCard)]
    writer = bot.pipeline.writer
    append, written = writer._append, 0

    def die_at_the_facts(drafts: Sequence[Draft]) -> int:
        nonlocal written
        written += 1
        if written == 2:
            raise OSError("killed")
        return append(drafts)

    writer._append = die_at_the_facts  # type: ignore[method-assign]
    card = with_card_mark({"msgtype": "m.text", "body": "Case 1"}, 1, row.txn)
    with pytest.raises(OSError, match="killed"):
        await bot.event(BOT, "m.room.message", card, room=DESK)
    writer._append = append  # type: ignore[method-assign]
    outcome = tuple(replace(each, txn=row.txn) for each in outcome)
    if outcome:
        append([bot.pipeline.processor.draft_of(fact, bot.time.ms) for fact in outcome])
    tail = [record for record in bot.stores.journal.read(0) if record.index >= writer._applied]
    assert [record.kind for record in tail] == ["message", *("outcome" for _ in outcome)]
    await bot.pipeline.begin()
    rooms = Rooms({code: room for room, code in bot.pipeline.served.codes.items()})
    await bot.pipeline.catch_up(lambda unit: catch_up(unit, bot.pipeline, tail, rooms))
    return row.txn


async def test_a_card_recorded_but_not_yet_applied_takes_reactions(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        txn = await killed_at_the_return_of_a_card(bot)
        assert [(fact.action, fact.n, fact.txn) for fact in bot.facts(ActionTaken)] == [("card", 1, txn)]
        (made,) = [fact.made for fact in bot.facts(ActionTaken)]
        press = {"m.relates_to": {"rel_type": "m.annotation", "event_id": made, "key": "✅"}}
        await bot.event(MINA, "m.reaction", press, room=DESK)
        assert [(fact.n, fact.what, fact.by) for fact in bot.facts(CaseDecided)] == [(1, "upheld", MINA)]


async def test_a_card_whose_outcome_was_recorded_too_is_recorded_once(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        posted = ActionTaken(room=ROOM, on=-1, action="card", result="done", code="-", n=1, made="$card")
        txn = await killed_at_the_return_of_a_card(bot, posted)
        assert [(fact.action, fact.txn) for fact in bot.facts(ActionTaken)] == [("card", txn)]


async def test_a_reaction_that_came_together_with_its_card_is_judged_the_same_again(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.say(ANN, "forbidden")
        (row,) = [row for row in await bot.waiting() if isinstance(row.action, PostCard)]
    before = bot.state.copy()
    async with offline(tmp_path, RULES) as bot:
        card = bot.raw(BOT, "m.room.message", with_card_mark({"msgtype": "m.text", "body": "Case 1"}, 1, row.txn))
        press = {"m.relates_to": {"rel_type": "m.annotation", "event_id": f"{card['event_id']}b", "key": "✅"}}
        both = (card, bot.raw(MINA, "m.reaction", press))
        await bot.pipeline.take([receive({**raw, "event_id": f"{raw['event_id']}b"}, DESK, bot.time()) for raw in both])
        assert [(fact.n, fact.what, fact.by) for fact in bot.facts(CaseDecided)] == [(1, "upheld", MINA)]
    bot.state.put_back(before)  # as after a power cut: the journal was written, the database not
    with capture_logs() as logs:
        async with offline(tmp_path, RULES) as bot:
            assert await bot.rows("SELECT outcome, card FROM cases") == [("upheld", f"{card['event_id']}b")]
    assert "judged_otherwise_before" not in [entry["event"] for entry in logs]


async def asked(bot: Offline) -> tuple[outbox.OutboxRow, dict[str, Json]]:
    """Have the desk asked why no rule was broken. Returns the row of the question, and the question as it is sent."""
    await bot.say(ANN, "forbidden")
    await bot.post_cards()
    await bot.say(MINA, "!dismiss 1", DESK)
    (row,) = [row for row in await bot.waiting() if isinstance(row.action, AskDesk)]
    return row, with_question_mark({"msgtype": "m.text", "body": "Why?"}, row.txn)


async def press(bot: Offline, target: str, key: str) -> None:
    press = {"m.relates_to": {"rel_type": "m.annotation", "event_id": target, "key": key}}
    await bot.event(MINA, "m.reaction", press, room=DESK)


async def test_a_question_that_comes_back_before_its_outcome_takes_an_answer(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        row, content = await asked(bot)
        made = EventId(await bot.event(BOT, "m.room.message", content, room=DESK))
        assert [(fact.n, fact.what, fact.made) for fact in bot.facts(QuestionAsked)] == [(1, "reason", made)]
        assert [fact.made for fact in bot.facts(ActionTaken) if fact.txn == row.txn] == [made]
        assert isinstance(row.action, AskDesk)
        offer = Offer(room=ROOM, n=row.action.n, key=row.action.keys, event=made)
        assert offer in [each.action for each in await bot.waiting()]
        await press(bot, made, "1⃣")
        assert [(fact.what, fact.reason) for fact in bot.facts(CaseDecided)] == [("dismissed", "No rule was broken.")]
        assert await bot.event(BOT, "m.room.message", content, room=DESK)  # as another event it asks nothing
        assert len(bot.facts(QuestionAsked)) == 1


async def test_a_question_recorded_but_not_yet_applied_takes_an_answer(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        row, content = await asked(bot)
    before = bot.state.copy()
    made = EventId("$question")
    async with offline(tmp_path, RULES) as bot:
        raw = bot.raw(BOT, "m.room.message", content) | {"event_id": made}
        await bot.pipeline.take([receive(raw, DESK, bot.time())])
    bot.state.put_back(before)  # as after a power cut: the journal was written, the database not
    with capture_logs() as logs:
        async with offline(tmp_path, RULES) as bot:
            assert [fact.made for fact in bot.facts(ActionTaken) if fact.txn == row.txn] == [made]
            assert [fact.made for fact in bot.facts(QuestionAsked)] == [made]
            assert await bot.rows("SELECT made FROM questions") == [(made,)]
    assert "judged_otherwise_before" not in [entry["event"] for entry in logs]
