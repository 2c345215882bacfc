"""Actions: the requests to the homeserver and others that wait in the outbox.

Rules kept here:
- An action is a value and can be written as JSON and read back.
- `priority` says what goes first when the homeserver's rate limit is low: stop somebody who floods a room, then remove
  what they wrote; a notice can wait.
- `merge` names what makes two waiting actions the same, so that the second is not queued again.
- `queue` names the actions that are sent one after the other.

Left to others: which goes next (`bot/outbox/selection.py`), doing it (`bot/outbox/dispatcher.py`), turning notices into
text (`bot/effects/send_notice.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from moderation.values.events import Json
from moderation.values.ids import CaseNumber, EventId, RoomId, UserId
from moderation.values.notices import Line, lines_from_json, lines_to_json

# STOP ends what somebody does, URGENT removes what they did. OUTSIDE and PROOF go not to the homeserver, but to others,
# who may take their time.
# others who may take their time.
STOP, URGENT, STATE, ANSWER, CARD, NOTICE, NICETY, OUTSIDE, PROOF = range(-1, 8)
NO_ROOM = RoomId("")  # of actions that concern no room


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Base of all actions."""

    NAME: ClassVar[str] = ""
    PRIORITY: ClassVar[int] = NOTICE
    EARLY: ClassVar[bool] = False  # needs nothing from the tables, so it can begin before they are written
    SPEAKS: ClassVar[bool] = False  # makes a message, in which the bot says something to or about people
    ADORNS: ClassVar[bool] = False  # improves what is there already, so it can wait longer

    room: RoomId

    @classmethod
    def text_keys(cls) -> tuple[str, ...]:
        """Return the keys of the texts that it must have: what the managers are told could not be done."""
        return (f"action.{cls.NAME}",) if cls.PRIORITY <= STATE else ()

    @property
    def priority(self) -> int:
        """Return how urgent this action is; a smaller number goes first."""
        return self.PRIORITY

    @property
    def queue(self) -> str | None:
        """Return the key of the actions that are sent one at a time, in order; None: at any time, in any order."""
        return self.room

    @property
    def merge(self) -> str | None:
        """Return a key of actions that need to be done only once while they wait; None: each one counts."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redact(Action):
    """Redact an event's content."""

    NAME: ClassVar[str] = "redact"
    PRIORITY: ClassVar[int] = URGENT
    EARLY: ClassVar[bool] = True

    event: EventId
    subject: UserId
    rule: str = "-"

    @property
    def queue(self) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kick(Action):
    """Remove somebody from a room; they may come back."""

    NAME: ClassVar[str] = "kick"
    PRIORITY: ClassVar[int] = STOP
    EARLY: ClassVar[bool] = True

    subject: UserId
    reason: str = ""

    @property
    def queue(self) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unban(Action):
    """Lift a ban that the bot did not set, on a manager's command."""

    NAME: ClassVar[str] = "unban"
    PRIORITY: ClassVar[int] = STATE

    subject: UserId

    @property
    def queue(self) -> str:
        return _state_of(self.room)


