"""With `content = "metadata"` nothing that a person wrote is kept, except managers' reasons and rules."""

from pathlib import Path

import pytest

from bot.pipeline.process_facts import without_words
from moderation.model.actions import Action, TellDesk
from moderation.model.facts import FACTS, Appealed, CaseDecided, CaseNoted, CaseOpened, Fact, Found, Reported, owner_of
from moderation.values.ids import UserId
from tests.door.bot.effects.test_anchor_day import NOON, ONE, deployment

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")
MARK = "xylographic"
OPENED = CaseOpened(
    room=ONE, n=1, rule="r", grade="minor", decide="manager", state="open", due=NOON, subject=ANN, excerpt=f"{MARK} 1"
)
SAID: tuple[Fact, ...] = (
    OPENED,
    Reported(room=ONE, n=1, subject=ANN, by=BEN, reason=f"{MARK} 2"),
    CaseNoted(room=ONE, n=1, by=BEN, words=f"{MARK} 3"),
    Appealed(
        room=ONE, n=1, step="lodged", state="appealed", asked="managers", due=NOON, subject=ANN, words=f"{MARK} 4"
    ),
)
REPORTER = Appealed(
    room=ONE, n=1, step="lodged", state="appealed", asked="managers", due=NOON, subject=BEN, words=f"{MARK} 5", report=1
)
DECIDED = CaseDecided(room=ONE, n=1, what="upheld", state="decided", by=BEN, reason="a reason that stays")
# Fields that hold what people wrote and are kept all the same: reasons of managers and operators, and the rest is ids.
KEPT = {"reason", "event", "statement", "key", "hours", "sha256", "url"}


async def said(folder: Path) -> list[Action]:
    async with deployment(folder) as place:
        await place.enter(ONE)
        for fact in (*SAID, DECIDED, REPORTER):
            await place.pipeline.commit((fact,))
        return await place.waiting()


def stored(folder: Path) -> bytes:
    day, database = folder / "records" / "day", sorted(folder.glob("state.sqlite3*"))
    return b"".join(path.read_bytes() for path in (*day.iterdir(), *database))


async def test_words_are_passed_on_but_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'
    monkeypatch.setattr("tests.door.bot.effects.test_anchor_day.HEAD", head + '[records]\ncontent = "metadata"\n')
    waiting = await said(tmp_path)
    told = str([action for action in waiting if isinstance(action, TellDesk)])
    assert [f"{MARK} {number}" in told for number in (3, 4, 5)] == [True] * 3
    log = b"".join(path.read_bytes() for path in (tmp_path / "records" / "day").iterdir())
    assert MARK.encode() not in log
    assert b"a reason that stays" in log
    for table in ("cases", "reports", "case_notes", "statements"):
        assert MARK not in str(rows(tmp_path, table)), table


async def test_words_are_kept_with_full_content(tmp_path: Path) -> None:
    await said(tmp_path)
    assert [stored(tmp_path).count(f"{MARK} {number}".encode()) > 0 for number in (1, 2, 3, 4, 5)] == [True] * 5


def rows(folder: Path, table: str) -> list[tuple[object, ...]]:
    import sqlite3

    with sqlite3.connect(folder / "state.sqlite3") as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


@pytest.mark.parametrize("cls", FACTS, ids=lambda cls: cls.__name__)
def test_every_field_with_words_of_people_is_dropped_or_known_to_be_kept(cls: type[Fact]) -> None:
    private = {name for name, owner in owner_of(cls).items() if owner not in ("public", "person", "nobody", None)}
    dropped = {
        Found: {"matched"},
        CaseOpened: {"excerpt"},
        Reported: {"reason"},
        CaseNoted: {"words"},
        Appealed: {"words"},
    }.get(cls, set())
    assert private - dropped <= KEPT, f"is it kept with metadata only? {private - dropped - KEPT}"


def test_fields_without_personal_data_are_unchanged() -> None:
    assert without_words(DECIDED) == DECIDED
