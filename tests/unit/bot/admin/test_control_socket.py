"""The operator's socket: only the user who runs the bot may connect; anything unknown is answered and does nothing."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from bot.admin import control_socket
from bot.admin.control_socket import MAX_REQUEST, Control
from bot.admin.request import Request
from bot.runtime.asking import NO_DOOR, SOCKET, ask_bot, short_path
from moderation.values.errors import Broken, Refused
from moderation.values.notices import Code, Moment

NOBODY = 65_534
ASKS = f"""
import contextlib, os, socket
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
door = socket.socket(socket.AF_UNIX)
door.settimeout(120)
door.connect("{SOCKET}")
print("connected, answered:", end="", flush=True)
with contextlib.suppress(ConnectionError):
    door.sendall(b'{{"do": "erase", "with": {{}}}}\\n')
    print(door.recv(4096).decode(), end="", flush=True)
"""


class Door:
    """A control socket with one operation, which notes its requests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: list[tuple[Mapping[str, Any], str]] = []
        self.error: Exception | None = None

    async def erase(self, asked: Request) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        self.done.append((asked.arguments, asked.who))
        asked.progress(1, 2)
        return {"count": 1}

    async def say(self, line: bytes) -> list[Any]:
        """Send a line, and return all lines of the answer."""
        with short_path(self.folder) as folder:
            reader, writer = await asyncio.open_unix_connection(folder / SOCKET)
        writer.write(line)
        if writer.can_write_eof():
            writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 120)
        writer.close()
        return [orjson.loads(each) for each in answer.splitlines()]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    door = Door(tmp_path)
    task = asyncio.create_task(Control(tmp_path, {"erase": door.erase}).run())
    async with asyncio.timeout(120):
        while not (tmp_path / SOCKET).exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
    yield door
    task.cancel()
    await asyncio.wait({task})
    assert not (tmp_path / SOCKET).exists()


async def test_the_user_who_runs_the_bot_is_admitted_by_name_and_sees_progress(door: Door) -> None:
    who = control_socket.user_name(os.getuid())
    assert await door.say(b'{"do": "erase", "with": {"person": "@a:b.org"}}\n') == [
        {"progress": [1, 2]},
        {"done": {"count": 1}},
    ]
    assert door.done == [({"person": "@a:b.org"}, who)]
    assert (door.folder / SOCKET).stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else for a moment")
async def test_other_users_are_refused_even_if_file_modes_would_admit_them(door: Door) -> None:
    (door.folder / SOCKET).chmod(0o666)
    door.folder.chmod(0o711)
    command = (sys.executable, "-c", ASKS)
    asks = await asyncio.create_subprocess_exec(*command, cwd=door.folder, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(asks.communicate(), 120)
    assert said == b"connected, answered:"
    assert door.done == []


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"hello\n",
        b"[]\n",
        b"null\n",
        b'{"do": "erase"}\n',
        b'{"do": "erase", "with": 7}\n',
        b'{"do": "drop", "with": {}}\n',
        b'{"do": ["erase"], "with": {}}\n',
        b'{"do": "__class__", "with": {}}\n',
        b"\xff\xfe\n",
    ],
)
async def test_an_unreadable_request_is_answered_and_does_nothing(door: Door, line: bytes) -> None:
    assert await door.say(line) == [{"refused": "cli.operate.unreadable", "fields": {}}]
    assert door.done == []


async def test_an_oversized_request_is_cut_off_and_the_next_is_served(door: Door) -> None:
    assert await door.say(b"x" * (MAX_REQUEST + 1)) == []
    assert (await door.say(b'{"do": "erase", "with": {}}\n'))[-1] == {"done": {"count": 1}}


async def test_a_refusal_and_a_failure_are_told_apart(door: Door) -> None:
    door.error = Refused("error.case.none", n=7)
    assert await door.say(b'{"do": "erase", "with": {}}\n') == [{"refused": "error.case.none", "fields": {"n": 7}}]
    door.error = Broken("the disk is full")
    assert await door.say(b'{"do": "erase", "with": {}}\n') == [{"failed": "the disk is full"}]


async def test_what_the_bot_answers_comes_back_to_the_process_that_asked(door: Door, tmp_path: Path) -> None:
    looked: list[tuple[int, int]] = []
    assert await ask_bot(tmp_path, "erase", {"n": 1}, lambda *far: looked.append(far)) == {"count": 1}
    assert looked == [(1, 2)]
    fields = {"count": 7, "server": Code("example.org"), "until": Moment(7), "room": "!r:example.org"}
    door.error = Refused("cli.rooms.acl.people", **fields, file=tmp_path)
    with pytest.raises(Refused) as refused:
        await ask_bot(tmp_path, "erase", {})
    assert (refused.value.key, refused.value.fields) == ("cli.rooms.acl.people", {**fields, "file": str(tmp_path)})
    door.error = Broken("the disk is full")
    with pytest.raises(Refused) as refused:
        await ask_bot(tmp_path, "erase", {})
    assert (refused.value.key, dict(refused.value.fields)) == ("cli.operate.failed", {"why": "the disk is full"})


async def test_without_a_bot_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        await ask_bot(tmp_path, "erase", {})
    assert refused.value.key == NO_DOOR
