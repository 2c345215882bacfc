"""The files of an event that plug-ins are asked about.

Rules kept here:
- A plug-in is asked about the kinds of files that its settings name, in rooms where a rule waits for its labels.

Left to others: asking (`bot/effects/ask_plugin.py`).
"""

from collections.abc import Iterable

from moderation.model.actions.files import AskPlugin
from moderation.model.context import RoomView
from moderation.rules.labels import LabelsRule
from moderation.values.events import Event, Media

from .unit_of_work import PipelineSettings

PATIENCE_MS = 10 * 60_000  # a question that waited for longer is given up


def plugin_questions(
    event: Event, files: Iterable[Media], room: RoomView, index: int, settings: PipelineSettings
) -> tuple[AskPlugin, ...]:
    """Return the questions about the `files` of an event that is recorded at `index`."""
    if not settings.plugins:
        return ()
    rules = settings.policy.rules
    waiting = {rule.plugin for rule in rules if isinstance(rule, LabelsRule) and room.is_among(rule.rooms)}
    asked = [plugin for plugin in settings.plugins if plugin.name in waiting]
    return tuple(
        AskPlugin(
            room=event.room,
            plugin=plugin.name,
            kind=file.kind,
            mimetype=file.mimetype or "",
            url=file.url or "",
            file=dict(file.sealed) if file.sealed else None,
            subject=event.sender,
            on=index,
            until=event.received_ms + PATIENCE_MS,
        )
        for file in files
        for plugin in asked
        if file.kind in plugin.kinds
    )
