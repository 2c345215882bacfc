"""The anchors of each day's closing checkpoint, where others keep it: desks, rooms that want it, and outside.

Rules kept here:
- Each day is handled once, whether it was closed by the clock, by a record of the next day or at the start of the bot.
- A group gets the checkpoints that cover any record of it.
- If no day was ever handled, the newest is enough, for it covers all before it.
- If a checkpoint is posted a second time, it is the same event.
- With several shards the joint checkpoint of the day is posted in place of the log's own. If that cannot be, the log's
  own is posted, with the reason. Which of them, is decided once a day, when the anchors are queued.

Left to others: witness and time stamp (`anchor_outside.py`), closing days (`Journal`), sending
(`bot/outbox/dispatcher.py`), the joint checkpoint (`bot/exchange/joint_days.py`).
"""

import asyncio
import hashlib
import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import structlog

from bot.config.deployment import AnchorSettings
from bot.exchange.joint_days import Choice, JointDays, JointTableAway
from bot.matrix.errors import Forbidden, NotFound
from bot.outbox.handler import ActionHandler, Done, Handlers, PollAgain, RetryLater, Services
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from bot.texts.matrix_message import MESSAGE
from moderation.model.actions.anchors import Anchor, Timestamp, Witness
from moderation.model.actions.base import Action
from moderation.model.facts import CheckpointAnchored
from moderation.values.events import Json
from moderation.values.ids import GroupCode, RoomId, is_named
from moderation.values.notices import Code, Line, line
from storage import queries
from storage.database.database import Database
from storage.journal.line_format import day_of
from storage.journal.transparency.daily_checkpoints import Closing, Closings
from storage.journal.transparency.joint_checkpoint import joint_in
from storage.state import anchor_progress

log = structlog.get_logger()

_TRIES, _FIRST_MS, _LAST_MS = 12, 1_000, 600_000  # waiting for a desk that is not made yet
JOINT_MS = 5_000  # until the next look while other shards may still close a day
VERIFY = "answerable logs verify --against FILE"


class Closer:
    """The part that queues the anchors of every closing checkpoint, once."""

    def __init__(
        self,
        database: Database,
        pipeline: Pipeline,
        closings: Closings,
        settings: AnchorSettings,
        clock: Clock,
        joint: JointDays | None = None,
    ) -> None:
        self._database = database
        self._pipeline = pipeline
        self._closings = closings
        self._settings = settings
        self._clock = clock
        self._joint = joint
        self._looked = ""  # the day of the last look
        self.waits_ms = 0  # until the next look, while other shards may still close a day
        self._next_ms = 0  # when that is, by the steady clock

    async def look(self) -> None:
        """Close the day that is over, and queue the anchors of what was closed. Does nothing more on the same day.

        While it waits for other shards, it looks again after a pause only, as each look asks the database.
        """
        today = day_of(self._clock())
        if today == self._looked or (self.waits_ms and self._pipeline.steady() < self._next_ms):
            return
        await self._pipeline.journal.close_day()
        unseen = await self._unseen()
        choices = await self._joint.choose(unseen, self._clock()) if self._joint else [Choice() for _ in unseen]
        self.waits_ms = JOINT_MS if None in choices else 0
        self._next_ms = self._pipeline.steady() + self.waits_ms
        for closing, choice in zip(unseen, choices, strict=True):
            if choice is None:
                return
            await self._queue(closing, choice)
        self._looked = today

    async def _unseen(self) -> list[Closing]:
        last = await self._database.fetch(anchor_progress.last_day)
        days = await asyncio.to_thread(self._closings.days)
        unseen = days[-1:] if last is None else [day for day in days if day > last]
        return await asyncio.to_thread(_read_all, self._closings, unseen)

    async def _queue(self, closing: Closing, choice: Choice) -> None:
        async with self._database.read() as db:
            groups = await anchor_progress.groups_within(db, closing.size)
            first = await queries.first_in_desk(db)
        also = partial(anchor_progress.advance, day=closing.day)
        post = partial(Anchor, day=closing.day, joint=choice.joint, why=choice.why)
        actions = (*self._actions(closing.day, groups, first, post), *choice.told)
        await self._pipeline.commit(actions=actions, also=also)

    def _actions(
        self,
        day: str,
        groups: Sequence[anchor_progress.Group],
        first: Mapping[RoomId, RoomId],
        post: Callable[..., Anchor],
    ) -> Iterator[Action]:
        """Yield what posts a day's checkpoint; `first` are the rooms that stand for all with the same desk."""
        if self._settings.witness_url:
            yield Witness(day=day)
        if self._settings.timestamp_url:
            yield Timestamp(day=day)
        for room, code, community in groups:
            if first.get(room, room) == room:
                yield post(room=room)
            if is_named(self._settings.rooms, room, code, community=community):
                yield post(room=room, where="room")


