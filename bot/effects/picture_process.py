"""The hashing of a picture in a process of its own: a file made to be endless work ends that process, and nothing else.

Rules kept here:
- Each picture has a new process, with limits of processor time and memory. It is killed at once if the bot stops.
- The process gets none of the bot's environment but what Python needs, and its answer is taken in one form only.

Left to others: the limits and the hashing (`picture_hash.py`).
"""

import asyncio
import os
import re
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

SECONDS = 5  # of processor time; 40 million pixels take 1 to 2
MEMORY = 1_000_000_000  # bytes of addresses; 40 million pixels take 540 million
_LONGEST_S = 60.0  # on a system that limits no processor time
_HASHER = str(Path(__file__).with_name("picture_hash.py"))
_ANSWER = re.compile(rb"(\d+\.\d{3})((?: [0-9a-f]{64}){0,12})\n")
_NEEDED = ("LD_", "DYLD_", "PYTHON")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PictureWork:
    """The hashes of a picture and the part of the allowed time that they took."""

    hashes: str
    share: float

    @property
    def too_heavy(self) -> bool:
        """Return whether it was given up."""
        return self.share >= 1


class Interrupted(Exception):
    """The process did not come to its work: it could not be started, or something else ended it."""


async def hash_apart(data: bytes) -> PictureWork:
    """Return the hashes of a picture, none if that is too much work. Raises `Interrupted`."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", _HASHER, str(SECONDS), str(MEMORY)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name.startswith(_NEEDED)},
            start_new_session=True,  # Ctrl-C reaches the bot only
        )
    except OSError as error:
        raise Interrupted(str(error)) from error
    answer = said = b""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_S):
                answer, said = await process.communicate(data)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if process.stdin is not None:  # the pipe is released now, not when somebody collects garbage
            process.stdin.close()
            with suppress(ConnectionError):
                await process.stdin.wait_closed()
    told_to_stop = process.returncode in (-signal.SIGTERM, -signal.SIGINT)  # as the whole service is
    if told_to_stop or said.endswith(b"KeyboardInterrupt\n"):  # it exits with 1 while Python starts
        raise Interrupted("it was told to stop")
    if process.returncode == 0 and (read := _ANSWER.fullmatch(answer)):
        return PictureWork(read[2].decode().strip(), min(float(read[1]) / SECONDS, 0.99))
    log.warning("picture_given_up", code=process.returncode, size=len(data), said=said[-300:].decode(errors="replace"))
    return PictureWork("", 1.0)
