"""Labels that a plug-in gives to files.

Rules kept here:
- A plug-in says what it sees, with a score from 0 to 1000 for each label. The rule says from which score on it counts.
- People decide by default: a plug-in is a program that guesses.
- What a plug-in does not answer in time breaks no rule.

Left to others: asking the plug-in, whose answer is recorded (`bot/effects/ask_plugin.py`).
"""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from moderation.values.events import FileSeen

from .base import Decide, RuleBase, StrictSettings
from .check import Hit, Judged, View

HIGHEST = 1000
LABEL = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")


def _plugin_name(name: str) -> str:
    if not _NAME.match(name):
        raise PydanticCustomError("plugin_name", "not the name of a plug-in")
    return name


PluginName = Annotated[str, AfterValidator(_plugin_name)]


def _label(name: str) -> str:
    if not LABEL.match(name):
        raise PydanticCustomError("label", "not the name of a label")
    return name


class LabelsSettings(StrictSettings):
    """Settings of a rule about labels: each label with the score from which on it breaks the rule."""

    plugin: PluginName = Field(description="the name of one of [[plugins]]", examples=["pictures"])
    labels: dict[Annotated[str, AfterValidator(_label)], Annotated[int, Field(ge=1, le=HIGHEST)]] = Field(
        min_length=1, description="from which score on (1 to 1000) each label breaks the rule", examples=[{"huge": 900}]
    )


class LabelsCheck:
    """Check of the labels that a plug-in gave."""

    def __init__(self, settings: LabelsSettings) -> None:
        self._settings = settings

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return a hit for the label that is furthest above its limit."""
        del view
        if not isinstance(event, FileSeen) or event.plugin != self._settings.plugin:
            return None
        limits = self._settings.labels
        above = [(score - limits[name], name) for name, score in sorted(event.labels.items()) if name in limits]
        if not above or max(above)[0] < 0:
            return None
        name = max(above)[1]
        return Hit(matched=name, numbers={"count": event.labels[name], "limit": limits[name]})


class LabelsRule(RuleBase, LabelsSettings):
    """A rule about labels."""

    IN_WORDS: ClassVar = False
    OF_FILES: ClassVar = True

    kind: Literal["labels"]
    decide: Decide = "manager"

    def compiled(self, *, own: bool = False) -> LabelsCheck:
        """Return the comparison with its limits."""
        del own
        return LabelsCheck(self)
