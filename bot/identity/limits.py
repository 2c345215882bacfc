"""Limits on how often verification may be begun: by a person, to a mailbox, by the newcomers of a room.

Rules kept here:
- An attempt is stored durably before anything is sent.
- An address is stored only as its mark.
- Somebody who is refused learns when it is possible again, and nothing about others.
- Many new accounts cannot keep people from verifying who have been in the room for a day.
Left to others: the numbers (`[challenges]` in `bot/config/verification.py`).
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config.verification import ChallengeSettings
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage import queries
from storage.state import verification_dialogues
from storage.state.verification_dialogues import NOWHERE


async def begin(db: AsyncConnection, user: UserId, about: str, settings: ChallengeSettings, now_ms: int) -> None:
    """Store an attempt; `about` is the mark of the address, or "". Raises `Refused` if there were too many."""
    since = now_ms - settings.within
    _refuse(await verification_dialogues.attempts_by(db, user, since), settings.per_person, "person", settings)
    if about:
        _refuse(
            await verification_dialogues.attempts_about(db, about, since), settings.per_address, "address", settings
        )
    known_ms = now_ms - DAY_MS
    for room in await queries.groups_of_person(db, user, joined=True) or (NOWHERE,):
        if room and await verification_dialogues.is_known_in(db, user, room, known_ms):
            continue
        if await verification_dialogues.attempts_from(db, room, since, after_ms=known_ms) >= settings.per_room:
            raise Refused("error.verify.limit-room")
    await verification_dialogues.note_attempt(db, user, about, now_ms, since)


def _refuse(times: Sequence[int], limit: int, what: str, settings: ChallengeSettings) -> None:
    if len(times) >= limit:
        again = times[-limit] + settings.within if limit else 0
        raise Refused(f"error.verify.limit-{what}", until=again)
