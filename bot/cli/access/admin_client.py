"""Operations that write to the records: done by the bot if it runs, else here, by the same code.

Rules kept here:
- One process at a time holds the data directory, so either the bot does it or we have its lock.
- The person who asks is recorded in both cases.

Left to others: what is done (`bot/admin/records.py`), asking a running bot (`bot/runtime/asking.py`).
"""

import asyncio
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.cli.run import make_data_dir, only_instance, running_pid
from bot.cli.terminal.output import text
from bot.cli.terminal.progress import Bar, progress
from bot.runtime import asking

from .access_reason import user

if TYPE_CHECKING:
    from bot.config.config import Config


def perform(config: "Config", do: str, /, **arguments: Any) -> dict[str, Any]:
    """Perform an operation, with a progress bar if it takes long. Raises `Refused`, saying what was wrong."""
    with progress() as bar:
        if running_pid(config.data_dir) is not None:
            return asyncio.run(ask_bot(config.data_dir, do, arguments, bar))
        make_data_dir(config.data_dir)
        with only_instance(config.data_dir):
            return asyncio.run(_here(config, do, arguments, bar))


async def _here(config: "Config", do: str, arguments: Mapping[str, Any], bar: Bar) -> dict[str, Any]:
    from bot.admin.request import Request
    from bot.app import records_only

    with quietly():
        async with records_only(config) as operations:
            done: dict[str, Any] = await operations.by_name()[do](Request(arguments, user(), _told(bar)))
            return done


@contextmanager
def quietly() -> Iterator[None]:
    """Keep messages of the opening of the records out of the result: warnings go to stderr, the rest nowhere."""
    import structlog

    before = structlog.get_config()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


async def ask_bot(data_dir: Path, do: str, arguments: Mapping[str, Any], bar: Bar | None) -> dict[str, Any]:
    """Have a running bot do something, with a progress bar if it takes long. Raises `Refused`."""
    return await asking.ask_bot(data_dir, do, arguments, _told(bar))


def _told(bar: Bar | None) -> Any:
    return lambda done, of: bar(text("cli.operate.looking"), done, of) if bar else None
