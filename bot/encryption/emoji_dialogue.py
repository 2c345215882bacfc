"""The emoji comparison with people, by which their clients verify the bot's keys, and the bot theirs.

Rules kept here:
- Only members of a group, those who run one, and operators of this deployment are answered.
- Members may begin a limited number an hour, and a limited number at the same time, since each costs messages.
- The emoji are shown only to that person and, for those who run a group, in its desk.
- The emoji count as equal only if that very person presses so, or an operator says so at the command line (the trusted
  way: it does not pass through the homeserver).
- A difference is reported to the operators.
- Nothing is kept over a restart.
Left to others: the protocol (`bot/crypto/sas.py`), sending its messages (`bot/crypto/verifier.py`).
"""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.bot_rooms.direct_rooms import DirectRooms
from bot.crypto.errors import CryptoError
from bot.crypto.machine import CryptoMachine
from bot.crypto.sas import SasStage
from bot.crypto.to_device import ToDevice
from bot.crypto.verifier import EmojiVerifier, Progress
from bot.matrix.errors import Answered, HomeserverError, LoggedOut, RateLimited, Unreachable
from bot.outbox.handler import BotPart, Services
from bot.texts.matrix_message import MESSAGE, replacing
from moderation.duty.responsibility import is_operator
from moderation.values.errors import Broken, Refused
from moderation.values.events import Json, MessagePosted, OtherEvent, ReactionGiven, Received
from moderation.values.ids import EventId, RoomId, UserId
from moderation.values.notices import Line, Who, line
from storage import queries

from .comparison_inbox import ComparisonInbox, Talk
from .key_alerts import to_operators

log = structlog.get_logger()

SAME, DIFFERENT = "✅", "❌"
REACTION = "m.reaction"
MEMBER_AN_HOUR = 5  # verifications that one member may begin
MEMBERS_AT_ONCE = 20  # verifications in progress with members
HOUR_MS = 3_600_000
LOOK_S = 15.0  # interval for ending those that take too long
TRIES, LONGEST_PAUSE_S = 5, 10.0
# Codes with which either side reports different emoji, or keys that are not as they should be.
_DIFFERS = ("m.mismatched_sas", "m.key_mismatch", "m.mismatched_commitment")
_LETTERS = "bcdfghjkmnpqrstvwxz23456789"


