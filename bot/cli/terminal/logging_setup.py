"""The log of the bot's process: JSON lines for machines, or coloured lines for a person at a terminal; both on stderr.

This is not the records: what people do and write is not in it.
"""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor

# Libraries that log every request; their warnings are enough.
_QUIET = ("aiosqlite", "alembic", "asyncio", "nio", "sqlalchemy")


def set_up_logging(*, as_json: bool | None = None, verbose: bool = False) -> None:
    """Send structlog and the standard library's loggers to stderr. `as_json` None: JSON unless at a terminal."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    plain = not sys.stderr.isatty() if as_json is None else as_json
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_ending(plain)],
        )
    )
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of errors that are raised, and names the account
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _ending(plain: bool) -> list[Processor]:
    if not plain:
        # Not the default, which prints the variables of every function in the traceback, tokens and messages included.
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, _event_first, structlog.processors.JSONRenderer()]


def _event_first(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Put the event before its details, since people read the lines, too."""
    first = {key: event[key] for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}
