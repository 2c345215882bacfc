"""Messages to systemd, through a socket like its own; and the watchdog gets none if the bot hangs."""

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.monitoring.pulse import Pulse
from bot.monitoring.systemd import ServiceManager

WITHIN_S = 120.0
EVERY_US = "40000"


class Socket:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def hear(self, within_s: float = WITHIN_S) -> str | None:
        """Return the next datagram; None if none comes in time."""
        self._socket.settimeout(within_s)
        try:
            return self._socket.recv(4096).decode()
        except TimeoutError:
            return None

    def drain(self) -> None:
        """Discard the datagrams received so far."""
        while self.hear(0.001) is not None:
            pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Socket]:
    """Provide a socket on which systemd would listen."""
    made = Socket(f"@answerable-{os.getpid()}-{id(request)}" if request.param == "abstract" else str(tmp_path / "n"))
    yield made
    made.close()


def told_by(address: str, **more: str) -> ServiceManager:
    return ServiceManager.of({"NOTIFY_SOCKET": address, **more})


def test_ready_and_stopping_are_told(manager: Socket) -> None:
    told = told_by(manager.address)
    told.ready()
    told.stopping()
    assert [manager.hear(), manager.hear()] == ["READY=1", "STOPPING=1"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, None),  # nobody to tell
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "30000000"}, 30.0),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),  # somebody else's
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "soon"}, None),
        ({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_fed_if_it_is_for_this_process(environ: dict[str, str], expected: float | None) -> None:
    assert ServiceManager.of(environ).watchdog_s == expected


def test_a_missing_systemd_is_logged_once(tmp_path: Path) -> None:
    told = told_by(str(tmp_path / "nobody"))
    with capture_logs() as logged:
        told.ready()
        told.stopping()
    assert [(each["event"], each["log_level"]) for each in logged] == [("service_manager_not_told", "warning")]


def test_the_watchdog_is_fed_while_the_listener_gets_on_and_starves_when_it_hangs(manager: Socket) -> None:
    now = [0.0]
    pulse = Pulse(lambda: now[0])
    with capture_logs() as logged, _Fed(manager, pulse):
        assert [manager.hear(), manager.hear()] == ["WATCHDOG=1", "WATCHDOG=1"]
        now[0] = 600.0
        ends = time.monotonic() + WITHIN_S
        while not logged and time.monotonic() < ends:  # until the stall is seen: one word may be under way before
            time.sleep(0.01)
        manager.drain()
        assert manager.hear(0.4) is None
        pulse.beat()
        assert manager.hear() == "WATCHDOG=1"
    assert [each["event"] for each in logged] == ["stalled"]


def test_the_watchdog_starves_when_the_loop_hangs(manager: Socket) -> None:
    go_on = threading.Event()
    with _Fed(manager, Pulse()) as fed:
        assert manager.hear() == "WATCHDOG=1"
        fed.loop.call_soon_threadsafe(go_on.wait, WITHIN_S)
        manager.hear(0.1)
        manager.drain()
        assert manager.hear(0.4) is None
        go_on.set()
        assert manager.hear() == "WATCHDOG=1"


class _Fed:
    """A loop in a thread of its own, which feeds the watchdog."""

    def __init__(self, manager: Socket, pulse: Pulse) -> None:
        self.loop = asyncio.new_event_loop()
        told = told_by(manager.address, WATCHDOG_USEC=EVERY_US)
        self._task = self.loop.create_task(told.watch(pulse))
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop):
            asyncio.set_event_loop(self.loop)
            with contextlib.suppress(asyncio.CancelledError):
                self.loop.run_until_complete(self._task)

    def __enter__(self) -> "_Fed":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()