@dataclass(frozen=True, slots=True, kw_only=True)
class Align(Action):
    """Bring the room's power levels and bans in line with the sanctions in force."""

    NAME: ClassVar[str] = "align"
    PRIORITY: ClassVar[int] = STOP

    routine: bool = False  # no change is known, so it stops nobody

    @property
    def priority(self) -> int:
        return STATE if self.routine else STOP

    @property
    def queue(self) -> str:
        return _state_of(self.room)

    @property
    def merge(self) -> str | None:
        return f"align {self.room}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter(Action):
    """Join a room the bot was invited to, say what will be recorded, and begin."""

    NAME: ClassVar[str] = "enter"
    PRIORITY: ClassVar[int] = STATE

    inviter: UserId
    via: str = ""
    direct: bool = False  # a room with the inviter alone, for commands to the bot
    follows: bool = False  # only if an upgraded group continues in it; the inviter may not bring in the bot otherwise

    @property
    def queue(self) -> str:
        return _state_of(self.room)

    @property
    def merge(self) -> str | None:
        return f"enter {self.room}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin(Action):
    """Pin the notice of what is recorded, once the bot has the power to."""

    NAME: ClassVar[str] = "pin"
    PRIORITY: ClassVar[int] = STATE

    event: EventId

    @property
    def queue(self) -> str:
        return _state_of(self.room)

    @property
    def merge(self) -> str | None:
        return f"pin {self.room}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepDesk(Action):
    """Create the desk of a group if it has none, and keep its members in step with the managers."""

    NAME: ClassVar[str] = "desk"
    PRIORITY: ClassVar[int] = STATE

    @property
    def merge(self) -> str | None:
        return f"desk {self.room}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepLobby(Action):
    """Create the lobby of a gated group if it has none; leave it when the group is no longer gated."""

    NAME: ClassVar[str] = "lobby"
    PRIORITY: ClassVar[int] = STATE

    @property
    def merge(self) -> str | None:
        return f"lobby {self.room}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt(Action):
    """Move the group into a new room whose only creator is the bot, as its owner (`subject`) wishes."""

    NAME: ClassVar[str] = "adopt"
    PRIORITY: ClassVar[int] = STATE

    subject: UserId

    @property
    def queue(self) -> str:
        return _state_of(self.room)

    @property
    def merge(self) -> str | None:
        return f"adopt {self.room}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave(Action):
    """Leave a group and its desk, as its owner or the operator (`subject`) wishes, and say so in both."""

    NAME: ClassVar[str] = "leave"
    PRIORITY: ClassVar[int] = STATE

    subject: UserId

    @property
    def queue(self) -> str:
        return _state_of(self.room)

    @property
    def merge(self) -> str | None:
        return f"leave {self.room}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bring(Action):
    """Invite somebody into the room in which their group continues."""

    NAME: ClassVar[str] = "bring"
    PRIORITY: ClassVar[int] = NOTICE

    subject: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class LetIn(Action):
    """Invite somebody who may come in and is not there."""

    NAME: ClassVar[str] = "let-in"
    PRIORITY: ClassVar[int] = NOTICE

    subject: UserId

    @property
    def merge(self) -> str | None:
        return f"let-in {self.room} {self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(Action):
    """Say something in a room: an answer (`reply_to`), or a message to all."""

    NAME: ClassVar[str] = "say"
    PRIORITY: ClassVar[int] = ANSWER
    SPEAKS: ClassVar[bool] = True

    lines: tuple[Line, ...]
    reply_to: EventId | None = None
    thread: EventId | None = None
    to: UserId | None = None  # the person it answers: their language, their mention


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell(Action):
    """Tell one person something, in a direct room if they accept one, else in `room`; with `alone` never in `room`."""

    NAME: ClassVar[str] = "tell"
    PRIORITY: ClassVar[int] = NOTICE
    SPEAKS: ClassVar[bool] = True

    subject: UserId
    lines: tuple[Line, ...]
    n: int = 0
    asks: int = 0  # the case in which it asks for a decision
    alone: bool = False  # the room may not even show that there is something to tell
    first: bool = False  # changes of the room's power levels wait until it is said

    @property
    def priority(self) -> int:
        return STOP if self.first else NOTICE

    @property
    def queue(self) -> str:
        return self.subject

    @property
    def merge(self) -> str | None:
        if self.first:
            return f"first {self.room} {self.subject}"
        # A flood may remove fifty messages for one reason: while the first notice waits, the same is not queued again.
        return f"tell {to_json(self)}" if self.n else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TellAbove(Action):
    """Tell the operators something, each alone, and with `owners` also the owners of the room."""

    NAME: ClassVar[str] = "tell-above"
    PRIORITY: ClassVar[int] = NOTICE

    lines: tuple[Line, ...]
    n: int = 0
    owners: bool = False
    first: bool = False  # changes of the room's power levels wait until it is said

    @property
    def merge(self) -> str | None:
        return f"first {self.room}" if self.first else None


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteBack(Action):
    """Invite the person whom case `n` removed or banned, now that it is reversed."""

    NAME: ClassVar[str] = "invite-back"
    PRIORITY: ClassVar[int] = NOTICE

    subject: UserId
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveDirect(Action):
    """Leave a direct room with `subject`, who is no longer alone there."""

    NAME: ClassVar[str] = "leave-direct"
    PRIORITY: ClassVar[int] = STATE

    subject: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class TellDesk(Action):
    """Tell the managers of `room` something, in the thread of case `n` if there is one."""

    NAME: ClassVar[str] = "tell-desk"
    PRIORITY: ClassVar[int] = CARD
    SPEAKS: ClassVar[bool] = True

    lines: tuple[Line, ...]
    n: int = 0
    once: str = ""  # a key of what need not be said twice while the first waits
    ring: bool = False  # mention the people in the desk who are responsible for case `n`
    discreet: tuple[Line, ...] = ()  # said instead of `lines` while somebody whom case `n` is about reads the desk

    @property
    def merge(self) -> str | None:
        return f"tell-desk {self.room} {self.once}" if self.once else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostCard(Action):
    """Post the card of a case in the desk of its room."""

    NAME: ClassVar[str] = "card"
    MARK: ClassVar[str] = "org.answerable.card"  # the key of its content that names the case and the request
    PRIORITY: ClassVar[int] = CARD
    SPEAKS: ClassVar[bool] = True

    n: CaseNumber
    ring: bool = True  # mention the people in the desk who are responsible for the case

    @property
    def merge(self) -> str | None:
        return f"card {self.n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditCard(Action):
    """Update the card of a case."""

    NAME: ClassVar[str] = "edit-card"
    PRIORITY: ClassVar[int] = NOTICE
    SPEAKS: ClassVar[bool] = True
    ADORNS: ClassVar[bool] = True

    n: CaseNumber

    @property
    def merge(self) -> str | None:
        return f"edit-card {self.n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SupersedeCard(Action):
    """Mark a card that a restored backup does not know as void; `room` is the desk."""

    NAME: ClassVar[str] = "supersede-card"
    PRIORITY: ClassVar[int] = CARD

    event: EventId


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Action):
    """Put one reaction under a card, for managers to press."""

    NAME: ClassVar[str] = "offer"
    PRIORITY: ClassVar[int] = NICETY
    ADORNS: ClassVar[bool] = True

    n: CaseNumber
    key: str

    @property
    def queue(self) -> str:
        return f"case {self.n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote(Action):
    """Post what waited for a manager in case `n`: one `event` in the card's thread, or if "" all in the room."""

    NAME: ClassVar[str] = "quote"
    PRIORITY: ClassVar[int] = NOTICE

    n: CaseNumber
    event: EventId | Literal[""] = ""

    @property
    def queue(self) -> str:
        return f"case {self.n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor(Action):
    """Post the closing checkpoint of a day in the desk of a group (`where` "desk"), or in the group ("room")."""

    NAME: ClassVar[str] = "anchor"
    PRIORITY: ClassVar[int] = NOTICE

    day: str
    where: Literal["desk", "room"] = "desk"

    @property
    def merge(self) -> str | None:
        return f"anchor {self.where} {self.room} {self.day}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness(Action):
    """Have the closing checkpoint of a day cosigned by the witness. It concerns no room."""

    NAME: ClassVar[str] = "witness"
    PRIORITY: ClassVar[int] = OUTSIDE

    room: RoomId = NO_ROOM
    day: str

    @property
    def queue(self) -> None:
        return None

    @property
    def merge(self) -> str | None:
        return f"witness {self.day}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp(Action):
    """Have the closing checkpoint of a day stamped by the time stamping authority. It concerns no room."""

    NAME: ClassVar[str] = "timestamp"
    PRIORITY: ClassVar[int] = OUTSIDE

    room: RoomId = NO_ROOM
    day: str

    @property
    def queue(self) -> None:
        return None

    @property
    def merge(self) -> str | None:
        return f"timestamp {self.day}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBack(Action):
    """Redact something that the bot itself said."""

    NAME: ClassVar[str] = "take-back"
    PRIORITY: ClassVar[int] = NICETY
    ADORNS: ClassVar[bool] = True

    event: EventId


