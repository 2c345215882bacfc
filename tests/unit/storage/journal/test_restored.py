"""A log that continues from a backup, compared with a checkpoint from the time that the backup lost."""

from typing import Any

from storage.journal.record import Draft
from storage.journal.verify.verify import verify

NOON = 1_795_521_600_000  # 2026-11-24T12:00:00Z


def test_a_checkpoint_of_a_time_that_a_backup_lost_is_named_as_such_and_counted(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message("1")])
        journal.checkpoint(NOON)
        size = journal.size
        backup = place.crash()
        journal.append([tools.message("2"), tools.message("3")])
        journal.checkpoint(NOON)
        kept = journal.signed_checkpoint
    restored = {"size": size, "made": NOON, "signed": -1, "cases": 1100, "era": "c0ffee00"}
    with backup.open() as journal:
        journal.append([Draft("restore", NOON, fields=restored)])
        journal.checkpoint(NOON)
        shorter = verify(backup.folder, against=kept).problems  # the log is not as long again yet
        journal.append([tools.message("4")])
        journal.checkpoint(NOON)
        alike = verify(backup.folder, against=kept).problems  # as many records, and other ones
        journal.append([tools.message("5")])
        journal.checkpoint(NOON)
        longer = verify(backup.folder, against=kept).problems
        own = verify(backup.folder, against=journal.signed_checkpoint).problems
    told = {"signed": size + 2, "by": size, "kept": size, "lost": 2, "on": "2026-11-24 12:00 UTC"}
    assert [(problem.code, problem.file, dict(problem.fields)) for problem in (*shorter, *alike, *longer)] == [
        ("restored", "against", told),
        ("restored", "against", told),
        ("restored", "against", told),
    ]
    assert own == ()
    assert verify(backup.folder).problems == ()


def test_without_a_record_of_a_restore_another_history_is_an_alteration(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message("1")])
        backup = place.crash()
        journal.append([tools.message("2")])
        journal.checkpoint(NOON)
        kept = journal.signed_checkpoint
    with backup.open() as journal:
        journal.append([tools.message("3"), tools.message("4")])
        journal.checkpoint(NOON)
    assert [problem.code for problem in verify(backup.folder, against=kept).problems] == ["root"]
