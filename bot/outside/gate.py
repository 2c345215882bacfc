"""The gate: whatever leaves the process for the outside passes here, and waits while another process may lead.

Rules kept here:
- The gate belongs to a task and to all tasks that it begins, as one process has one lead. Nobody can forget to hand it
  on: what connects to the outside (`http.py`, `mail.py`) asks it by itself.
- Without a lead, as with SQLite, it stands open.

Left to others: when another process may lead (`bot/leading/lead.py`).
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MaySend = Callable[[], Awaitable[None]]

_asked: ContextVar[MaySend | None] = ContextVar("may_send", default=None)


@contextmanager
def shut_by(may_send: MaySend) -> Iterator[None]:
    """Make this task and its tasks wait for `may_send` each time before they send."""
    before = _asked.get()
    _asked.set(may_send)
    try:
        yield
    finally:
        _asked.set(before)  # not `reset`: the end may come in another task


def is_shut_by(may_send: MaySend) -> bool:
    """Tell whether it is `may_send` that this task asks before it sends."""
    return _asked.get() == may_send


async def may_send() -> None:
    """Return as soon as this task may send to the outside. Raises `Superseded` if it never may again."""
    if (asked := _asked.get()) is not None:
        await asked()