@dataclass(frozen=True, slots=True, kw_only=True)
class HashMedia(Action):
    """Fetch the file of the message recorded at `on`, and record its hash and size."""

    NAME: ClassVar[str] = "media"
    PRIORITY: ClassVar[int] = NICETY
    ADORNS: ClassVar[bool] = True

    url: str
    file: dict[str, Json] | None = None  # how to open an encrypted file: an `EncryptedFile`
    subject: UserId
    on: int

    @property
    def queue(self) -> str:
        return "media"  # files may be large


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveReceipt(Action):
    """Send a person the proof that their message is in the log: the record `on`, with their own part alone."""

    NAME: ClassVar[str] = "receipt"
    PRIORITY: ClassVar[int] = NOTICE
    SPEAKS: ClassVar[bool] = True

    subject: UserId
    on: int

    @property
    def queue(self) -> str:
        return self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveData(Action):
    """Send a person all data held on them."""

    NAME: ClassVar[str] = "mydata"
    PRIORITY: ClassVar[int] = NOTICE
    SPEAKS: ClassVar[bool] = True

    subject: UserId

    @property
    def queue(self) -> str:
        return self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase(Action):
    """Erase all that may be erased of what is held on a person, who asked for it and confirmed."""

    NAME: ClassVar[str] = "erase"
    PRIORITY: ClassVar[int] = NOTICE

    subject: UserId

    @property
    def queue(self) -> str:
        return self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveDossier(Action):
    """Compare an operator's approval by command, recorded at `on`, with the file, and record the approval."""

    NAME: ClassVar[str] = "approve-dossier"
    PRIORITY: ClassVar[int] = NOTICE

    subject: UserId
    n: int
    digest: str
    on: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify(Action):
    """Continue somebody's verification. What they typed is `sealed`; "" checks its progress."""

    NAME: ClassVar[str] = "verify"
    PRIORITY: ClassVar[int] = PROOF

    subject: UserId
    sealed: str
    on: int  # the record of what they said; without `sealed`: when the verification in progress was begun

    @property
    def queue(self) -> str:
        return f"proof {self.subject}"


