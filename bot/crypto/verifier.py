"""Runs verifications between devices and in rooms, several at once, with the users whom we answer.

Rules this module keeps:
- Requests of users who are not `allowed` are not answered.
- There is only one verification with a device at a time; a second one ends both.
- A request that is too old is not answered, and a verification that takes too long ends.
- What a person sees and says passes through `Progress` and `confirm`; nothing is confirmed automatically.
Left to others: the steps (`sas.py`), showing the emoji and asking whether they are the same (the caller, where the bot
can be asked: a terminal, a desk), sending into rooms (`Say`).

Specification: client-server API v1.19, "Key verification framework".
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from .cross_signing import CrossSigning
from .encoding import Object, object_of
from .machine import CryptoMachine
from .sas import LASTS_MS, PREFIX, SAS, Party, SasMessage, SasStage, ShortString, Verification
from .to_device import ToDevice

Say = Callable[
    [str, str, Object], Awaitable[None]
]  # room, type, content; the function encrypts if the room is encrypted

IN_ROOM_REQUEST = "m.key.verification.request"  # as a msgtype
_REQUEST = PREFIX + "request"


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a verification after a message or a person's action."""

    id: str
    user: str
    stage: SasStage
    shown: ShortString | None = None
    code: str = ""  # why it was cancelled
    master: str = ""  # their master key, if it was verified


class EmojiVerifier:
    """The verifications of one machine."""

    def __init__(self, machine: CryptoMachine, *, allowed: Callable[[str], bool], say: Say) -> None:
        self._machine = machine
        self._signing = CrossSigning(machine)
        self._allowed = allowed
        self._say = say
        self._open: dict[str, tuple[Verification, str, str]] = {}  # by id: room or "", device or ""

    async def to_device(self, message: ToDevice) -> Progress | None:
        """Take a message to our device (`News.verification`). Returns None if it does not concern us."""
        id, sent = message.content.get("transaction_id"), message.content.get("timestamp")
        if not isinstance(id, str):
            return None
        sender, content, device = message.sender, message.content, str(message.content.get("from_device", ""))
        if message.type == _REQUEST or (message.type == PREFIX + "start" and id not in self._open):
            return await self._asked(id, sender, device, "", message.type, content, sent)
        return await self._heard(id, sender, "", message.type, content)

    async def in_room(self, room: str, event: Object) -> Progress | None:
        """Take an event of a room, already decrypted. Returns None if it does not concern us."""
        content, sender = object_of(event.get("content")), str(event.get("sender", ""))
        if sender == self._machine.user:
            return None
        if event.get("type") == "m.room.message" and content.get("msgtype") == IN_ROOM_REQUEST:
            if content.get("to") != self._machine.user:
                return None
            id, device = str(event.get("event_id", "")), str(content.get("from_device", ""))
            return await self._asked(id, sender, device, room, _REQUEST, content, event.get("origin_server_ts"))
        relation = object_of(content.get("m.relates_to"))
        if relation.get("rel_type") != "m.reference" or not str(event.get("type", "")).startswith(PREFIX):
            return None
        return await self._heard(str(relation.get("event_id", "")), sender, room, str(event.get("type")), content)

    async def confirm(self, id: str) -> Progress | None:
        """Confirm for a person that both sides show the same. Returns None if there is no such verification."""
        return await self._do(id, lambda verification: verification.confirm())

    async def refuse(self, id: str, *, differs: bool = False) -> Progress | None:
        """Cancel for a person who does not want it, or who sees something else (`differs`)."""
        code = "m.mismatched_sas" if differs else "m.user"
        return await self._do(id, lambda verification: verification.cancel(code))

    async def start(self, id: str) -> Progress | None:
        """Start the comparison, if the other side waits for us to."""
        return await self._do(id, lambda verification: verification.start())

    def under_way(self) -> frozenset[str]:
        """Return the ids of the verifications in progress."""
        return frozenset(self._open)

    async def expire(self) -> tuple[Progress, ...]:
        """End verifications that take too long."""
        now = self._machine.clock()
        late = [await self._do(id, lambda verification: verification.expire(now)) for id in list(self._open)]
        return tuple(each for each in late if each is not None and each.stage is SasStage.CANCELLED)

    async def _asked(
        self, id: str, sender: str, device: str, room: str, type: str, content: Object, sent_ms: object
    ) -> Progress | None:
        now = self._machine.clock()
        too_old = isinstance(sent_ms, int) and not now - LASTS_MS <= sent_ms <= now + LASTS_MS // 2
        methods = content.get("methods", [content.get("method")])
        them = await self._party(sender, device)
        if not self._allowed(sender) or id in self._open or too_old or them is None or SAS not in _as_list(methods):
            return None
        us = await self._us()
        verification = Verification(us, sender, id, now, in_room=bool(room))
        verification.meet(them)
        await self._end_others(sender, device)
        self._open[id] = (verification, room, device)
        messages = verification.accept() if type == _REQUEST else verification.take(type, content)
        return await self._go_on(verification, room, messages)

    async def _end_others(self, sender: str, device: str) -> None:
        for id, (verification, _, other) in list(self._open.items()):
            if (verification.user, other) == (sender, device):
                await self._do(id, lambda verification: verification.cancel("m.unexpected_message"))

    async def _heard(self, id: str, sender: str, room: str, type: str, content: Object) -> Progress | None:
        found = self._open.get(id)
        if found is None or found[0].user != sender or found[1] != room:
            return None
        return await self._do(id, lambda verification: verification.take(type, content))

    async def _do(self, id: str, step: Callable[[Verification], Sequence[SasMessage]]) -> Progress | None:
        found = self._open.get(id)
        if found is None:
            return None
        verification, room, _ = found
        return await self._go_on(verification, room, step(verification))

    async def _go_on(self, verification: Verification, room: str, messages: Sequence[SasMessage]) -> Progress:
        if verification.over:
            _, _, device = self._open.pop(verification.id)
        else:
            device = self._open[verification.id][2]
        for message in messages:
            if room:
                await self._say(room, message.type, message.content)
            else:
                await self._machine.send_verification(verification.user, device, message.type, message.content)
        master = await self._known_now(verification)
        return Progress(
            verification.id, verification.user, verification.stage, verification.shown, verification.code, master
        )

    async def _known_now(self, verification: Verification) -> str:
        """Return the other side's master key if it is verified now, after signing it if wanted."""
        them = verification.them
        if them is None or not them.master or them.master not in verification.verified.values():
            return ""
        if them.user != self._machine.user:
            await self._signing.sign_user(them.user, them.master)
        return them.master

    async def _us(self) -> Party:
        us, keys = await self._machine.identity(), await self._signing.private()
        return Party(us.user, us.device, us.ed25519, keys.master.public if keys else "")

    async def _party(self, user: str, device: str) -> Party | None:
        listed = await self._machine.known_devices(user)
        person = await self._machine.person(user)
        found = next((each for each in listed if each.device == device), None)
        return Party(user, device, found.ed25519, person.master) if found else None


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
