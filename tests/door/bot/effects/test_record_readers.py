"""The list of who read about a person is complete, whatever its source records contain."""

import json
from pathlib import Path

import pytest

from bot.effects.record_readers import Own, readers_of
from moderation.model.facts import ContentRead, Fact, IdentityRead, RecordsExported
from moderation.values.ids import UserId
from tests.door.bot.effects.test_anchor_day import deployment

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")
EVERY_ACCESS: tuple[Fact, ...] = (
    ContentRead(what="roster-import", reader="root", reason="autumn", filters="entries=1"),
    ContentRead(what="roster-list", reader="root", reason="who is in it"),
    ContentRead(what="case", n=5, subject=ANN, by=BEN),
    ContentRead(what="statement", n=5, subject=ANN, reader="root", reason="r", filters='{"case":5}'),
    ContentRead(what="statement", reader="root", reason="older, without a name", filters='{"case":5}'),
    ContentRead(what="decide dismiss", reader="root", reason="older", filters='{"by":"@op:x","n":5}'),
    ContentRead(what="credit", subject=ANN, read=5, note="a1", reader="root"),
    ContentRead(what="search", reader="root", reason="r", filters='{"text":"words","what":"search"}'),
    IdentityRead(n=4, subject=ANN, reader="root", reason="who is behind case 4"),
    RecordsExported(count=5, reader="root", reason="for the court", filters='{"person":["@ann:example.org"]}'),
    RecordsExported(count=5, what="backup", reader="root"),
    RecordsExported(count=5, what="dossier", reader="root", reason="r", filters='{"dossier":7,"person":[]}'),
)
MEASURE = ContentRead(what="rooms close", reader="root", reason="r", filters='{"room":"G-7F3K","for":0}')
STRANGE = (
    "entries=1",
    "",
    "{",
    "null",
    "[]",
    "7",
    '"words"',
    '{"person":5}',
    '{"person":[]}',
    '{"person":["@ann:example.org",5]}',
    '{"person":{"a":1}}',
    '{"dossier":{"n":1}}',
    '{"dossier":true}',
)


async def list_of(
    folder: Path,
    *facts: Fact,
    cases: frozenset[int] = frozenset(),
    files: frozenset[int] = frozenset(),
    hidden: frozenset[int] = frozenset(),
) -> list[dict[str, object]]:
    async with deployment(folder) as place:
        for fact in facts:
            await place.pipeline.commit((fact,))
        found: list[dict[str, object]] = json.loads(
            readers_of(folder / "records", Own(frozenset({ANN}), cases, files, hidden))
        )
        return found


async def test_every_kind_of_record_of_reading_is_listed(tmp_path: Path) -> None:
    found = await list_of(tmp_path, *EVERY_ACCESS, MEASURE, cases=frozenset({5}), files=frozenset({7}))
    assert len(found) == len(EVERY_ACCESS)
    assert [each["by"] for each in found if each["by"] != "root"] == [BEN]


@pytest.mark.parametrize("filters", STRANGE)
async def test_an_unclear_record_counts_as_being_about_anybody(tmp_path: Path, filters: str) -> None:
    (entry,) = await list_of(tmp_path, ContentRead(what="show", reader="root", reason="r", filters=filters))
    assert entry["reason"] == "r"


async def test_readings_of_others_and_of_hidden_files_are_left_out(tmp_path: Path) -> None:
    others = ContentRead(what="show", reader="root", reason="r", filters=f'{{"person":"{BEN}"}}')
    proved = IdentityRead(n=4, subject=BEN, reader="root", reason="r")
    hidden = RecordsExported(count=1, what="dossier", reader="root", filters=f'{{"dossier":7,"person":["{ANN}"]}}')
    case = ContentRead(what="statement", n=6, subject=BEN, reader="root", reason="r", filters='{"case":6}')
    older = ContentRead(what="statement", reader="root", reason="r", filters='{"case":6}')
    export = RecordsExported(count=1, reader="root", reason="r", filters='{"persons":1}')
    facts = (others, proved, hidden, case, older, export)
    seven = frozenset({7})
    assert await list_of(tmp_path, *facts, cases=frozenset({5}), files=seven, hidden=seven) == []


async def test_the_time_shown_is_the_time_of_reading(tmp_path: Path) -> None:
    (entry,) = await list_of(tmp_path, ContentRead(what="show", read=12_345, note="a1", reader="root", reason="r"))
    assert entry["at_ms"] == 12_345