def txn_of(closing: Closing, where: str, code: GroupCode, joint: str = "") -> str:
    """Return the transaction id under which this checkpoint, or the joint one with this root, is posted there.

    It is made from what was signed: it stays one event, whatever others add to the checkpoint. In a log that
    continues from a backup the same day ends otherwise, and is not taken for the one that was posted already.
    """
    signed = hashlib.sha256((joint or closing.as_signed).encode()).hexdigest()[:12]
    return f"answerable.anchor.{closing.day}.{where}.{code}.{signed}"


class Anchorer(ActionHandler):
    """The handler of `Anchor`."""

    def __init__(self, services: Services, closings: Closings, joint: JointDays | None = None) -> None:
        super().__init__(services)
        self._closings = closings
        self._joint = joint
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
        posted = await self._posted(action, closing)
        content = self._content(closing, posted, self._speech.language(group.language))
        try:
            txn = txn_of(closing, action.where, group.code, posted.joint)
            made = await self._homeserver.send(target, MESSAGE, content, txn)
        except (Forbidden, NotFound) as error:
            return _refused(action, closing, error.errcode or "-")
        return Done((_fact(action, closing, made=made, joint=posted.joint or "-"),), made=made)

    async def _posted(self, action: Anchor, closing: Closing) -> Choice:
        """Return what is posted, with its note: the log's own checkpoint if the joint one holds no more."""
        choice = Choice(why=action.why)
        if action.joint and self._joint is not None:
            try:
                choice = await self._joint.again(closing, action.joint)
            except JointTableAway:
                raise PollAgain(_LAST_MS) from None
        return choice if choice.joint else replace(choice, note=closing.note)

    def _content(self, closing: Closing, posted: Choice, language: str) -> dict[str, Json]:
        content = self._speech.message(tuple(_said(closing, posted)), language, {})
        block = html.escape(posted.note, quote=False)
        return {
            **content,
            "body": f"{content['body']}\n```\n{posted.note}```",
            "formatted_body": f"{content['formatted_body']}<pre><code>{block}</code></pre>",
        }


def _said(closing: Closing, posted: Choice) -> Iterator[Line]:
    day, verify = Code(closing.day), Code(VERIFY)
    if not posted.joint:
        yield line("anchor.closing", day=day, size=closing.size, verify=verify)
        if posted.why:
            yield line(f"anchor.own.{posted.why}")
        return
    joint = joint_in(posted.note)
    yield line("anchor.joint", day=day, shards=_listed(joint.names[: len(joint.closings)]), verify=verify)
    if joint.without:
        yield line("anchor.joint-without", shards=_listed(joint.without))


def _listed(names: Sequence[str]) -> Code:
    return Code(", ".join(names))


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


def _fact(
    action: Anchor, closing: Closing, *, made: str = "", joint: str = "-", refused: bool = False
) -> CheckpointAnchored:
    return CheckpointAnchored(
        room=action.room,
        where=action.where,
        size=closing.size,
        day=closing.day,
        result="refused" if refused else "done",
        joint=joint,
        made=made,
    )
