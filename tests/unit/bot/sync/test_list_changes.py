"""Changes of a policy list are kept, and nothing else is written."""

from dataclasses import replace
from pathlib import Path

from bot.sync.policy_lists import changes_of
from moderation.values.ids import RoomId
from storage import queries
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.state.list_entries import change_entries, forget_entries
from tests.unit.moderation.lists.made import made

ROOM = RoomId("!list")
ONE, TWO, THREE = (made("user", f"@{name}:x", key=name) for name in ("one", "two", "three"))


async def test_entries_are_added_changed_and_gone(tmp_path: Path) -> None:
    database = await Database.open(DatabasePlace(tmp_path))
    before, later = (ONE, TWO), (ONE, replace(TWO, reason="other"), THREE)
    for known, now in (((), before), (before, later), (later, (THREE,))):
        change = changes_of(known, now)
        async with database.write() as db:
            await change_entries(db, room=ROOM, gone=change.gone, added=change.added)
        async with database.read() as db:
            kept = (await queries.list_entries(db))[ROOM]
        assert set(kept) == set(now)
    async with database.write() as db:
        await forget_entries(db, room=ROOM)
    async with database.read() as db:
        assert await queries.list_entries(db) == {}
    await database.close()


def test_the_digest_tells_lists_apart() -> None:
    same, other = changes_of((), (ONE, TWO)), changes_of((), (ONE, THREE))
    assert same.digest == changes_of((ONE,), (ONE, TWO)).digest != other.digest
    assert (changes_of((ONE, TWO), (ONE, TWO)).added, changes_of((ONE, TWO), (ONE, TWO)).gone) == ((), ())
