"""Whose words are not recorded: those that are said to verify, for as long as somebody does, and no others."""

from pathlib import Path

import pytest

from bot.verify.hush import LOOK_MS, Hush
from moderation.actions import Verify
from moderation.ids import RoomId, UserId
from storage import challenges, outbox
from storage.challenges import Challenge
from storage.database import Database
from tests.moderation.builders import ANNA, MARK, NOON, said, topic


@pytest.mark.parametrize(
    "text",
    [
        "!verify email ann@example.org",
        "!VERIFY email ann@example.org",
        "! verify 12345678",
        "!verify:ann@example.org",
        "!verify\nann@example.org",
        "* !verify email ann@example.org",  # an edit, as older clients show it
        "!验证 12345678",
        "!核实12345678",
    ],
)
@pytest.mark.parametrize("direct", [True, False])
def test_what_is_said_to_the_command_wherever_it_is_said(text: str, direct: bool) -> None:
    assert Hush("!").covers(said(text), direct=direct)


@pytest.mark.parametrize("text", ["verify me", "!verifying is good", "!credit", "see !verify", "!verify " + "x" * 400])
def test_in_a_group_nothing_else(text: str) -> None:
    hush = Hush("!")
    hush.opened(ANNA, NOON + 60_000)
    assert not hush.covers(said(text), direct=False)


def test_alone_everything_while_it_goes_on() -> None:
    hush = Hush("!")
    assert not hush.covers(said("hello"), direct=True)
    assert hush.covers(said("!verify email ann@example.org"), direct=True)
    assert hush.covers(said("my code is 12345678"), direct=True)  # in the same answer of the homeserver
    assert not hush.covers(said("hello", MARK), direct=True)
    assert not hush.covers(topic("a topic"), direct=True)
    assert not hush.covers(said("hello", at=NOON + LOOK_MS), direct=True)
    hush.opened(ANNA, NOON + 1_000)
    assert hush.covers(said("12345678", at=NOON + 999), direct=True)
    hush.closed(ANNA)
    assert not hush.covers(said("hello"), direct=True)


def test_the_code_alone_is_understood_while_it_goes_on_and_only_alone() -> None:
    hush = Hush("!")
    code = said("1234 5678")
    assert (hush.words(code, direct=True), hush.asks(code)) == (None, False)
    hush.opened(ANNA, NOON + 1_000)
    assert (hush.words(code, direct=True), hush.asks(code)) == ("1234 5678", True)
    assert hush.words(code, direct=False) is None
    assert hush.words(said("!verify  email  x"), direct=False) == "email  x"
    assert hush.words(said("!verify stop", replaces="$said"), direct=True) is None


async def test_what_goes_on_is_known_after_a_restart(tmp_path: Path) -> None:
    database = await Database.open(tmp_path)
    ben = UserId("@ben:example.org")
    async with database.write() as db:
        await challenges.keep(db, Challenge(ANNA, "email", "sealed", NOON, NOON + 1_000))
        await outbox.put(db, (Verify(room=RoomId("!r:x"), subject=ben, sealed="sealed", on=3),), cause=3, now=0)
        hush = Hush("!")
        await hush.begin(db)
    assert hush.covers(said("12345678"), direct=True)
    assert hush.covers(said("12345678", ben), direct=True)
    assert not hush.covers(said("12345678", MARK), direct=True)
    await database.close()
