"""The daily message to desks about rules on trial: how much they would have found, and the newest messages by link.

Left to others: when it is time (`digest.py`), the findings (`storage/queries/trials.py`).
"""

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.texts.case_words import message_link
from moderation.model.actions.telling import TellDesk
from moderation.model.context import RoomView
from moderation.values.ids import UserId
from moderation.values.notices import Line, Moment, RoomName, RuleText, line
from storage import queries
from storage.queries import Trial

EXAMPLES = 3  # of each rule


async def told_of_trials(
    db: AsyncConnection, rooms: Sequence[RoomView], bot: UserId, since_ms: int, until_ms: int
) -> list[TellDesk]:
    """Return what desks are told of rules on trial: a message for each room in which such a rule matched."""
    told: list[TellDesk] = []
    for room in rooms:
        if found := await queries.trials_of(db, room.room, since_ms, until_ms, EXAMPLES):
            head = line("digest.trials", room=RoomName(room.room), since=Moment(since_ms))
            lines = [head, *(said for each in found for said in _lines(each, room, bot))]
            told.append(TellDesk(room=room.room, lines=tuple(lines), once="trials"))
    return told


def _lines(found: Trial, room: RoomView, bot: UserId) -> Iterator[Line]:
    yield line("digest.trial", rule=RuleText(found.rule), count=found.count, people=found.people)
    for event in found.newest:
        yield line("digest.trial-message", message=message_link(room.room, event, bot))
