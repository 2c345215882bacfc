"""The upkeep of policy lists: rooms of lists that nobody chose are left, and choices are kept in the records.

Rules kept here:
- The bot leaves a room that it entered to show a list once nobody has confirmed it for a day, and the room of a list
  that is watched no longer.
- A list that people chose ends once it counts in no room any more, such as when the bot has left theirs.
- The bot never leaves a room that it serves, or the room of a list of our own.
- A list that is still watched is recorded again long before its record expires, so that the tables can be made from the
  records at any time.
"""

from collections.abc import Collection

import structlog

from bot.matrix.errors import Answered, HomeserverError
from bot.outbox.handler import BotPart
from moderation.lists.choosing import CONFIRM_WITHIN_MS
from moderation.model.facts import ListChosen, ListPreviewed
from moderation.model.reach import DEPLOYMENT
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId
from storage import queries
from storage.queries import ChosenList

log = structlog.get_logger()

RECORD_AGAIN_MS = 60 * DAY_MS  # records are kept for 183 days at least


class ListUpkeep(BotPart):
    """The upkeep of lists besides reading them: rooms that are left, choices that end."""

    async def leave_unchosen(self, chosen: Collection[ChosenList], gone: Collection[RoomId] = ()) -> None:
        """Leave the rooms entered for previews that nobody confirmed in time, and those of lists that are `gone`."""
        entered = await self._database.fetch(queries.rooms_entered)
        kept, since = {each.list_room for each in chosen}, self._clock() - CONFIRM_WITHIN_MS
        lapsed = {room for room, (asked, _) in entered.items() if asked <= since}
        ours = self._pipeline.served.codes.keys() | {each.room for each in self._policy.lists.publish}
        for room in sorted((lapsed | set(gone)) - kept - ours):
            await self.leave(room)

    async def end_forsaken(self, chosen: Collection[ChosenList]) -> None:
        """End the lists that were chosen in chat and count in no room that the bot serves: else they take up room."""
        in_rooms = [each for each in chosen if each.in_chat and each.reach != DEPLOYMENT]
        if not in_rooms:
            return
        async with self._database.read() as db:
            views = [await self._pipeline.knowledge.room(db, each) for each in await queries.active_groups(db)]
        rooms = [each for each in views if each is not None]
        for each in in_rooms:
            watch = each.watch(self._policy.lists)
            if not any(watch.holds_in(room) for room in rooms):
                ended = ListChosen(room=each.room, step="ended", list=each.list, trust=each.trust, reach=each.reach)
                await self._pipeline.commit((ended,))

    async def leave(self, room: RoomId) -> None:
        """Leave the room of a list, and record that; a homeserver that is away is asked again later."""
        try:
            await self._homeserver.leave(room)
        except Answered as error:
            log.info("list_not_left", room=room, why=str(error))  # we are out already
        except HomeserverError as error:
            log.warning("list_not_left", room=room, why=str(error))
            return
        await self._pipeline.commit((ListPreviewed(step="left", list_room=room),))

    async def record_again(self, chosen: Collection[ChosenList]) -> None:
        """Record each list that is still watched again, if that was last done long ago."""
        before = self._clock() - RECORD_AGAIN_MS
        facts = tuple(recorded_again(each) for each in chosen if each.at < before)
        if facts:
            await self._pipeline.commit(facts)


def recorded_again(chosen: ChosenList) -> ListChosen:
    """Return the fact that a list is still watched."""
    return ListChosen(
        room=chosen.room,
        step="watched",
        list=chosen.list,
        trust=chosen.trust,
        reach=chosen.reach,
        preview=chosen.preview,
        since=chosen.since,
        list_room=chosen.list_room,
        by=chosen.by,
    )
