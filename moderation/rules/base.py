"""The settings that every rule has, and the answers that a kind of rule gives about itself.

A kind of rule is one file of this folder: its own settings, a check that looks for what breaks it, and a class that
joins them, which inherits from `RuleBase` first and names the kind. Nothing else has to be changed to register it.

Rules kept here:
- A kind holds no text for people. `text_keys` names the texts that it must have in the message files.

Left to others: finding the kinds (`registry.py`), what follows from a hit (`moderation/judge/judge.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from moderation.values.durations import MS_PER, Duration, is_duration, write_duration
from moderation.values.errors import Refused
from moderation.values.notices import Span

from .check import Check
from .unless import Unless

Grade = Literal["minor", "moderate", "serious", "severe"]
# What can hold until somebody decides. "hold": the message is not delivered; one that was delivered is removed.
Interim = Literal["none", "notice", "redact", "mute", "hold"]
Against = Literal["mute", "kick", "ban"]  # measures against the author, which redact the message, too
Measure = Literal["none", "notice", "redact", "mute", "kick", "ban"]
Decide = Literal["auto", "manager"]

LONGEST_OWN_MS = 10 * MS_PER["m"]  # how far back rules of rooms may count
REMOVALS = 2  # of one person in one incident; when they come back once more, they are banned
BANNED_FOR = MS_PER["h"]  # by a rule that only removes
REDACTING: frozenset[Measure | Interim] = frozenset({"redact", "hold", *get_args(Against)})
GRADES: tuple[Grade, ...] = ("minor", "moderate", "serious", "severe")  # in order of weight


class StrictSettings(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def against_author(measure: Measure | Interim) -> Against | None:
    """Return what a measure does against the author of a message."""
    match measure:
        case "mute" | "kick" | "ban":
            return measure
        case _:
            return None


def _no_word(_word: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class InChat:
    """The way a rule of a kind is written in chat.

    Quoted values go to the first of `lists` until the name of another one is written. Of `values`, each is written with
    one value behind its name.
    """

    lists: tuple[str, ...] = ()
    plain: Callable[[str], bool] = _no_word  # whether a word without quotes is a value of a list
    values: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Return the names of settings that can be written."""
        return tuple(name.replace("_", "-") for name in (*(self.lists if len(self.lists) > 1 else ()), *self.values))


class RuleBase(StrictSettings):
    """Settings that every rule has, whatever its kind."""

    IN_CHAT: ClassVar[InChat | None] = None  # None: only the operator can write such rules
    OF_FILES: ClassVar[bool] = False  # whether it judges what is in files, once they were fetched (`FileSeen`)
    IN_WORDS: ClassVar[bool] = True  # whether a text alone can break such a rule, so that `!rule test` can try it

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    grade: Annotated[Grade, Field(alias="class")] = "minor"
    measure: Measure = "redact"
    mute_for: Duration = 10 * 60_000
    decide: Decide = "auto"
    interim: Interim = "none"  # only with decide = "manager": what holds until somebody decides
    rooms: tuple[str, ...] = ("*",)  # globs over room ids and group codes; communities
    where: tuple[str, ...] = ()  # empty: every place of text
    text: dict[str, str] = Field(default_factory=dict)  # language -> the rule in words, for members
    unless: Unless = Unless()  # the people to whom it does not apply
    dry_run: bool = False  # on trial: what it finds is shown in the desk, and nothing follows
    ban_for: Duration = 7 * MS_PER["d"]

    model_config = ConfigDict(populate_by_name=True)

    if TYPE_CHECKING:  # each kind declares its own; declared here, it would be recorded in another order
        kind: str

    def until(self, measure: Against, now_ms: int) -> int:
        """Return until when a measure against an author holds that begins now; 0: it is an act of one moment."""
        lasts = {"mute": self.mute_for, "kick": 0, "ban": self.ban_for}[measure]
        return now_ms + lasts if lasts else 0

    def compiled(self, *, own: bool = False) -> Check:
        """Return the check of this rule; `own`: it is a room's own. Takes up to a second for 100,000 terms."""
        raise NotImplementedError

    def window_ms(self) -> int:
        """Return how far back `View.recent_ms` must reach for this rule; 0 if it counts no messages."""
        return 0

    def steps(self) -> int:
        """Return how much of the allowance of a room's own rules this one uses up."""
        return 0

    def must_suit_a_room(self) -> None:
        """Raise `Refused` if this rule, as a room's own, could hold up other rooms, or counts too far back."""
        if self.window_ms() > LONGEST_OWN_MS:
            raise Refused("error.rule.window", most=Span(LONGEST_OWN_MS))

    def in_chat(self, name: str) -> str:
        """Return the value of a setting as it is written in chat."""
        value = getattr(self, name)
        return write_duration(value) if is_duration(type(self).model_fields[name].metadata) else str(value)

    @classmethod
    def text_keys(cls, kind: str) -> tuple[str, ...]:
        """Return the keys of the texts that this kind must have in each language."""
        own = (f"rule-kind.{kind}", f"rule-example.{kind}")
        return (*own, f"error.rule.word-{kind}") if cls.IN_CHAT else own
