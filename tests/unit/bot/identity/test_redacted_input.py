"""Only words said for a verification stay out of the records, only while it is in progress."""

from pathlib import Path

import pytest

from bot.identity.redacted_input import LOOK_MS, Hush
from moderation.model.actions.people import Verify
from moderation.values.ids import RoomId, UserId
from storage import outbox
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.state import verification_dialogues
from storage.state.verification_dialogues import StoredDialogue
from tests.unit.moderation.builders import ANNA, MARK, NOON, said, topic

ALOUD = [
    "!verify email ann@example.org",
    "!VERIFY email ann@example.org",
    "! verify 12345678",
    "!verify:ann@example.org",
    "!verify\nann@example.org",
    "!verify roster k7qx 2mpd 9hwa 4trc",
    "!验证 12345678",
    "!核实12345678",
    "！verify email ann@example.org",
]
ALONE = [*ALOUD, "* !verify email ann@example.org", "!verify me, please"]  # an edit, as older clients show it
NOT_ALOUD = [
    "verify me",
    "!verifying is good",
    "!credit",
    "see !verify",
    "!verify",
    "!verify oidc",
    "!verify me, please",
    "!verify ann",
    "!verify email ann",
    "!verify email ann@example.org and more",
    "!verify roster ann@example.org",
    "!verify email a b@example.org",
    "!verify " + "x" * 400 + "@example.org",
    "* !verify email ann@example.org",
]


@pytest.mark.parametrize("text", ALONE)
def test_in_a_direct_room_the_command_text_is_left_out(text: str) -> None:
    assert Hush("!").covers(said(text))


@pytest.mark.parametrize("text", ALOUD)
def test_in_a_group_only_a_code_or_address_is_left_out(text: str) -> None:
    kept = Hush("!").without_token(said(text))
    assert kept is not None and kept.body.endswith(" …") and kept.content["body"] == kept.body
    assert Hush("!").without_token(kept) == kept


@pytest.mark.parametrize("text", NOT_ALOUD)
def test_in_a_group_other_text_is_recorded(text: str) -> None:
    hush = Hush("!")
    hush.opened(ANNA, NOON + 60_000)
    assert hush.without_token(said(text)) is None


def test_in_a_direct_room_everything_is_left_out_during_a_dialogue() -> None:
    hush = Hush("!")
    assert not hush.covers(said("hello"))
    assert hush.covers(said("!verify email ann@example.org"))
    assert hush.covers(said("my code is 12345678"))  # in the same answer of the homeserver
    assert not hush.covers(said("hello", MARK))
    assert not hush.covers(topic("a topic"))
    assert not hush.covers(said("hello", at=NOON + LOOK_MS))
    hush.opened(ANNA, NOON + 1_000)
    assert hush.covers(said("12345678", at=NOON + 999))
    hush.closed(ANNA)
    assert not hush.covers(said("hello"))


def test_a_bare_code_counts_only_in_a_direct_room_during_a_dialogue() -> None:
    hush = Hush("!")
    code = said("1234 5678")
    assert (hush.words(code, direct=True), hush.asks(code)) == (None, False)
    hush.opened(ANNA, NOON + 1_000)
    assert (hush.words(code, direct=True), hush.asks(code)) == ("1234 5678", True)
    assert hush.words(code, direct=False) is None
    assert hush.words(said("!verify  email  x"), direct=False) == "email  x"
    assert hush.words(said("!verify stop", replaces="$said"), direct=True) is None


async def test_open_dialogues_are_known_after_a_restart(tmp_path: Path) -> None:
    database = await Database.open(DatabasePlace(tmp_path))
    ben = UserId("@ben:example.org")
    async with database.write() as db:
        await verification_dialogues.keep(db, StoredDialogue(ANNA, "email", "sealed", NOON, NOON + 1_000))
        await outbox.put(db, (Verify(room=RoomId("!r:x"), subject=ben, sealed="sealed", on=3),), cause=3, now=0)
        hush = Hush("!")
        await hush.begin(db)
    assert hush.covers(said("12345678"))
    assert hush.covers(said("12345678", ben))
    assert not hush.covers(said("12345678", MARK))
    await database.close()
