"""The questions to plug-ins: what labels a file gets, which rules judge by.

Rules kept here:
- A plug-in is asked once about a file, however many messages show it. What it answered is forgotten at a restart; what
  was recorded is judged from the records, and not asked again.
- A question that has waited too long is given up: what was posted long ago is no use to a plug-in that falls behind.
- Of the labels, those are kept that rules ask about.

Left to others: which files are asked about (`bot/pipeline/plugin_questions.py`), the plug-ins (`bot/plugins/`).
"""

import json
from collections.abc import Iterable, Mapping

from bot.outbox.handler import Done, Handlers
from bot.plugins.plugins import Plugins
from bot.plugins.protocol import NoLabels
from bot.runtime.clock import Clock
from bot.runtime.newest import Newest
from moderation.model.actions.files import AskPlugin
from moderation.model.facts import FileLabelled, LabelsResult
from moderation.policy import RuleSettings
from moderation.rules.labels import LabelsRule

from .fetch_file import FileFetcher, NotFetched, name_of

_REMEMBERED = 10_000  # answers

Labels = Mapping[str, int]


class PluginAsker:
    """The handler of `AskPlugin`."""

    def __init__(self, files: FileFetcher, plugins: Plugins, rules: Iterable[RuleSettings], clock: Clock) -> None:
        self._files, self._plugins, self._clock = files, plugins, clock
        self._asked_for = {
            (rule.plugin, label) for rule in rules if isinstance(rule, LabelsRule) for label in rule.labels
        }
        self._known: Newest[tuple[str, str], Labels] = Newest(_REMEMBERED)
        self.handles: Handlers = {AskPlugin: self.handle}

    async def handle(self, action: AskPlugin, _txn: str) -> Done:
        """Ask about the file, and return the fact about it."""
        name = (action.plugin, name_of(action.url, action.file))
        labels = self._known.get(name)
        if labels is None:
            if self._plugins.rests(action.plugin):
                return Done((_fact(action, "gone"),))
            if self._clock() > action.until:
                return Done((_fact(action, "late"),))
            try:
                labels = self._known[name] = await self._ask(action)
            except NotFetched as error:
                return Done((_fact(action, error.result),), code=error.code)
            except NoLabels as error:
                return Done((_fact(action, error.why),))
        return Done((_fact(action, "done", labels),))

    async def _ask(self, action: AskPlugin) -> Labels:
        slow = Done((_fact(action, "refused"),), code="slow")
        data = await self._files.fetch(action.url, action.file, action.subject, slow)
        found = await self._plugins.labels(action.plugin, kind=action.kind, mimetype=action.mimetype, data=data)
        return {label: score for label, score in found.items() if (action.plugin, label) in self._asked_for}


def _fact(action: AskPlugin, result: LabelsResult, labels: Labels | None = None) -> FileLabelled:
    return FileLabelled(
        room=action.room,
        on=action.on,
        plugin=action.plugin,
        result=result,
        subject=action.subject,
        labels=json.dumps(labels, sort_keys=True) if labels else "",
        url=action.url,
    )
