"""Events of a time in which the bot was out of their room are left out."""

import pytest

from bot.pipeline.new_events import during_stays
from moderation.values.events import Membership, MembershipChanged, OtherEvent, Received
from moderation.values.ids import EventId, RoomId, UserId

BOT, ROOM, OTHER = UserId("@bot:x"), RoomId("!room"), RoomId("!other")


def said(event: str, room: RoomId = ROOM) -> Received:
    given = {"room": room, "event": EventId(event), "sender": UserId("@ann:x"), "sent_ms": 1, "received_ms": 1}
    return OtherEvent(**given, type="m.other", content={})  # type: ignore[arg-type]


def member(event: str, membership: Membership, user: UserId = BOT) -> Received:
    given = {"room": ROOM, "event": EventId(event), "sender": UserId("@ann:x"), "sent_ms": 1, "received_ms": 1}
    return MembershipChanged(**given, type="m.room.member", content={}, user=user, membership=membership)  # type: ignore[arg-type]


@pytest.mark.parametrize("removal", ["leave", "ban"])
@pytest.mark.parametrize("own", [False, True])
def test_nothing_counts_after_a_removal_until_the_room_is_entered_again(removal: Membership, own: bool) -> None:
    """A group is entered with a notice; a room of the bot's own counts again once the bot is back in it."""
    events = [
        member("$ann", "leave", UserId("@ann:x")),
        said("$1"),
        member("$gone", removal),
        said("$2"),
        said("$elsewhere", OTHER),
        member("$invited", "invite"),
        member("$back", "join"),
        said("$3"),
    ]
    kept = [event.event for event in during_stays(events, BOT, lambda _room: own)]
    assert kept == ["$ann", "$1", "$gone", "$elsewhere", *(["$back", "$3"] if own else [])]
