"""`answerable logs purge` without a running bot: it can list what is due, but not remove it."""

from pathlib import Path

from bot.cli.terminal.output import text
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.record import Draft
from storage.journal.record_keys import PersonKeys
from tests.unit.bot.cli.conftest import NOW, Answerable

DAY_MS = 86_400_000


def test_nothing_is_removed_while_nobody_knows_the_homeservers_time(empty: Path, answerable: Answerable) -> None:
    old = NOW - 300 * DAY_MS
    keys = PersonKeys.open(DatabasePlace(empty))
    with Journal.open(empty, "example.org/answerable", keys, old) as journal:
        journal.append([Draft("start", old, fields={"version": "1"}), Draft("stop", old, fields={"why": "asked"})])
        journal.append([Draft("start", NOW, fields={"version": "1"})])
        journal.close(NOW)
    keys.close()
    due = answerable("logs", "purge", "--dry-run", "--json").json
    assert len(due["days"]) == 1
    refused = answerable("logs", "purge")
    assert (refused.code, refused.err.strip()) == (1, text("error.clock.unheard"))
    assert answerable("logs", "purge", "--dry-run", "--json").json["days"] == due["days"]
