"""With `content = "metadata"` nothing that a person wrote is kept, except managers' reasons and rules."""

from pathlib import Path

import pytest

from bot.outbox.handler import Done
from bot.pipeline.process_facts import without_words
from moderation.model.actions.base import Action
from moderation.model.actions.registry import ACTIONS
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import (
    FACTS,
    Appealed,
    CaseCommented,
    CaseDecided,
    CaseNoted,
    CaseOpened,
    ConsoleCommand,
    Fact,
    Found,
    FoundOnTrial,
    MessageWithheld,
    Reported,
    owner_of,
)
from moderation.values.ids import EventId, UserId
from tests.door.bot.effects.test_anchor_day import HEAD, NOON, ONE, deployment
from tests.theatre.engine import place_in
from tests.theatre.opened import kept_in
from tests.theatre.scene import Theatre
from tests.theatre.served import phrase
from tests.theatre.state_tables import StateTables

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")
MARK = "xylographic"
METADATA = f'{HEAD}[records]\ncontent = "metadata"\n'
OPENED = CaseOpened(
    room=ONE, n=1, rule="r", grade="minor", decide="manager", state="open", due=NOON, subject=ANN, excerpt=f"{MARK} 1"
)
SAID: tuple[Fact, ...] = (
    OPENED,
    Reported(room=ONE, n=1, subject=ANN, by=BEN, reason=f"{MARK} 2"),
    CaseNoted(room=ONE, n=1, by=BEN, words=f"{MARK} 3"),
    CaseCommented(room=ONE, n=1, subject=ANN, words=f"{MARK} 6"),
    Appealed(
        room=ONE, n=1, step="lodged", state="appealed", asked="managers", due=NOON, subject=ANN, words=f"{MARK} 4"
    ),
)
REPORTER = Appealed(
    room=ONE, n=1, step="lodged", state="appealed", asked="managers", due=NOON, subject=BEN, words=f"{MARK} 5", report=1
)
DECIDED = CaseDecided(room=ONE, n=1, what="upheld", state="decided", by=BEN, reason="a reason that stays")
# Fields that hold what people wrote and are kept all the same: reasons of managers and operators, and the rest is ids.
KEPT = {"reason", "event", "statement", "key", "hours", "sha256", "pdq", "labels", "url", "ticket", "session"}
KEPT |= {"sent", "type"}  # of what was refused: when, and of which type
KEPT |= {"entity", "author"}  # of a policy list, which its readers can read anyway


async def said(folder: Path) -> list[Action]:
    async with deployment(folder) as place:
        await place.enter(ONE)
        for fact in (*SAID, DECIDED, REPORTER):
            await place.pipeline.commit((fact,))
        return await place.waiting()


def stored(folder: Path) -> bytes:
    return b"\n".join(kept_in(place_in(folder)).values())


async def test_words_are_passed_on_but_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.door.bot.effects.test_anchor_day.HEAD", METADATA)
    waiting = await said(tmp_path)
    told = str([action for action in waiting if isinstance(action, TellDesk)])
    assert [f"{MARK} {number}" in told for number in (3, 4, 5, 6)] == [True] * 4
    log = b"".join(path.read_bytes() for path in (tmp_path / "records" / "day").iterdir())
    assert MARK.encode() not in log
    assert b"a reason that stays" in log
    tables = StateTables(place_in(tmp_path))
    for table in ("cases", "reports", "case_notes", "statements"):
        assert MARK not in str(tables.rows(f"SELECT * FROM {table}")), table


async def sent(_action: Action, _txn: str) -> Done:
    return Done(made=EventId("$sent"))


async def test_words_that_waited_to_be_sent_are_gone_from_the_database_a_minute_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.door.bot.effects.test_anchor_day.HEAD", METADATA)
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        for fact in SAID:
            await place.pipeline.commit((fact,))
        scheduler = place.scheduler(lambda: place.now)
        await scheduler.do_what_is_due()
        assert MARK.encode() in stored(tmp_path), "they wait to be sent"
        async with place.sending(dict.fromkeys(ACTIONS.values(), sent)):
            await place.until_empty()
        place.now += 60_000
        await scheduler.do_what_is_due()
        assert MARK.encode() not in stored(tmp_path)


async def test_the_notice_in_the_room_says_which_words_are_kept(theatre: Theatre) -> None:
    scene = await theatre.scene('[records]\ncontent = "metadata"\n', members=0)
    ((notice,),) = scene.bot.rows("SELECT notice FROM rooms WHERE room = ?", scene.room)
    said = await scene.owner.request("GET", "rooms", scene.room, "event", notice)
    assert phrase("joining.kept.metadata") in said["content"]["body"]
    assert "no text of messages, reports, appeals or notes" in said["content"]["body"]
    assert "managers' reasons and rules" in said["content"]["body"]


async def test_words_are_kept_with_full_content(tmp_path: Path) -> None:
    await said(tmp_path)
    assert [stored(tmp_path).count(f"{MARK} {number}".encode()) > 0 for number in (1, 2, 3, 4, 5, 6)] == [True] * 6


@pytest.mark.parametrize("cls", FACTS, ids=lambda cls: cls.__name__)
def test_every_field_with_words_of_people_is_dropped_or_known_to_be_kept(cls: type[Fact]) -> None:
    private = {name for name, owner in owner_of(cls).items() if owner not in ("public", "person", "nobody", None)}
    dropped = {
        Found: {"matched"},
        FoundOnTrial: {"matched"},
        CaseOpened: {"excerpt"},
        Reported: {"reason"},
        CaseNoted: {"words"},
        CaseCommented: {"words"},
        Appealed: {"words"},
        ConsoleCommand: {"words"},
        MessageWithheld: {"matched", "body", "content"},
    }.get(cls, set())
    assert private - dropped <= KEPT, f"is it kept with metadata only? {private - dropped - KEPT}"


def test_fields_without_personal_data_are_unchanged() -> None:
    assert without_words(DECIDED) == DECIDED
