"""A device whose keys are in PostgreSQL goes on where another machine takes over, as often as its leader is killed."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import vodozemac

from bot.crypto.requests import Requests
from bot.crypto.room_keys import Decrypted, _index_of
from bot.crypto.store import place_of
from bot.matrix.login import Session
from moderation.values.ids import RoomId
from storage.database.fence import Superseded
from tests.people.crypto_people import CryptoStage, EncryptedBot
from tests.postgres.engines import Engine, on_postgresql
from tests.theatre.stage import Stage

# After so many transactions each leader is killed: while its keys are made, uploaded, shared, used, in turn.
DEATHS = (1, 3, 6, 11, 25, 40, 61, 70, 71, 72)


async def lives_and_dies(session: Session, folder: Path, engine: Engine, room: str, life: int) -> None:
    """Let a new leader speak on a machine until it is killed."""
    epoch = engine.take_over()
    given = {
        "session": [session.url, session.user, session.device, session.token],
        "folder": str(folder),
        "url": engine.url,
        "epoch": [epoch.number, epoch.holder],
        "room": room,
        "life": life,
        "transactions": DEATHS[life],
    }
    words = [sys.executable, "-m", "tests.people.mortal_device", json.dumps(given)]
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == -9, said.decode()


async def claimed(person: EncryptedBot, bot: Session) -> str:
    """Use up one of the bot's one-time keys. Returns it."""
    found = await Requests(person.homeserver.wire, person.user).claim_keys({bot.user: [bot.device]})
    keys = found["one_time_keys"].get(bot.user, {}).get(bot.device, {})
    return "".join(key["key"] for key in keys.values() if "fallback" not in key)


@on_postgresql
async def test_it_reads_what_was_said_before_and_uses_no_key_twice(
    stage: Stage, engine: Engine, tmp_path: Path
) -> None:
    async with CryptoStage(stage, tmp_path) as cast:
        ben = await cast.bot("ben")
        port = await stage.bot("bot")
        session = port.session
        room = await cast.room(ben)
        await ben.homeserver.invite(room, session.user)
        await port.join(room)
        heard, one_time = [], []  # what Ben says once the device has keys, and keys of it that he used up
        for life in range(len(DEATHS)):
            await lives_and_dies(session, tmp_path / "ab"[life % 2], engine, room, life)
            if key := await claimed(ben, session):
                one_time.append(key)
                heard.append(f"after life {life}")
                await ben.hear()
                await ben.say(room, heard[-1])
        former = engine.epoch()
        engine.take_over()
        where = place_of(engine.place(tmp_path / "c"), session.device)
        last = await EncryptedBot.open(port, tmp_path / "c", where=where, epoch=engine.epoch())
        cast._open.append(last)
        last._number = 1_000_000
        await last.hear()
        await ben.until(await last.say(room, "the last word"))
        heard.append("goodbye")
        await last.until(await ben.say(room, heard[-1]))

        page = await ben.homeserver.messages(room, from_token=None, direction="b", limit=500)
        history = [event for event in page["chunk"] if event["type"] == "m.room.encrypted"]
        by_bot = [event for event in history if event["sender"] == session.user]
        assert await words_of(last, room, [event for event in history if event["sender"] == ben.user]) == heard
        assert len(by_bot) >= len(DEATHS)
        assert Counter(map(position, by_bot)).most_common(1)[0][1] == 1  # no ratchet is used twice
        unread = [event for event in by_bot if not isinstance(await ben.machine.decrypt(event, room), Decrypted)]
        assert unread == []
        assert len(set(one_time)) == len(one_time) > len(DEATHS) // 2  # no key is given away twice

        late = await EncryptedBot.open(port, tmp_path / "a", where=where, epoch=engine.epoch())
        engine.take_over()
        with pytest.raises((OSError, Superseded)):
            await late.say(room, "from a former leader")
        await late.machine.close()
        with pytest.raises(Superseded):
            await EncryptedBot.open(port, tmp_path / "a", where=where, epoch=former)


async def words_of(device: EncryptedBot, room: RoomId, events: list[dict[str, Any]]) -> list[Any]:
    """Return what a device reads in these events, the newest of which comes first."""
    read = [await device.machine.decrypt(event, room) for event in reversed(events)]
    return [each.event["content"]["body"] if isinstance(each, Decrypted) else each for each in read]


def position(event: dict[str, Any]) -> tuple[str, int]:
    """Return which place of which ratchet encrypted an event."""
    content = event["content"]
    return content["session_id"], _index_of(vodozemac.MegolmMessage.from_base64(content["ciphertext"]))
