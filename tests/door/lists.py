"""Lists for tests: what a policy list says, without its room."""

from functools import partial

from bot.sync.policy_lists import PolicyLists
from moderation.lists.entries import Entry
from moderation.model.facts import ListChosen
from moderation.policy import Trust
from moderation.values.ids import RoomId
from storage import queries
from storage.state.list_entries import change_entries
from tests.door.offline import ROOM, Offline

LIST = RoomId("!bans:lists.example")


async def entries(bot: Offline, *said: Entry, trust: Trust = "propose", room: RoomId | None = ROOM) -> None:
    """Let the list `cme`, which an operator chose in chat, say this, and let it take effect.

    `room` None: it is the list `cme` of the configuration, and is watched as that says.
    """
    chosen = ListChosen(room=room, step="watched", list="cme", trust=trust, list_room=LIST)
    async with bot.stores.database.read() as db:
        before = (await queries.list_entries(db)).get(LIST, ())
    await bot.pipeline.commit((chosen,), also=partial(change_entries, room=LIST, gone=before, added=said))
    await PolicyLists(bot.services(None)).begin()
