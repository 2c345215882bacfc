"""A wait is logged once, a desk that waits for long is told once an hour, and the limit is kept once."""

from structlog.testing import capture_logs

from bot.outbox.slowed import AGAIN_MS, LONG_MS, Slowed
from moderation.model.actions.base import Action
from moderation.model.actions.cards import PostCard
from moderation.model.actions.removal import Redact
from moderation.model.actions.telling import Tell
from moderation.values.ids import CaseNumber, EventId, RoomId, UserId
from moderation.values.notices import line
from storage.outbox import OutboxRow

NOW = 10_000_000
ROOM, OTHER = RoomId("!garden:example.org"), RoomId("!pond:example.org")
ANNA = UserId("@anna:example.org")
REDACT, CARD = Redact(room=ROOM, event=EventId("$spam"), subject=ANNA), PostCard(room=OTHER, n=CaseNumber(1))
WORD = Tell(room=ROOM, subject=ANNA, lines=(line("done.ack"),))


def waiting(*actions: Action, since: int = NOW) -> list[OutboxRow]:
    return [OutboxRow(n, f"t{n}", each, n, 0, 0, each.priority, since) for n, each in enumerate(actions)]


def test_each_wait_is_logged_once_with_its_seconds() -> None:
    slowed = Slowed()
    with capture_logs() as logged:
        for now, wait_ms in ((NOW, 4_900), (NOW + 20, 4_880), (NOW + 30, 5_000), (NOW + 4_950, 5_000)):
            slowed.refused((), wait_ms, now)
    assert [(entry["event"], entry["wait_s"]) for entry in logged] == [("rate_limited", 4.9), ("rate_limited", 5.0)]


def test_the_desks_of_late_cards_and_removals_are_told_once_an_hour() -> None:
    slowed = Slowed()
    rows = waiting(REDACT, CARD, WORD)
    assert slowed.refused(rows, 5_000, NOW + LONG_MS - 1) == ()
    told = slowed.refused(rows, 5_000, NOW + LONG_MS)
    assert [(action.room, [each.key for each in action.lines]) for action in told] == [
        (ROOM, ["desk.slowed"]),
        (OTHER, ["desk.slowed"]),
    ]
    assert slowed.refused(rows, 5_000, NOW + LONG_MS + AGAIN_MS - 1) == ()
    assert len(slowed.refused(rows, 5_000, NOW + LONG_MS + AGAIN_MS)) == 2


def test_a_late_word_to_somebody_is_not_told() -> None:
    assert Slowed().refused(waiting(WORD, since=0), 5_000, NOW) == ()


def test_a_limit_that_was_not_known_is_found_once() -> None:
    found: list[str] = []
    slowed = Slowed(found=lambda: found.append("limited"))
    for now in (NOW, NOW + 5_000):
        slowed.refused((), 5_000, now)
    Slowed(known=True, found=lambda: found.append("again")).refused((), 5_000, NOW)
    assert (found, slowed.known) == (["limited"], True)


def test_a_limit_that_was_lifted_is_found_again() -> None:
    found: list[str] = []
    slowed = Slowed(known=True, found=lambda: found.append("limited"))
    slowed.learn("lifted")
    slowed.refused((), 5_000, NOW)
    assert (found, slowed.known) == (["limited"], True)
