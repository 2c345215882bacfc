"""The list of who read about a person comes whole, whatever stands in the records it is made from."""

import json
from pathlib import Path

import pytest

from bot.readers import readers_of
from moderation.facts import ContentRead, Fact, IdentityRead, RecordsExported
from moderation.ids import UserId
from tests.bot.test_anchor import deployment

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")
EVERY_ACCESS: tuple[Fact, ...] = (
    ContentRead(what="roster-import", reader="root", reason="autumn", filters="entries=1"),
    ContentRead(what="roster-list", reader="root", reason="who is in it"),
    ContentRead(what="rooms close", reader="root", reason="r", filters='{"room":"G-7F3K","by":"@op:x","for":0}'),
    ContentRead(what="search", reader="root", reason="r", filters='{"text":"words","what":"search"}'),
    IdentityRead(n=4, subject=ANN, reader="root", reason="who is behind case 4"),
    RecordsExported(count=5, reader="root", reason="for the court", filters='{"person":["@ann:example.org"]}'),
    RecordsExported(count=5, what="backup", reader="root"),
    RecordsExported(count=5, what="dossier", reader="root", reason="r", filters='{"dossier":7,"person":[]}'),
)
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
    '{"dossier":[1]}',
    '{"dossier":{"n":1}}',
    '{"dossier":true}',
)


async def list_of(folder: Path, *facts: Fact, hidden: frozenset[int] = frozenset()) -> list[dict[str, object]]:
    async with deployment(folder) as place:
        for fact in facts:
            await place.pipeline.commit((fact,))
        found: list[dict[str, object]] = json.loads(readers_of(folder / "records", ANN, hidden))
        return found


async def test_every_kind_of_record_of_reading_is_listed(tmp_path: Path) -> None:
    found = await list_of(tmp_path, *EVERY_ACCESS)
    assert len(found) == len(EVERY_ACCESS)
    assert all(each["by"] == "root" for each in found)


@pytest.mark.parametrize("filters", STRANGE)
async def test_what_a_record_does_not_say_clearly_may_have_been_about_anybody(tmp_path: Path, filters: str) -> None:
    (entry,) = await list_of(tmp_path, ContentRead(what="show", reader="root", reason="r", filters=filters))
    assert entry["reason"] == "r"


async def test_what_was_read_of_somebody_else_is_left_out_and_a_hidden_file_is(tmp_path: Path) -> None:
    others = ContentRead(what="show", reader="root", reason="r", filters=f'{{"person":"{BEN}"}}')
    proved = IdentityRead(n=4, subject=BEN, reader="root", reason="r")
    hidden = RecordsExported(count=1, what="dossier", reader="root", filters=f'{{"dossier":7,"person":["{ANN}"]}}')
    assert await list_of(tmp_path, others, proved, hidden, hidden=frozenset({7})) == []
