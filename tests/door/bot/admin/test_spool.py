"""Notes about who read what on the command line become records: once, with the right time, one for each person."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.admin.exports import ExportOperations
from bot.admin.request import Request
from bot.admin.spool import Spool
from moderation.model.facts import CaseOpened, ContentRead, Fact, RecordsExported, StatementGiven
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage.journal.access import note_access
from storage.projections import project
from tests.door.bot.effects.test_anchor_day import DAY_MS, NOON, ONE, Deployment, deployment

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")
CASE = CaseOpened(room=ONE, n=5, rule="spam", grade="minor", decide="manager", state="open", due=NOON, subject=ANN)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        await place.pipeline.commit((CASE,))
        yield place


def leave(place: Deployment, at_ms: int = NOON, reason: str = "an audit", **filters: Any) -> Path:
    return note_access(place.data_dir, at_ms=at_ms, by="root", reason=reason, filters=filters)


async def pick_up(place: Deployment) -> list[Fact]:
    """Pick up the notes as a bot that has just started; return all records of reading."""
    await Spool(place.data_dir, place.pipeline, lambda: place.now).pick_up()
    assert list((place.data_dir / "spool").iterdir()) == []
    return [fact for fact in place.facts() if isinstance(fact, ContentRead | RecordsExported)]


async def test_a_record_of_reading_has_the_time_of_reading(place: Deployment) -> None:
    leave(place, person=ANN)
    place.now += 7 * DAY_MS
    (fact,) = await pick_up(place)
    assert isinstance(fact, ContentRead)
    assert (fact.read, fact.subject, fact.reason) == (NOON, ANN, "an audit")


async def test_a_note_that_is_found_again_after_a_crash_is_recorded_once(place: Deployment) -> None:
    note = leave(place, what="statement", case=5)
    kept = note.read_bytes()
    await pick_up(place)
    note.write_bytes(kept)  # recorded, and then the process ended before the note was removed
    assert len(await pick_up(place)) == 1


async def test_a_half_recorded_note_is_completed(place: Deployment) -> None:
    note = leave(place, person=[ANN, BEN])
    name = note.stem.removeprefix("access-")
    await place.pipeline.commit((ContentRead(what="show", read=NOON, note=name, subject=ANN, reader="root"),))
    found = await pick_up(place)
    assert sorted(fact.subject for fact in found if isinstance(fact, ContentRead)) == [ANN, BEN]


async def test_reading_of_a_case_names_whom_it_is_about(place: Deployment) -> None:
    async with place.stores.database.write() as db:
        await project(StatementGiven(room=ONE, n=5, subject=BEN, statement="{}"), db, 900, NOON)
    leave(place, what="statement", case=5)
    found = await pick_up(place)
    assert [(fact.subject, fact.n) for fact in found if isinstance(fact, ContentRead)] == [(ANN, 5), (BEN, 5)]
    assert [fact.filters for fact in found if isinstance(fact, ContentRead) and ANN in fact.filters] == []


async def test_a_record_of_an_export_names_the_people_concerned(place: Deployment) -> None:
    leave(place, what="export", person=[BEN], case=[5], records=12)
    exported, *about = await pick_up(place)
    assert isinstance(exported, RecordsExported)
    assert (exported.count, exported.read) == (12, NOON)
    assert [(fact.what, fact.subject) for fact in about if isinstance(fact, ContentRead)] == [
        ("export", ANN),
        ("export", BEN),
    ]
    assert str(BEN) not in exported.filters


async def test_looks_are_recorded_once_for_each_person_reader_and_day(place: Deployment) -> None:
    for at_ms in (NOON, NOON + 1, NOON + DAY_MS):
        leave(place, at_ms, "", what="credit", person=ANN)
        leave(place, at_ms, "", what="case", case=5)
        leave(place, at_ms, "", what="members", room="G-7F3K")
    place.now += 2 * DAY_MS
    found = [fact for fact in await pick_up(place) if isinstance(fact, ContentRead)]
    assert sorted((fact.subject, fact.read // DAY_MS - NOON // DAY_MS) for fact in found) == [
        (UserId(""), 0),
        (UserId(""), 1),
        (ANN, 0),
        (ANN, 1),
    ]


async def test_each_reading_of_words_is_recorded(place: Deployment) -> None:
    leave(place, person=ANN)
    leave(place, person=ANN)
    assert len(await pick_up(place)) == 2


async def test_a_note_without_a_plausible_time_gets_the_present_time(place: Deployment) -> None:
    leave(place, NOON + DAY_MS)
    leave(place, 0)
    assert [fact.read for fact in await pick_up(place) if isinstance(fact, ContentRead)] == [NOON, NOON]


@pytest.mark.parametrize(
    "about", [{"case": "5"}, {"case": [5, "6"]}, {"case": True}, {"person": 7}, {"person": [ANN, None]}], ids=str
)
async def test_a_note_that_says_wrongly_whom_it_is_about_makes_no_record_about_nobody(
    place: Deployment, about: dict[str, Any]
) -> None:
    leave(place, **about)
    assert await pick_up(place) == []


async def test_ids_that_were_searched_for_stand_where_they_can_be_erased(place: Deployment) -> None:
    leave(place, what="search", text=f"coins of {ANN}, and @BEN:example.org")
    found = [fact for fact in await pick_up(place) if isinstance(fact, ContentRead)]
    assert [(fact.subject, fact.filters) for fact in found] == [
        (who, '{"what":"search","text":"coins of @…, and @…"}') for who in ("@BEN:example.org", ANN, BEN)
    ]
    leave(place, what="search", text=["no", 5])
    leave(place, what="search", text="https://matrix.to/#/%40ann%3Aexample.org")
    found = [fact for fact in await pick_up(place) if isinstance(fact, ContentRead)]
    assert '{"what":"search","text":"@…"}' in [fact.filters for fact in found if fact.subject == ANN]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"filters":3}', b'{"filters":{}}'])
async def test_a_file_that_is_not_a_note_stops_nothing(place: Deployment, text: bytes) -> None:
    leave(place).write_bytes(text)
    leave(place, what="show\n\u4e00" + "x" * 200)
    assert len(await pick_up(place)) == 1


class TestTheRecordOfAnExport:
    """An export that is being made asks for the record of its note, to lie in it."""

    def ask(self, place: Deployment, note: Path) -> Any:
        exports = ExportOperations(place.pipeline, place.stores.database, place.data_dir, lambda: place.now)
        name = note.stem.removeprefix("access-")
        return exports.by_name()["export-record"](Request({"note": name}, "root"))

    async def test_is_made_of_its_note_alone_and_signed(self, place: Deployment) -> None:
        other = leave(place, person=ANN)
        note = leave(place, what="export", person=[BEN], records=3, listed="0,7-8", contents="00  index.html\n")
        done = await self.ask(place, note)
        (exported,) = [fact for fact in place.facts() if isinstance(fact, RecordsExported)]
        assert (exported.count, exported.records, exported.contents) == (3, "0,7-8", "00  index.html\n")
        assert "0,7-8" not in exported.filters
        assert place.stores.journal.get(done["record"]).kind == "export"
        assert place.stores.journal.signed > done["record"]
        assert (note.exists(), other.exists()) == (False, True)
        read = [fact for fact in place.facts() if isinstance(fact, ContentRead)]
        assert [(fact.what, fact.subject, "index.html" in fact.filters) for fact in read] == [("export", BEN, False)]

    async def test_is_the_one_that_is_there_if_the_note_was_picked_up_before(self, place: Deployment) -> None:
        note = leave(place, what="export", records=3)
        await pick_up(place)
        first = await self.ask(place, note)
        assert await self.ask(place, note) == first
        assert len([fact for fact in place.facts() if isinstance(fact, RecordsExported)]) == 1

    async def test_is_refused_without_a_note(self, place: Deployment) -> None:
        with pytest.raises(Refused, match=r"export_not_noted"):
            await self.ask(place, Path("access-00.json"))
        read = leave(place, person=ANN)
        with pytest.raises(Refused, match=r"export_not_noted"):
            await self.ask(place, read)
