"""Members of an encrypted room without a client program: each has a `CryptoMachine`, or only the keys of a device.

A member gives keys to every device, as older clients do, unless a test holds them back.
Left to others: the machines and ports (`crypto_people.py`).
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bot.crypto.account import MEGOLM
from bot.crypto.machine import CryptoMachine
from bot.crypto.outbound import RoomEncryption
from bot.crypto.room_keys import Decrypted
from bot.crypto.store import FILE, FOLDER, place_of
from bot.matrix.client import Session, log_in_with_password
from moderation.values.ids import EventId, RoomId
from storage.database.place import DatabasePlace
from tests.clients.js_client import ENCRYPTION
from tests.people.client import Client
from tests.people.crypto_people import KEY, CryptoStage, EncryptedBot
from tests.theatre.scene import Theatre
from tests.theatre.served import ServedBot
from tests.theatre.stage import PASSWORD, text, unique

WITHIN_S = 120.0

HandOver = Callable[[], Awaitable[None]]


async def sealed_room(
    theatre: Theatre, bot: ServedBot, owner: Client, *members: EncryptedBot, invited: Sequence[str] = ()
) -> RoomId:
    """Create an encrypted room that the bot protects."""
    invite = [*(member.user for member in members), *invited]
    room = await owner.create_room(unique("room"), initial_state=[ENCRYPTION], invite=invite)
    await asyncio.gather(*(member.homeserver.join(room) for member in members))
    await owner.set_power(room, {bot.user: 100})
    await owner.invite(room, bot.user)
    await bot.until_condition(room, "protected")
    return room


async def say_without_keys(member: EncryptedBot, room: RoomId, *bodies: str) -> tuple[list[EventId], HandOver]:
    """Say something encrypted. Its key is given to nobody before the second value is called."""
    machine, members = member.machine, await member.members(room)
    await machine._known(members)
    us = await machine.identity()
    session = await machine._prepared(us, room, members, RoomEncryption())
    outbound = machine._outbound
    lacking = await machine.store.run(lambda db: outbound.without_session(db, us, session, members))
    await machine._begin_with(lacking)
    await machine.store.run(lambda db: outbound.share(db, us, room, session, members, ()))
    said = []
    for body in bodies:
        sealed = await machine.store.run(
            lambda db, body=body: outbound.encrypt(db, us, room, session, "m.room.message", text(body))  # type: ignore[misc]
        )
        said.append(await member.homeserver.send(room, "m.room.encrypted", sealed, unique("late")))

    async def hand_over() -> None:
        await machine._send_waiting(session)
        await machine.store.run(lambda db: outbound.given(db, session))

    return said, hand_over


async def withhold(member: EncryptedBot, bot: ServedBot, room: str, session: str, code: str) -> None:
    """Say that the bot gets no key, and why."""
    us = await member.machine.identity()
    about = {"algorithm": MEGOLM, "code": code, "room_id": room, "session_id": session, "sender_key": us.curve25519}
    await member.machine.requests.to_device("m.room_key.withheld", {bot.user: {"*": about}}, unique("withheld"))


async def answer_to(member: EncryptedBot, command: str, sender: str) -> str:
    """Wait until the member has read the answer, and return its id."""

    def found() -> str | None:
        for event, read in member.heard.items():
            if isinstance(read, Decrypted) and read.event["sender"] == sender and _replied_to(read) == command:
                return event
        return None

    async with asyncio.timeout(WITHIN_S):
        while (event := found()) is None:
            await member.hear(timeout_ms=1000)
    return event


async def ask_sealed(member: EncryptedBot, room: RoomId, command: str, bot: ServedBot) -> str:
    """Say a command; the id of the answer."""
    return await answer_to(member, await member.say(room, command), bot.user)


def _replied_to(read: Decrypted) -> str:
    relation = read.event["content"].get("m.relates_to") or {}
    return str((relation.get("m.in_reply_to") or {}).get("event_id", ""))


async def has_key(member: EncryptedBot, room: str, session: str) -> bool:
    """Tell whether the member has this key."""
    return await member.machine.store.run(lambda db: member.machine.keys.has(db, room, session))


class CheapDevices:
    """Accounts with two devices each, which have keys at the homeserver and are otherwise passive."""

    def __init__(self, cast: CryptoStage) -> None:
        self._cast = cast
        self.sessions: list[Session] = []  # person by person, the two of each in a row

    async def make(self, people: int) -> list[str]:
        """Create `people` users. Returns their ids."""
        made = await asyncio.gather(*(self._person() for _ in range(people)))
        self.sessions = [session for sessions in made for session in sessions]
        return [str(first.user) for first, _ in made]

    async def join(self, room: str) -> None:
        """Let the first device of each join."""
        await asyncio.gather(*(self._cast.stage.port(session).join(RoomId(room)) for session in self.sessions[::2]))

    async def wake(self, session: Session) -> EncryptedBot:
        """Open a device that listens from now on."""
        return await self._cast.device(self._cast.stage.port(session))

    async def _person(self) -> tuple[Session, Session]:
        stage = self._cast.stage
        account = await stage.server.register(unique("many"), PASSWORD)
        first = Session(stage.server.url, *account)
        second = await log_in_with_password(stage.server.url, account.user, PASSWORD, "another")
        for session in (first, second):
            await self._publish(session)
        return first, second

    async def _publish(self, session: Session) -> None:
        port = self._cast.stage.port(session)
        folder = self._cast.folder / f"{session.user[1:]}-{session.device}"
        where = place_of(DatabasePlace(folder), session.device)
        machine = await CryptoMachine.open(where, KEY, port.wire, session.user, session.device)
        await machine.tend()
        await machine.close()


def is_backed_up(data_dir: Path) -> bool:
    """Tell whether every room key of a bot is in the backup at the homeserver, according to its store."""
    return not crypto_rows(data_dir, "SELECT 1 FROM room_keys WHERE backed_up = '' LIMIT 1")


def crypto_rows(data_dir: Path, sql: str, *values: object) -> list[tuple[object, ...]]:
    """Return rows of a bot's crypto store, as last committed."""
    (file,) = (data_dir / FOLDER).glob(f"*/{FILE}")
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()
