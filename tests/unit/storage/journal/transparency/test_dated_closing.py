"""Closing checkpoints with their day: one of another day, of another log or of no day does not pass for it."""

import pytest

from moderation.values.errors import Invalid
from storage.journal.transparency.checkpoint import Checkpoint, open_checkpoint
from storage.journal.transparency.dated_closing import dated, open_dated
from storage.journal.transparency.joint_checkpoint import is_joint
from storage.journal.transparency.signed_note import Signer

DAY = "2026-11-24"
ONE, TWO = (Signer.generate(f"example.org/answerable/{name}") for name in ("one", "two"))
CLOSING = Checkpoint(ONE.name, 7, bytes(32))


def test_it_is_read_as_it_was_signed() -> None:
    note = dated(CLOSING, DAY, ONE)
    assert note.splitlines()[:2] == ["example.org/answerable/one/closing/2026-11-24", "7"]
    assert open_dated(note, DAY, ONE.verifier) == CLOSING


@pytest.mark.parametrize(
    "note",
    [
        dated(CLOSING, "2026-11-23", ONE),
        CLOSING.signed(ONE),
        dated(CLOSING, DAY, TWO),
        dated(CLOSING, DAY, Signer.generate(ONE.name)),
        dated(Checkpoint(TWO.name, 7, bytes(32)), DAY, ONE),
        dated(CLOSING, DAY, ONE).replace("\n7\n", "\n8\n"),
        "",
    ],
)
def test_anything_else_is_refused(note: str) -> None:
    with pytest.raises(Invalid):
        open_dated(note, DAY, ONE.verifier)


def test_it_passes_for_nothing_else() -> None:
    note = dated(CLOSING, DAY, ONE)
    assert not is_joint(note)
    with pytest.raises(Invalid):
        open_checkpoint(note, [ONE.verifier])
