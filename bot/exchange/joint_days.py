"""The joint checkpoint of a day: who makes it, when, and whether this shard posts it (docs/decisions/0062).

Rules kept here:
- The first shard that has the closing checkpoints of all makes it. After a wait it is made without those that have
  none, which it names, unless the clock of the database's server or the homeserver's contradicts this machine's. The
  database keeps one a day; a shard that comes second posts that one.
- Each shard enters its closing checkpoint, signed with its day, for the others. It counts only if the key of that log
  signed it for that day. The key is that of the settings or the one that was recorded; else the one that the database
  has, if it signed, which is recorded and told to the operators.
- Before it is posted it is checked: a shard's key signed it, it names the shards of the settings and no others, and it
  has the closing checkpoints of this log and of the others as they are known here. Then this log's key signs it as
  well. Lines of other keys are left out: a writer of the database could make a message too long by them.
- Operators are told if it leaves out a shard whose closing checkpoint is there, be it refused, or this one before the
  wait was over.
- Otherwise the log's own is posted, with the reason; also if the database does not answer until the wait is over.

Left to others: its form (`storage/journal/transparency/joint_checkpoint.py`), where it is stored
(`storage/journal/joint_table.py`), posting (`bot/effects/anchor_day.py`).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog

from bot.monitoring.trusted_time import Doubts
from bot.pipeline.pipeline import Pipeline
from moderation.model.actions.anchors import OwnBecause
from moderation.model.actions.base import NO_ROOM, Action
from moderation.model.actions.telling import TellAbove
from moderation.values.errors import AnswerableError, Invalid
from moderation.values.notices import Code, line
from storage.database.database import Database
from storage.database.refusals import DatabaseRefused, is_of_driver
from storage.journal.joint_table import JointTable, SharedClosing
from storage.journal.journal import Journal
from storage.journal.line_format import day_of
from storage.journal.transparency import log_key
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.daily_checkpoints import Closing
from storage.journal.transparency.dated_closing import dated, open_dated
from storage.journal.transparency.joint_checkpoint import JointCheckpoint, countersigned, open_joint
from storage.journal.transparency.signed_note import NoteVerifier, Signer
from storage.queries.shards import pinned_key

from .pinning import pin

log = structlog.get_logger()
T = TypeVar("T")

WAIT_MS = 600_000  # for the closing checkpoints of other shards; a restart or a takeover takes less than a minute


@dataclass(frozen=True, slots=True)
class Choice:
    """The choice for a day: the joint checkpoint with the root `joint` (base64), or the log's own, and why.

    `note` is the joint checkpoint, signed by this log too.
    """

    joint: str = ""
    why: OwnBecause = ""
    told: tuple[Action, ...] = ()
    note: str = field(default="", compare=False)


class JointTableAway(AnswerableError):
    """Raised while the database does not answer, or keeps nothing; the same is tried again later."""


class JointDays:
    """The joint checkpoints as one shard sees them. `base` is the name of the deployment, `shard` that of this one."""

    def __init__(
        self,
        table: JointTable,
        pipeline: Pipeline,
        journal: Journal,
        database: Database,
        base: str,
        shard: str,
        others: Mapping[str, str | None],
        doubts: Doubts,
    ) -> None:
        """Set up; `others` are the names of the other shards, with the keys of their logs that the settings say.

        `doubts`: why the clock of this machine may be wrong.
        """
        self._table = table
        self._pipeline = pipeline
        self._journal = journal
        self._database = database
        self._base = base
        self._shard = shard
        self._others = others
        self._doubts = doubts
        self._since: dict[str, int] = {}  # when this process first looked for that of a day
        self._chosen: dict[str, Choice] = {}  # the last one that held, by its root, and what came of it
        self._turn = asyncio.Lock()
        self._logged: set[tuple[str, str]] = set()  # days and shards of refused closing checkpoints
        self._is_away = False

    async def choose(self, closings: Sequence[Closing], now_ms: int) -> list[Choice | None]:
        """Return what to post for each of these days, closed by this log; None while other shards may still close it.

        The wait begins for all of them at once, and again if the clock was set back.
        """
        self._since = {each.day: min(now_ms, self._since.get(each.day, now_ms)) for each in closings}
        return [await self._choice(each, now_ms) for each in closings]

    async def _choice(self, closing: Closing, now_ms: int) -> Choice | None:
        try:
            return await self._choose(closing, now_ms)
        except JointTableAway:
            return None if self._must_wait(closing.day, now_ms) else Choice(why="late")

    async def again(self, closing: Closing, root: str) -> Choice:
        """Return what to post for a day whose joint checkpoint was chosen: that one, or why it holds no more.

        The latter is told to the operators, once. Raises `JointTableAway`.
        """
        async with self._turn:
            if root not in self._chosen:
                note = await self._asked(partial(self._table.of_day, closing.day))
                choice = await self._judged(closing, note, await self._others_closings(closing)) if note else Choice()
                if choice.why in ("", "without") and choice.joint != root:
                    choice = self._refused(closing.day, "gone", root)
                if choice.why:
                    await self._pipeline.commit(actions=choice.told)
                self._chosen = {root: choice}
            return self._chosen[root]

    async def _choose(self, closing: Closing, now_ms: int) -> Choice | None:
        others = await self._others_closings(closing)
        note = await self._asked(partial(self._table.of_day, closing.day))
        if note is None:
            without = [name for name in self._others if others.get(name) is None]
            if without and (self._must_wait(closing.day, now_ms, without) or not await self._is_over(closing.day)):
                return None
            note = await self._made(closing, [each for each in others.values() if each is not None], without)
        choice = await self._judged(closing, note, others, early=day_of(now_ms - WAIT_MS) <= closing.day)
        self._chosen = {choice.joint: choice}
        return choice

    async def _asked(self, work: Callable[[], T]) -> T:
        """Ask the table. Raises `JointTableAway` if the database does not answer, or refuses."""
        try:
            found = await asyncio.to_thread(work)
        except Exception as error:
            if not (isinstance(error, DatabaseRefused) or is_of_driver(error)):
                raise
            if not self._is_away:
                log.warning("joint_checkpoints_away", why=str(error))
            self._is_away = True
            raise JointTableAway(str(error)) from error
        self._is_away = False
        return found

    def _must_wait(self, day: str, now_ms: int, without: Sequence[str] = ()) -> bool:
        waited_ms = now_ms - self._since[day]
        if not waited_ms:
            log.info("joint_checkpoint_waits", day=day, without=list(without))
        return waited_ms < WAIT_MS

    async def _is_over(self, day: str) -> bool:
        """Tell whether the day and the wait are over by the clocks of others, too: those who are late may be right."""
        if self._doubts() == "homeserver":
            return False
        return await self._asked(partial(self._table.is_over, day, WAIT_MS))

    async def _made(self, closing: Closing, others: Sequence[Checkpoint], without: Sequence[str]) -> str:
        """Make the joint checkpoint of a day, and return the one that the database has then."""
        closings = [Checkpoint.of_note(closing.note), *others]
        joint = JointCheckpoint.of(self._base, closing.day, closings, without)
        signed = await self._signed(joint)
        await self._asked(partial(self._table.put, closing.day, joint.root_text, signed))
        kept = await self._asked(partial(self._table.of_day, closing.day))
        if kept is None:  # each shard would post one of its own, which nobody else could find
            raise JointTableAway("the database did not keep the joint checkpoint")
        log.info("joint_checkpoint", day=closing.day, shards=len(closings), without=list(without))
        return kept

    async def _signed(self, joint: JointCheckpoint, note: str = "", by: Sequence[NoteVerifier] = ()) -> str:
        return countersigned(joint, await self._signer(), note, by)

    async def _signer(self) -> Signer:
        return await asyncio.to_thread(log_key.load, self._journal.folder.parent)

    async def _judged(
        self, closing: Closing, note: str, others: Mapping[str, Checkpoint | None], *, early: bool = False
    ) -> Choice:
        """Return whether to post a joint checkpoint; it is signed by this log then.

        `others` are the closing checkpoints of other shards. `early`: nobody may have left out a shard yet.
        """
        verifiers = [NoteVerifier.parse(self._journal.vkey), *(await self._keys()).values()]
        try:
            joint = open_joint(note, verifiers)
        except Invalid as error:
            return self._refused(closing.day, "forged", str(error))
        if (joint.base, joint.day) != (self._base, closing.day):
            return self._refused(closing.day, "forged", joint.origin)
        if different := {self._shard, *self._others} ^ set(joint.names):
            return self._refused(closing.day, "unnamed", ", ".join(sorted(different)))
        known = {**others, self._shard: Checkpoint.of_note(closing.note)}
        for each in joint.closings:
            if (known.get(name := joint.name_of(each)) or each) != each:
                return self._refused(closing.day, "other", each.text, shard=Code(name))
        left_out = [name for name in joint.without if name in others or (early and name == self._shard)]
        told = (_tell("joint-left-out", day=Code(joint.day), shards=Code(", ".join(left_out))),) if left_out else ()
        if self._shard in joint.without:
            return Choice(why="without", told=told)
        return Choice(joint=joint.root_text, told=told, note=await self._signed(joint, note, verifiers))

    def _refused(self, day: str, why: OwnBecause, found: str, **fields: Code) -> Choice:
        log.error("joint_checkpoint_refused", day=day, why=why, found=found)
        return Choice(why=why, told=(_tell(f"joint-{why}", day=Code(day), **fields),))

    async def _others_closings(self, closing: Closing) -> dict[str, Checkpoint | None]:
        """Return the closing checkpoints of other shards, by their names; None if its key did not sign it for this day.

        This shard's own is entered for the others, if it is not there.
        """
        own = dated(Checkpoint.of_note(closing.note), closing.day, await self._signer())
        names = [self._shard, *self._others]
        found = {each.shard: each for each in await self._asked(partial(self._table.closings, closing.day, names))}
        entered = found.pop(self._shard, None)
        if entered is None or entered.note != own:
            await self._asked(partial(self._table.enter, closing.day, own))
        keys = await self._keys()
        closings: dict[str, Checkpoint | None] = dict.fromkeys(found)
        for each in found.values():
            try:
                key = keys.get(each.shard) or NoteVerifier.parse(each.vkey)
                closings[each.shard] = self._proved(each, closing.day, key)
            except Invalid as error:
                if (closing.day, each.shard) not in self._logged:
                    log.error("closing_refused", shard=each.shard, day=closing.day, why=str(error))
                self._logged.add((closing.day, each.shard))
                continue
            if each.shard not in keys and not await pin(self._pipeline, self._database, key):
                closings[each.shard] = None
        return closings

    def _proved(self, closing: SharedClosing, day: str, key: NoteVerifier) -> Checkpoint:
        if key.name != f"{self._base}/{closing.shard}":
            raise Invalid(f"the key is that of the log {key.name}")
        return open_dated(closing.note, day, key)

    async def _keys(self) -> dict[str, NoteVerifier]:
        """Return the keys of the other logs that are known, by the names of their shards."""
        found = {}
        async with self._database.read() as db:
            for name, stated in self._others.items():
                if vkey := stated or await pinned_key(db, f"{self._base}/{name}"):
                    found[name] = NoteVerifier.parse(vkey)
        return found


def _tell(what: str, **fields: Code) -> TellAbove:
    return TellAbove(room=NO_ROOM, lines=(line(f"shards.{what}", **fields),))