class Verifying(BotPart):
    """The emoji comparisons of the bot."""

    def __init__(self, services: Services, inbox: ComparisonInbox, machine: CryptoMachine, direct: DirectRooms) -> None:
        super().__init__(services)
        self._inbox = inbox
        self._direct = direct
        self._answered: set[str] = set()  # looked up just before the verifier is asked
        self._verifier = EmojiVerifier(machine, allowed=self._answered.__contains__, say=self._say)
        self._turn = asyncio.Lock()  # one step at a time
        self._talks = inbox.talks
        self._begun: dict[UserId, list[int]] = {}  # times (ms) at which members began one in the last hour

    # Runs in parallel to the listener.

    async def run(self) -> None:
        """Answer messages until cancelled."""
        while True:
            item = await self._inbox.next(LOOK_S)
            try:
                await (self._expire() if item is None else self._follow(item))
            except LoggedOut:
                raise
            except (HomeserverError, CryptoError) as error:
                log.warning("verification_broken_off", why=str(error))
            except (OSError, Broken, SQLAlchemyError):
                raise  # a failing disk
            except Exception:  # a defect in one verification must not stop the bot
                log.exception("verification_failed")

    async def _follow(self, item: ToDevice | Received) -> None:
        sender = UserId(item.sender or "")
        if not await self._may(sender):
            log.info("verification_not_answered", by=sender)
        elif isinstance(item, ToDevice):
            async with self._turn:
                progress = await self._verifier.to_device(item)
            await self._went_on(progress)
        elif isinstance(item, ReactionGiven):
            await self._pressed(item)
        else:
            async with self._turn:
                progress = await self._verifier.in_room(item.room, _raw(item))
            await self._went_on(progress)

    async def _may(self, user: UserId) -> bool:
        """Tell whether the bot answers somebody.

        Everybody else's messages cost one look-up and no request to the homeserver.
        """
        async with self._database.read() as db:
            runs = is_operator(user, self._policy) or bool(await queries.answers_for(db, user))
            may = runs or (bool(await queries.groups_of(db, user, joined=True)) and self._has_room_for(user))
        (self._answered.add if may else self._answered.discard)(user)
        return may

    def _has_room_for(self, member: UserId) -> bool:
        """Tell whether a member may begin one more comparison, or has one in progress, which may continue."""
        if any(talk.user == member for talk in self._talks.values()):
            return True
        since = self._clock() - HOUR_MS
        self._begun = {user: new for user, at in self._begun.items() if (new := [each for each in at if each > since])}
        under_way = sum(talk.user in self._begun for talk in self._talks.values())
        return len(self._begun.get(member, ())) < MEMBER_AN_HOUR and under_way < MEMBERS_AT_ONCE

    async def _pressed(self, event: ReactionGiven) -> None:
        """Take a reaction of the very person whose client shows the other half: same or different."""
        talk = next((talk for talk in self._talks.values() if event.target in talk.messages), None)
        key = event.key.replace("\ufe0f", "")
        if talk is None or event.sender != talk.user or key not in (SAME, DIFFERENT):
            return
        with suppress(Refused):  # it has ended meanwhile
            await self._said(talk, same=key == SAME, differs=True)

    async def _expire(self) -> None:
        async with self._turn:
            ended = await self._verifier.expire()
        for progress in ended:
            await self._went_on(progress)
        await self._drop_ended()

    async def _drop_ended(self) -> None:
        """Close comparisons that ended without a message, for example through a second one with the same device."""
        for id in self._talks.keys() - self._verifier.under_way():
            talk = self._talks.pop(id)
            await self._over(talk, Progress(id, talk.user, SasStage.CANCELLED, code="m.unexpected_message"))

    # Actions of people and operators.

    def under_way(self) -> list[dict[str, Any]]:
        """Return the comparisons in progress, as the command line shows them."""
        return [
            {
                "id": talk.code,
                "user": talk.user,
                "stage": talk.stage.value,
                "since": talk.since_ms,
                "emoji": [list(each) for each in talk.shown.emoji] if talk.shown else [],
                "numbers": list(talk.shown.numbers) if talk.shown else [],
            }
            for talk in self._talks.values()
        ]

    async def confirm(self, code: str) -> dict[str, Any]:
        """Confirm for an operator that the emoji are the same. Raises `Refused`."""
        talk = self._talk(code)
        if talk.stage is not SasStage.SHOWN:
            raise Refused("keys.not_shown", id=talk.code)
        return await self._said(talk, same=True)

    async def refuse(self, code: str) -> dict[str, Any]:
        """End a comparison for an operator, who sees different emoji or does not want it. Raises `Refused`."""
        talk = self._talk(code)
        return await self._said(talk, same=False, differs=talk.stage is SasStage.SHOWN)

    async def _said(self, talk: Talk, *, same: bool, differs: bool = False) -> dict[str, Any]:
        async with self._turn:
            if same:
                progress = await self._verifier.confirm(talk.id)
            else:
                progress = await self._verifier.refuse(talk.id, differs=differs)
        await self._went_on(progress)
        if progress is None:
            await self._drop_ended()
            raise Refused("keys.no_verification", id=talk.code)
        return {"id": talk.code, "user": talk.user, "stage": talk.stage.value}

    def _talk(self, code: str) -> Talk:
        found = next((talk for talk in self._talks.values() if talk.code == code.strip().lower()), None)
        if found is None:
            raise Refused("keys.no_verification", id=code[:20])
        return found

    # Consequences.

    async def _went_on(self, progress: Progress | None) -> None:
        if progress is None:
            return
        talk = self._talks.get(progress.id)
        if talk is None:
            await self._drop_ended()
            code = "".join(secrets.choice(_LETTERS) for _ in range(5))
            talk = self._talks[progress.id] = Talk(code, progress.id, UserId(progress.user), self._clock())
            self._begun.setdefault(talk.user, []).append(talk.since_ms)
            log.info("verification_begun", user=talk.user, id=talk.code)
        talk.stage = progress.stage
        if progress.stage in (SasStage.DONE, SasStage.CANCELLED):
            del self._talks[progress.id]
            await self._over(talk, progress)
        elif progress.shown is not None and talk.shown is None:
            talk.shown = progress.shown
            await self._show(talk)

    async def _show(self, talk: Talk) -> None:
        """Show the emoji; if one place cannot be reached, the other suffices."""
        for number, (room, language) in enumerate(await self._places(talk.user)):
            to = [] if number else [talk.user]  # notify only once
            content = self._speech.message(self._lines(talk, language), language, {}, to=to)
            with suppress(Answered):
                event = await self._send(room, MESSAGE, content)
                talk.messages[event] = (room, language)
                for key in (SAME, DIFFERENT):
                    relation = {"rel_type": "m.annotation", "event_id": event, "key": key}
                    await self._send(room, REACTION, {"m.relates_to": relation})

    async def _places(self, user: UserId) -> list[tuple[RoomId, str]]:
        """Return the direct room with somebody, and the desk of a group that they run, each with its language."""
        async with self._database.read() as db:
            own = await queries.language_of(db, user)
            groups = await queries.answers_for(db, user)
            group = await queries.room_view(db, groups[0], self._homeserver.user) if groups else None
            desk = await queries.desk_of(db, group.code) if group else None
        language = self._speech.language(own, group.language if group else "")
        places = [(desk, self._speech.language(group.language if group else ""))] if desk else []
        with suppress(Answered):
            places.insert(0, (await self._direct.with_(user, language), language))
        return places

    def _lines(self, talk: Talk, language: str) -> tuple[Line, ...]:
        assert talk.shown is not None, "shown only once there is something to show"
        named = [f"{picture} {self._word(f'crypto.emoji.{name}', language)}" for picture, name in talk.shown.emoji]
        numbers = " ".join(map(str, talk.shown.numbers))
        return (
            line("verifying.shown", who=Who(talk.user)),
            line("verifying.emoji", emoji="  ·  ".join(named), numbers=numbers),
            line("verifying.press", who=Who(talk.user), same=SAME, different=DIFFERENT),
        )

    def _word(self, key: str, language: str) -> str:
        return self._speech.text((Line(key),), language, {}).plain

    async def _over(self, talk: Talk, progress: Progress) -> None:
        done = progress.stage is SasStage.DONE
        log.info("verification_over", user=talk.user, id=talk.code, how=progress.code or "done")
        if progress.code in _DIFFERS:
            await self._differed(talk, progress.code)
        ended = line("verifying.done" if done else "verifying.ended", who=Who(talk.user))
        words = line("verifying.differed", who=Who(talk.user)) if progress.code in _DIFFERS else ended
        for event, (room, language) in talk.messages.items():
            content = self._speech.message((words,), language, {})
            with suppress(Answered):
                await self._send(room, MESSAGE, replacing(content, event))

    async def _differed(self, talk: Talk, code: str) -> None:
        log.warning("verification_differed", user=talk.user, code=code)
        async with self._database.read() as db:
            groups = await queries.groups_of(db, talk.user, joined=True) or await queries.active_groups(db)
        lines = (line("verifying.differed", who=Who(talk.user)),)
        await self._pipeline.commit(actions=to_operators(self._policy, groups, lines))

    async def _say(self, room: str, type: str, content: Mapping[str, Any]) -> None:
        """Send one step of a comparison that takes place in a room."""
        await self._send(RoomId(room), type, content)

    async def _send(self, room: RoomId, type: str, content: Mapping[str, Json] | Mapping[str, Any]) -> EventId:
        txn = f"verify-{secrets.token_hex(8)}"
        for number in range(TRIES):
            try:
                return await self._homeserver.send(room, type, content, txn)
            except RateLimited as error:
                pause = error.retry_after_ms / 1000
            except Unreachable:
                pause = 0.5 * 2**number
            await asyncio.sleep(min(pause, LONGEST_PAUSE_S))
        return await self._homeserver.send(room, type, content, txn)


def _raw(event: Received) -> dict[str, Any]:
    assert isinstance(event, MessagePosted | OtherEvent)
    return {
        "type": event.type,
        "event_id": event.event,
        "sender": event.sender,
        "origin_server_ts": event.sent_ms,
        "content": dict(event.content),
    }
