"""A joint checkpoint that was chosen for a day is posted, or the log's own if that one holds no more."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from bot.effects.anchor_day import JOINT_MS, Anchorer, Closer
from bot.exchange.joint_days import Choice, JointTableAway
from bot.outbox.handler import PollAgain
from moderation.model.actions.anchors import Anchor, OwnBecause
from moderation.model.facts import CheckpointAnchored, RoomStateChanged
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.daily_checkpoints import Closing
from storage.journal.transparency.joint_checkpoint import JointCheckpoint, countersigned
from storage.journal.transparency.signed_note import Signer
from tests.door.bot.effects.test_anchor_day import BOT, DAYS, ONE, Deployment, deployment
from tests.theatre.served import like

SIGNER = Signer.generate("example.org/one")
JOINT = JointCheckpoint.of("example.org", DAYS[0], [Checkpoint(SIGNER.name, 7, bytes(32))], ["two"])
POST = Anchor(room=ONE, day=DAYS[0], where="room", joint=JOINT.root_text)


@dataclass
class Homeserver:
    """A homeserver that takes every message."""

    user: str = BOT
    sent: list[tuple[str, str]] = field(default_factory=list)  # texts and transaction ids

    async def send(self, _room: str, _type: str, content: dict[str, Any], txn: str) -> str:
        self.sent.append((content["body"].replace("`", ""), txn))
        return f"${len(self.sent)}"


class Given:
    """Gives the text to post now; without a choice, the database does not answer."""

    def __init__(self, choice: Choice | None) -> None:
        self._choice = choice

    async def again(self, _closing: object, _root: str) -> Choice:
        if self._choice is None:
            raise JointTableAway("no answer")
        return self._choice


class Choosing:
    """Chooses for each day, but nothing for the first while it `waits`; counts how often it was `asked`."""

    def __init__(self) -> None:
        self.waits = True
        self.asked = 0

    async def choose(self, closings: Sequence[Closing], _now_ms: int) -> list[Choice | None]:
        self.asked += 1
        return [None if self.waits and n == 0 else Choice(why="late") for n, _ in enumerate(closings)]


async def posted(place: Deployment, given: Given | None, action: Anchor = POST) -> tuple[CheckpointAnchored, str, str]:
    """Return the record of what was posted, its text and its transaction id."""
    homeserver = Homeserver()
    anchorer = Anchorer(place.services(cast(Any, homeserver)), place.closings, cast(Any, given))
    done = await anchorer.anchor(action, "txn")
    [(text, txn)], [fact] = homeserver.sent, done.facts
    assert isinstance(fact, CheckpointAnchored)
    return fact, text, txn


def closer(place: Deployment, joint: Choosing) -> Closer:
    parts = (place.stores.database, place.pipeline, place.closings, place.settings)
    return Closer(*parts, lambda: place.now, cast(Any, joint))


async def test_days_are_queued_in_order_though_a_later_one_is_decided_first(tmp_path: Path) -> None:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        joint = Choosing()
        place.closer = closer(place, joint)
        joint.waits = False
        await place.over_midnight()
        joint.waits = True
        for condition in ("observing", "protected"):  # a record each day
            await place.pipeline.commit((RoomStateChanged(room=ONE, condition=condition),))
            await place.over_midnight()
        assert await place.last_day() == DAYS[0]
        joint.waits = False
        place.now += JOINT_MS
        await place.closer.look()
        days = [action.day for action in await place.waiting() if isinstance(action, Anchor) and action.room == ONE]
        assert days == DAYS


async def test_while_it_waits_others_are_asked_now_and_then_however_often_it_is_woken(tmp_path: Path) -> None:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        joint = Choosing()
        place.closer = closer(place, joint)
        await place.over_midnight()
        for _ in range(3):
            place.now += JOINT_MS // 5
            await place.closer.look()
        assert (joint.asked, place.closer.waits_ms) == (1, JOINT_MS)
        place.now += JOINT_MS
        await place.closer.look()
        assert joint.asked == 2
        joint.waits = False
        place.now += JOINT_MS
        await place.closer.look()
        assert (joint.asked, place.closer.waits_ms) == (3, 0)


async def test_what_is_posted(tmp_path: Path) -> None:
    note = countersigned(JOINT, SIGNER)
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        await place.over_midnight()
        own = place.closings.read(DAYS[0])

        joint = Choice(joint=JOINT.root_text, note=note)
        fact, text, txn = await posted(place, Given(joint))
        assert (fact.joint, fact.size, note in text) == (JOINT.root_text, own.size, True)
        for key in ("anchor.joint", "anchor.joint-without"):
            assert like(key).search(text)
        more = replace(joint, note=note + "\u2014 example.org/w AAAAAAA=\n")
        assert (await posted(place, Given(more)))[2] == txn  # the same event

        for why in get_args(OwnBecause)[1:]:
            fact, text, other = await posted(place, Given(Choice(why=why)))
            assert (fact.joint, own.note in text, other != txn) == ("-", True, True)
            assert like(f"anchor.own.{why}").search(text)

        late = Anchor(room=ONE, day=DAYS[0], where="room", why="late")
        fact, text, again = await posted(place, None, late)
        assert (fact.joint, again) == ("-", other)
        assert like("anchor.own.late").search(text)

        plain = Anchor(room=ONE, day=DAYS[0], where="room")
        fact, text, again = await posted(place, None, plain)
        assert (fact.joint, again, "shard" in text) == ("-", other, False)

        with pytest.raises(PollAgain):
            await posted(place, Given(None))
