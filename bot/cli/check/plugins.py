"""The checks of the plug-ins of `[[plugins]]`: each is asked what it offers."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.cli.terminal.output import text
from moderation.rules.labels import LabelsRule

from .findings import Finding, note, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.config.plugins import PluginSettings


def plugins(config: "Config") -> Iterator[Finding]:
    """Yield all findings about plug-ins; none if none is configured."""
    for settings in config.plugins:
        yield from _answers(config, settings)


def _answers(config: "Config", settings: "PluginSettings") -> Iterator[Finding]:
    from bot.plugins.protocol import NoLabels, labels_offered

    socket = config.file.parent / settings.socket
    try:
        offered = asyncio.run(labels_offered(socket, settings.within / 1000))
    except NoLabels as error:
        why = text(f"cli.check.plugin-why.{error.why}")
        yield problem("plugin", "plugin_silent", plugin=settings.name, socket=socket, why=why)
        return
    asked = [rule for rule in config.rules if isinstance(rule, LabelsRule) and rule.plugin == settings.name]
    if not asked:
        yield note("plugin", "plugin_unused", plugin=settings.name)
    if missing := sorted({label for rule in asked for label in rule.labels} - set(offered)):
        yield warning("plugin", "plugin_labels", plugin=settings.name, labels=", ".join(missing))
    else:
        yield ok("plugin", "plugin", plugin=settings.name, labels=", ".join(offered) or "-")
