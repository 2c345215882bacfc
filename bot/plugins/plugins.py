"""The plug-ins of the configuration, and which of them are asked now.

Rules kept here:
- A plug-in that did not answer `FAILURES` times in a row is left alone for `REST_S`: what is to be asked of it does not
  pile up. Then one question shows whether it is back.
- It is logged when that begins, and when it answers again.

Left to others: the protocol (`protocol.py`), what is asked (`bot/effects/ask_plugin.py`).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bot.config.plugins import PluginSettings

from .protocol import NoLabels, labels_for

FAILURES = 3
REST_S = 60.0

log = structlog.get_logger()


@dataclass(slots=True)
class _Plugin:
    socket: Path
    within_s: float
    failures: int = 0
    rests_until: float = field(default=0.0)


class Plugins:
    """The plug-ins, by name."""

    def __init__(
        self, settings: Iterable[PluginSettings], folder: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._plugins: Mapping[str, _Plugin] = {
            each.name: _Plugin(folder / each.socket, each.within / 1000) for each in settings
        }

    async def labels(self, name: str, *, kind: str, mimetype: str | None, data: bytes) -> dict[str, int]:
        """Return the labels that a plug-in gives to a file. Raises `NoLabels`."""
        plugin = self._plugins.get(name)
        if plugin is None or self.rests(name):
            raise NoLabels("gone")
        try:
            found = await labels_for(plugin.socket, plugin.within_s, kind=kind, mimetype=mimetype, data=data)
        except NoLabels as error:
            self._failed(name, plugin, error)
            raise
        if plugin.failures >= FAILURES:
            log.info("plugin_back", plugin=name)
        plugin.failures = 0
        return found

    def rests(self, name: str) -> bool:
        """Tell whether a plug-in is left alone now, or is not there at all."""
        plugin = self._plugins.get(name)
        return plugin is None or self._clock() < plugin.rests_until

    def _failed(self, name: str, plugin: _Plugin, error: NoLabels) -> None:
        plugin.failures += 1
        if plugin.failures >= FAILURES:
            plugin.rests_until = self._clock() + REST_S
        if plugin.failures == FAILURES:
            log.warning("plugin_silent", plugin=name, why=error.why, socket=str(plugin.socket))
