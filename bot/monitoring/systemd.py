"""Notifications to systemd: ready, alive, stopping (sd_notify(3), systemd.service(5) "WatchdogSec=").

The protocol is a line of text in a datagram; a library for it would be larger.

Rules kept here:
- Without a service manager nothing is done.
- If it cannot be told, that is logged once and harms nothing.
- The watchdog is fed only while the loop runs *and* the listener makes progress, so that systemd restarts a bot that
  hangs.
"""

import asyncio
import os
import socket
from collections.abc import Mapping

import structlog

from .pulse import STALLED_S, Pulse

log = structlog.get_logger()

SOCKET, WATCHDOG, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
_PATIENCE_S = 1.0


class ServiceManager:
    """The service manager that started us, if one did."""

    def __init__(self, address: str | None, watchdog_s: float | None) -> None:
        self.watchdog_s = watchdog_s
        self._address = address
        self._silent = False

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> "ServiceManager":
        """Read the environment."""
        address = environ.get(SOCKET) or None
        ours = environ.get(WATCHDOG_PID, str(os.getpid())) == str(os.getpid())
        every = environ.get(WATCHDOG, "")
        watchdog_s = int(every) / 1_000_000 if ours and address and every.isdecimal() and int(every) else None
        return cls(address, watchdog_s)

    def ready(self) -> None:
        """Tell that the first answer of the homeserver was taken, or that this process stands by."""
        self._tell("READY=1")

    async def alive(self) -> None:
        """Feed the watchdog until cancelled: while this process stands by or starts, nothing can be told to hang."""
        while self.watchdog_s is not None:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)

    def stopping(self) -> None:
        """Tell that we were asked to stop, and do."""
        self._tell("STOPPING=1")

    async def watch(self, pulse: Pulse, stalled_s: float = STALLED_S) -> None:
        """Feed the watchdog, twice as often as it asks for, until cancelled; not while the listener hangs."""
        if self.watchdog_s is None:
            await asyncio.Event().wait()  # for ever: a task that returns ends the bot
            return
        hangs = False
        while True:
            if pulse.still_s < stalled_s:
                hangs = False
                self._tell("WATCHDOG=1")
            elif not hangs:
                hangs = True
                log.error("stalled", for_s=round(pulse.still_s))
            await asyncio.sleep(self.watchdog_s / 2)

    def _tell(self, state: str) -> None:
        if self._address is None:
            return
        # A name that begins with @ is in the abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
                datagrams.settimeout(_PATIENCE_S)  # its queue may be full for a moment
                datagrams.sendto(state.encode(), address)
        except OSError as error:
            if not self._silent:
                self._silent = True
                log.warning("service_manager_not_told", why=error.strerror or str(error))