def begins_early(action: Action) -> bool:
    """Return whether this action can begin before the tables are written."""
    return action.EARLY


def _state_of(room: RoomId) -> str:
    """Return the queue of actions that read and then write the state of a room."""
    return f"state {room}"


ACTIONS: dict[str, type[Action]] = {
    cls.NAME: cls
    for cls in tuple(globals().values())
    if isinstance(cls, type) and issubclass(cls, Action) and cls is not Action
}


# The fields that hold lines.
_LINES = {cls: {item.name for item in fields(cls) if item.type == tuple[Line, ...]} for cls in ACTIONS.values()}


def to_json(action: Action) -> dict[str, Json]:
    """Return the action as JSON."""
    raw: dict[str, Json] = {"do": action.NAME}
    said = _LINES[type(action)]
    for item in fields(action):
        value = getattr(action, item.name)
        raw[item.name] = lines_to_json(value) if item.name in said else value
    return raw


def from_json(raw: Mapping[str, Json]) -> Action:
    """Return the action that `to_json` wrote."""
    cls = ACTIONS[str(raw["do"])]
    said = _LINES[cls]
    given = {n: value for n, value in raw.items() if n != "do"}
    values: dict[str, Any] = {n: lines_from_json(value) if n in said else value for n, value in given.items()}
    return cls(**values)
