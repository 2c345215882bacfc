"""The anchors of each day's closing checkpoint, where others keep it: desks, rooms that want it, and outside.

Rules kept here:
- Each day is handled once, whether it was closed by the clock, by a record of the next day or at the start of the bot.
- A group gets the checkpoints that cover any record of it.
- If no day was ever handled, the newest is enough, for it covers all before it.
- If a checkpoint is posted a second time, it is the same event.

Left to others: witness and time stamp (`anchor_outside.py`), closing days (`Journal`), sending
(`bot/outbox/dispatcher.py`).
"""

import asyncio
import hashlib
import html
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import structlog

from bot.config.deployment import AnchorSettings
from bot.matrix.errors import Forbidden, NotFound
from bot.outbox.handler import ActionHandler, Done, Handlers, RetryLater, Services
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from bot.texts.matrix_message import MESSAGE
from moderation.model.actions.anchors import Anchor, Timestamp, Witness
from moderation.model.actions.base import Action
from moderation.model.facts import CheckpointAnchored
from moderation.values.events import Json
from moderation.values.ids import GroupCode, RoomId, is_named
from moderation.values.notices import Code, line
from storage import queries
from storage.database.database import Database
from storage.journal.line_format import day_of
from storage.journal.transparency.daily_checkpoints import Closing, Closings
from storage.state import anchor_progress

log = structlog.get_logger()

_TRIES, _FIRST_MS, _LAST_MS = 12, 1_000, 600_000  # waiting for a desk that is not made yet
VERIFY = "answerable logs verify --against FILE"


class Closer:
    """The part that queues the anchors of every closing checkpoint, once."""

    def __init__(
        self, database: Database, pipeline: Pipeline, closings: Closings, settings: AnchorSettings, clock: Clock
    ) -> None:
        self._database = database
        self._pipeline = pipeline
        self._closings = closings
        self._settings = settings
        self._clock = clock
        self._looked = ""  # the day of the last look

    async def look(self) -> None:
        """Close the day that is over, and queue the anchors of what was closed. Does nothing more on the same day."""
        today = day_of(self._clock())
        if today == self._looked:
            return
        await self._pipeline.journal.close_day()
        for closing in await self._unseen():
            await self._queue(closing)
        self._looked = today

    async def _unseen(self) -> list[Closing]:
        async with self._database.read() as db:
            last = await anchor_progress.last_day(db)
        days = await asyncio.to_thread(self._closings.days)
        unseen = days[-1:] if last is None else [day for day in days if day > last]
        return await asyncio.to_thread(_read_all, self._closings, unseen)

    async def _queue(self, closing: Closing) -> None:
        async with self._database.read() as db:
            groups = await anchor_progress.groups_within(db, closing.size)
            first = await queries.first_in_desk(db)
        also = partial(anchor_progress.advance, day=closing.day)
        await self._pipeline.commit(actions=tuple(self._actions(closing.day, groups, first)), also=also)

    def _actions(
        self, day: str, groups: Sequence[anchor_progress.Group], first: Mapping[RoomId, RoomId]
    ) -> Iterator[Action]:
        """Yield what posts a day's checkpoint; `first` are the rooms that stand for all with the same desk."""
        if self._settings.witness_url:
            yield Witness(day=day)
        if self._settings.timestamp_url:
            yield Timestamp(day=day)
        for room, code, community in groups:
            if first.get(room, room) == room:
                yield Anchor(room=room, day=day)
            if is_named(self._settings.rooms, room, code, community=community):
                yield Anchor(room=room, day=day, where="room")


def txn_of(closing: Closing, where: str, code: GroupCode) -> str:
    """Return the transaction id under which this checkpoint is posted there.

    It is made from what the log signed: it stays one event, whatever others add to the checkpoint. In a log that
    continues from a backup the same day ends otherwise, and is not taken for the one that was posted already.
    """
    signed = hashlib.sha256(closing.as_signed.encode()).hexdigest()[:12]
    return f"answerable.anchor.{closing.day}.{where}.{code}.{signed}"


class Anchorer(ActionHandler):
    """The handler of `Anchor`."""

    def __init__(self, services: Services, closings: Closings) -> None:
        super().__init__(services)
        self._closings = closings
        self.handles: Handlers = {Anchor: self.anchor}

    async def anchor(self, action: Anchor, _txn: str) -> Done:
        """Post the checkpoint. Its transaction id comes from what the log signed (`txn_of`), so it stays one event."""
        try:
            closing = await asyncio.to_thread(self._closings.read, action.day)
        except LookupError:  # purged while it waited
            return Done(result="abandoned", code="gone")
        async with self._database.read() as db:
            group = await queries.room_view(db, action.room, self._homeserver.user)
            desk = await queries.desk_of(db, group.code) if group else None
        if group is None or not group.active:
            return Done(result="abandoned", code="left")
        target = desk if action.where == "desk" else action.room
        if target is None:
            given_up = _refused(action, closing, "no-desk")
            raise RetryLater("there is no desk yet", given_up, tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS)
        content = self._content(closing, self._speech.language(group.language))
        try:
            made = await self._homeserver.send(target, MESSAGE, content, txn_of(closing, action.where, group.code))
        except (Forbidden, NotFound) as error:
            return _refused(action, closing, error.errcode or "-")
        return Done((_fact(action, closing, made=made),), made=made)

    def _content(self, closing: Closing, language: str) -> dict[str, Json]:
        said = line("anchor.closing", day=Code(closing.day), size=closing.size, verify=Code(VERIFY))
        content = self._speech.message((said,), language, {})
        block = html.escape(closing.note, quote=False)
        return {
            **content,
            "body": f"{content['body']}\n```\n{closing.note}```",
            "formatted_body": f"{content['formatted_body']}<pre><code>{block}</code></pre>",
        }


def _read_all(closings: Closings, days: Sequence[str]) -> list[Closing]:
    """Return those that can be read; `answerable logs verify` tells what is wrong with the others."""
    found = []
    for day in days:
        try:
            found.append(closings.read(day))
        except LookupError as error:
            log.warning("closing_unreadable", day=day, why=str(error))
    return found


def _refused(action: Anchor, closing: Closing, code: str) -> Done:
    return Done((_fact(action, closing, refused=True),), result="refused", code=code)


def _fact(action: Anchor, closing: Closing, *, made: str = "", refused: bool = False) -> CheckpointAnchored:
    return CheckpointAnchored(
        room=action.room,
        where=action.where,
        size=closing.size,
        day=closing.day,
        result="refused" if refused else "done",
        made=made,
    )
