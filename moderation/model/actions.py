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
from typing import Any, ClassVar, Literal, dataclass_transform

from moderation.values.events import Json
from moderation.values.ids import NO_USER, CaseNumber, EventId, RoomId, UserId
from moderation.values.notices import Line, lines_from_json, lines_to_json

# STOP ends what somebody does, URGENT removes what they did. OUTSIDE and PROOF go not to the homeserver, but to others,
# who may take their time; so may the homeserver with FILES, which it fetches from others, and LISTS, whose rooms it
# enters through others, and a plug-in with LABELS.
STOP, URGENT, STATE, ANSWER, CARD, NOTICE, NICETY, OUTSIDE, PROOF, FILES, LABELS, LISTS = PRIORITIES = range(-1, 11)
NO_ROOM = RoomId("")  # of actions that concern no room

AlertKind = Literal["due", "overdue", "escalated", "appeal", "removed", "wave", "log"]
OF_GROUPS: frozenset[AlertKind] = frozenset({"removed", "wave"})
OF_CASES: frozenset[AlertKind] = frozenset({"due", "overdue", "escalated", "appeal"})


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Action:
    """Base of all actions. A subclass becomes a frozen dataclass, and states its properties where it begins."""

    NAME: ClassVar[str] = ""
    PRIORITY: ClassVar[int] = NOTICE
    EARLY: ClassVar[bool] = False  # needs nothing from the tables, so it can begin before they are written
    SPEAKS: ClassVar[bool] = False  # makes a message, in which the bot says something to or about people
    ADORNS: ClassVar[bool] = False  # improves what is there already, so it can wait longer
    QUEUE: ClassVar[str | None] = None  # forms of `queue` and `merge`, with the names of fields
    MERGE: ClassVar[str | None] = None

    room: RoomId

    def __init_subclass__(
        cls,
        name: str,
        priority: int = NOTICE,
        *,
        queue: str | None = "{room}",
        merge: str | None = None,
        early: bool = False,
        speaks: bool = False,
        adorns: bool = False,
    ) -> None:
        dataclass(frozen=True, kw_only=True)(cls)
        cls.NAME, cls.PRIORITY, cls.QUEUE, cls.MERGE = name, priority, queue, merge
        cls.EARLY, cls.SPEAKS, cls.ADORNS = early, speaks, adorns

    @classmethod
    def text_keys(cls) -> tuple[str, ...]:
        """Return the keys of the texts that it must have: what the managers are told could not be done."""
        return (f"action.{cls.NAME}",) if cls.PRIORITY <= STATE else ()

    @property
    def priority(self) -> int:
        """Return how urgent this action is; a smaller number goes first."""
        return self.PRIORITY

    @property
    def early(self) -> bool:
        """Return whether it begins before the tables are written."""
        return self.EARLY

    @property
    def queue(self) -> str | None:
        """Return the key of the actions that are sent one at a time, in order; None: at any time, in any order."""
        return self.QUEUE and self.QUEUE.format_map(vars(self))

    @property
    def merge(self) -> str | None:
        """Return a key of actions that need to be done only once while they wait; None: each one counts."""
        return self.MERGE and self.MERGE.format_map(vars(self))


class Redact(Action, name="redact", priority=URGENT, early=True, queue=None):
    """Redact an event's content."""

    event: EventId
    subject: UserId
    rule: str = "-"


class Sweep(Action, name="sweep", priority=URGENT, queue=None):
    """Redact what somebody wrote in a room, from the record `oldest` on, a few messages at a time.

    `on` is the record of the order: what was said after it stays, unless they are banned. `events` are those found and
    not redacted yet, kept here so that a repeat names the same; `seen` is the newest record among all found so far;
    `refused` is why the homeserver refused one of them. `tries` says how often it answered none of those left with
    anything but errors, and `unanswered` how many were given up for that.
    """

    subject: UserId
    n: int
    on: int
    oldest: int
    until: int  # when it was ordered (ms)
    rule: str = "-"
    events: tuple[EventId, ...] = ()
    seen: int = -1
    found: int = 0
    refused: str = ""
    tries: int = 0
    unanswered: int = 0


class Kick(Action, name="kick", priority=STOP, early=True, queue=None):
    """Remove somebody from a room; they may come back. `n`, `rule`, `by`: of the case, if there is one."""

    subject: UserId
    n: int = 0
    rule: str = "-"
    by: UserId = NO_USER
    reason: str = ""  # of rows that an older version queued; not shown
    silent: bool = False  # nothing of theirs stands in the room, so what others wrote goes first

    @property
    def priority(self) -> int:
        return STATE if self.silent else STOP

    @property
    def early(self) -> bool:
        return not self.silent


class Unban(Action, name="unban", priority=STATE, queue="state {room}"):
    """Lift a ban that the bot did not set, on a manager's command."""

    subject: UserId


class Align(Action, name="align", priority=STOP, queue="state {room}", merge="align {room}"):
    """Bring the room's power levels and bans in line with the sanctions in force."""

    routine: bool = False  # no change is known, so it stops nobody

    @property
    def priority(self) -> int:
        return STATE if self.routine else STOP


class AlignServers(Action, name="servers", priority=STATE, queue="servers {room}", merge="servers {room}"):
    """Bring the room's server ACL in line with the denials in force."""


class AlignPolicy(Action, name="policy", priority=STATE, queue="policy {room}", merge="policy {room}"):
    """Bring in line whether the room asks the policy server before it delivers messages.

    `by`: somebody else has just set what it asks; its owners are told who it was if that had to be put right.
    """

    by: UserId = NO_USER


class Enter(Action, name="enter", priority=STATE, queue="state {room}", merge="enter {room}"):
    """Join a room the bot was invited to, say what will be recorded, and begin."""

    inviter: UserId
    via: str = ""
    direct: bool = False  # a room with the inviter alone, for commands to the bot
    follows: bool = False  # only if an upgraded group continues in it; the inviter may not bring in the bot otherwise


class Pin(Action, name="pin", priority=STATE, queue="state {room}", merge="pin {room}"):
    """Pin the notice of what is recorded, once the bot has the power to."""

    event: EventId


class PublishEntry(Action, name="publish", priority=CARD, queue="publish {list}"):
    """Bring the entry with this state key in a list of ours in line with what was ordered for case `n`."""

    list: str
    list_room: RoomId
    key: str
    n: int


class KeepDesk(Action, name="desk", priority=STATE, merge="desk {room} {settles}"):
    """Create the desk of a group if it has none, and keep its members in step with the managers.

    `settles`: when (ms) the group gets another desk if it then still has not the same people as the others in this one.
    """

    settles: int = 0

    @property
    def priority(self) -> int:
        return NICETY if self.settles else STATE


class QuitDesk(Action, name="quit-desk", speaks=True):
    """Say in a desk (`room`) that a group no longer uses it, and leave the desk if no group does."""

    lines: tuple[Line, ...]


class ListMissing(Action, name="missing", merge="missing {room}"):
    """Tell the desk of a group, not before `settles` (ms), which rooms its community's spaces list without the bot."""

    settles: int = 0


class MatchAgain(Action, name="match-lists", queue="lists", merge="lists"):
    """Look again whom the policy lists mean: people here decided something about them."""


class PreviewList(Action, name="preview-list", priority=LISTS, queue="lists of {room}"):
    """Read a policy list that somebody may want to choose for `room`, and say in `where` what it says.

    `target` is the list's room, as an id or an alias; `via`: servers to enter by, divided by spaces. `number` is the
    record of the request. `operates`: the person may act as an operator. `alone`: nobody else may read the answer.
    """

    target: str
    via: str
    number: int
    subject: UserId
    operates: bool
    where: RoomId
    alone: bool
    reply_to: EventId | None = None
    thread: EventId | None = None
    language: str = ""


class ChooseList(Action, name="choose-list", priority=LISTS, queue="chosen lists"):
    """Watch the policy list that the preview `number` showed for `room`, if it still says the same.

    The other fields are as those of `PreviewList`.
    """

    list: str
    trust: Literal["look", "propose", "agree", "apply"]
    number: int
    reason: str
    subject: UserId
    operates: bool
    where: RoomId
    alone: bool
    reply_to: EventId | None = None
    thread: EventId | None = None
    language: str = ""


class KeepLobby(Action, name="lobby", priority=STATE, merge="lobby {room}"):
    """Create the lobby of a gated group if it has none; leave it when the group is no longer gated."""


class Adopt(Action, name="adopt", priority=STATE, queue="state {room}", merge="adopt {room}"):
    """Move the group into a new room whose only creator is the bot, as its owner (`subject`) wishes."""

    subject: UserId


class Leave(Action, name="leave", priority=STATE, queue="state {room}", merge="leave {room}"):
    """Leave a group and its desk, as its owner or the operator (`subject`) wishes, and say so in both."""

    subject: UserId


class Bring(Action, name="bring"):
    """Invite somebody into the room in which their group continues."""

    subject: UserId


class LetIn(Action, name="let-in", merge="let-in {room} {subject}"):
    """Invite somebody who may come in and is not there."""

    subject: UserId


class Say(Action, name="say", priority=ANSWER, speaks=True):
    """Say something in a room: an answer (`reply_to`), or a message to all."""

    lines: tuple[Line, ...]
    reply_to: EventId | None = None
    thread: EventId | None = None
    to: UserId | None = None  # the person it answers: their language, their mention
    language: str = ""  # "": that of the person, else of the room


class Guide(Action, name="guide", priority=ANSWER, speaks=True, merge="guide {room}"):
    """Say in a direct room how to ask, and put reactions under it that do the same."""

    WHY: ClassVar[str] = "❓"
    APPEAL: ClassVar[str] = "⚖"
    DATA: ClassVar[str] = "📄"

    subject: UserId
    lines: tuple[Line, ...]
    reply_to: EventId


class GiveConsoleLink(
    Action, name="console-link", priority=ANSWER, speaks=True, queue="{subject}", merge="console-link {subject}"
):
    """Give a person a link to the web console in their direct room (`room`).

    It is made when it is sent, so that it waits nowhere. After `until` it is not given.
    """

    subject: UserId
    on: int
    until: int


class Tell(Action, name="tell", speaks=True, queue="{subject}"):
    """Tell one person something, in a direct room if they accept one, else in `room`; with `alone` never in `room`."""

    subject: UserId
    lines: tuple[Line, ...]
    n: int = 0
    asks: int = 0  # the case in which it asks for a decision
    alone: bool = False  # the room may not even show that there is something to tell
    first: bool = False  # changes of the room's power levels wait until it is said
    once: str = ""  # a key of what need not be said twice of case `n` while the first waits
    also: tuple[int, ...] = ()  # more cases that it tells of, with the same key `once`

    @property
    def priority(self) -> int:
        return STOP if self.first else NOTICE

    @property
    def merge(self) -> str | None:
        if self.first:
            return f"first {self.room} {self.subject}"
        if self.once:
            return f"{self.together} {self.room} {self.n}"
        # A flood may remove fifty messages for one reason: while the first notice waits, the same is not queued again.
        return f"tell {to_json(self)}" if self.n else None

    @property
    def together(self) -> str:
        """Return how the key `merge` begins of all messages that one message can hold."""
        return f"tell {self.once} {self.subject}"


class TellAbove(Action, name="tell-above"):
    """Tell the operators something, each alone, and with `owners` also the owners of the room."""

    lines: tuple[Line, ...]
    n: int = 0
    owners: bool = False
    first: bool = False  # changes of the room's power levels wait until it is said

    @property
    def merge(self) -> str | None:
        return f"first {self.room}" if self.first else None


class InviteBack(Action, name="invite-back"):
    """Invite the person whom case `n` removed or banned, now that it is reversed."""

    subject: UserId
    n: int


class LeaveDirect(Action, name="leave-direct", priority=STATE):
    """Leave a direct room with `subject`, who is no longer alone there."""

    subject: UserId


class TellDesk(Action, name="tell-desk", priority=CARD, speaks=True):
    """Tell the managers of `room` something, in the thread of case `n` if there is one."""

    lines: tuple[Line, ...]
    n: int = 0
    once: str = ""  # a key of what need not be said twice while the first waits
    ring: bool = False  # mention the people in the desk who are responsible for case `n`
    discreet: tuple[Line, ...] = ()  # said instead of `lines` while somebody whom case `n` is about reads the desk
    also: tuple[RoomId, ...] = ()  # other rooms with the same desk that it concerns
    apart: tuple["TellDesk", ...] = ()  # what is said instead, to one room each, if they have that desk no longer

    @property
    def merge(self) -> str | None:
        return f"tell-desk {self.room} {self.once}" if self.once else None


class ShowPower(Action, name="show-power", priority=CARD, speaks=True, queue="power {room}"):
    """Say in the desk what the bot can do in the group; or what has changed, and correct what was said before."""

    changed: tuple[Line, ...] = ()

    @property
    def merge(self) -> str | None:
        return None if self.changed else f"show-power {self.room}"


class Retell(Action, name="retell", queue="power {room}", merge="retell {room}"):
    """Say again, in the language that a group speaks now, what stands in the room and in its desk."""


class PostCard(Action, name="card", priority=CARD, speaks=True, merge="card {n}"):
    """Post the card of a case in the desk of its room."""

    MARK: ClassVar[str] = "org.answerable.card"  # the key of its content that names the case and the request

    n: CaseNumber
    ring: bool = True  # mention the people in the desk who are responsible for the case


class EditCard(Action, name="edit-card", speaks=True, adorns=True, merge="edit-card {n}"):
    """Update the card of a case."""

    n: CaseNumber


class PostBurst(Action, name="burst-card", priority=CARD, speaks=True, merge="burst-card {n}"):
    """Post the common card of the burst of cases that begins with case `n`."""

    MARK: ClassVar[str] = "org.answerable.burst"  # as for `PostCard`

    n: CaseNumber


class EditBurst(Action, name="edit-burst", speaks=True, adorns=True, merge="edit-burst {n}"):
    """Update the common card of the burst of cases that begins with case `n`."""

    n: CaseNumber


class SupersedeCard(Action, name="supersede-card", priority=CARD, merge="supersede-card {event}"):
    """Mark a card as void that a restored backup does not know, or (`moved`) whose room has another desk now.

    `room` is the desk.
    """

    event: EventId
    moved: bool = False


class AskDesk(Action, name="ask-desk", priority=ANSWER, speaks=True):
    """Ask the desk of `room` something about case `n`, to be answered by one of the reactions `keys`."""

    MARK: ClassVar[str] = "org.answerable.question"  # the key of its content that names the request

    n: CaseNumber
    what: Literal["reason", "together"]
    lines: tuple[Line, ...]
    keys: str  # divided by spaces
    to: UserId
    reply_to: EventId
    thread: EventId | None = None
    cases: str = ""  # all cases it is about, as in `QuestionAsked`


class Offer(Action, name="offer", priority=NICETY, adorns=True, queue="case {n}"):
    """Put reactions under the card of case `n` or under `event`, for managers to press.

    They are those of `key`, divided by spaces, in this order; "": those that the case admits.
    """

    n: CaseNumber
    key: str = ""
    more: bool = False  # only those that an appeal adds
    event: EventId | Literal[""] = ""


class Quote(Action, name="quote", queue="case {n}"):
    """Post what waited for a manager in case `n`: one `event` in the card's thread, or if "" all in the room."""

    n: CaseNumber
    event: EventId | Literal[""] = ""


class Anchor(Action, name="anchor", merge="anchor {where} {room} {day}"):
    """Post the closing checkpoint of a day in the desk of a group (`where` "desk"), or in the group ("room")."""

    day: str
    where: Literal["desk", "room"] = "desk"


class Witness(Action, name="witness", priority=OUTSIDE, queue=None, merge="witness {day}"):
    """Have the closing checkpoint of a day cosigned by the witness. It concerns no room."""

    room: RoomId = NO_ROOM
    day: str


class Timestamp(Action, name="timestamp", priority=OUTSIDE, queue=None, merge="timestamp {day}"):
    """Have the closing checkpoint of a day stamped by the time stamping authority. It concerns no room."""

    room: RoomId = NO_ROOM
    day: str


class Alert(Action, name="alert", priority=OUTSIDE, queue="alert {channel}"):
    """Tell the operator outside Matrix that something needs somebody.

    `channel` is the webhook or a mailbox ("": each that is configured). About a case: it waits for `asked` until `due`.
    """

    channel: str = ""
    what: AlertKind
    n: int = 0
    due: int = 0
    asked: str = "managers"
    code: str = "-"  # what is wrong with the log

    @property
    def merge(self) -> str | None:
        """One mail lists all cases of a room that wait; each call of a webhook tells of one."""
        return f"alert {self.channel} {self.room}" if "@" in self.channel and self.what in OF_CASES else None


class TakeBack(Action, name="take-back", priority=NICETY, adorns=True):
    """Redact something that the bot itself said."""

    event: EventId


class HashMedia(Action, name="media", priority=NICETY, adorns=True, queue="media"):
    """Fetch a file of the event recorded at `on`, and record its hash and size. `judged`: a rule waits for them."""

    url: str
    file: dict[str, Json] | None = None  # how to open an encrypted file: an `EncryptedFile`
    subject: UserId
    on: int
    judged: bool = False

    @property
    def priority(self) -> int:
        return FILES if self.judged else NICETY

    @property
    def queue(self) -> str | None:
        return None if self.judged else self.QUEUE


class AskPlugin(Action, name="ask-plugin", priority=LABELS, queue=None):
    """Ask a plug-in about a file of the event recorded at `on`, unless that is later than `until`."""

    plugin: str
    kind: str
    mimetype: str = ""
    url: str
    file: dict[str, Json] | None = None  # as in `HashMedia`
    subject: UserId
    on: int
    until: int


class GiveReceipt(Action, name="receipt", speaks=True, queue="{subject}"):
    """Send a person the proof that their message is in the log: the record `on`, with their own part alone."""

    subject: UserId
    on: int


class GiveData(Action, name="mydata", speaks=True, queue="{subject}"):
    """Send a person all data held on them."""

    subject: UserId


class Erase(Action, name="erase", queue="{subject}"):
    """Erase all that may be erased of what is held on a person, who asked for it and confirmed."""

    subject: UserId


class EraseAlso(Action, name="erase-also", queue="{subject}"):
    """Erase what is held on a person here, too: another shard has erased it, or (`again`) has done so likewise."""

    subject: UserId
    again: bool = False


class ApproveDossier(Action, name="approve-dossier"):
    """Compare an operator's approval by command, recorded at `on`, with the file, and record the approval."""

    subject: UserId
    n: int
    digest: str
    on: int
    reason: str = ""


class Verify(Action, name="verify", priority=PROOF, queue="proof {subject}"):
    """Continue somebody's verification. What they typed is `sealed`; "" checks its progress."""

    subject: UserId
    sealed: str
    on: int  # the record of what they said; without `sealed`: when the verification in progress was begun


ACTIONS: dict[str, type[Action]] = {cls.NAME: cls for cls in Action.__subclasses__()}
# The fields that hold lines.
_LINES = {cls: {item.name for item in fields(cls) if item.type == tuple[Line, ...]} for cls in ACTIONS.values()}


def to_json(action: Action) -> dict[str, Json]:
    """Return the action as JSON."""
    raw: dict[str, Json] = {"do": action.NAME}
    said = _LINES[type(action)]
    for item in fields(action):
        value = getattr(action, item.name)
        raw[item.name] = lines_to_json(value) if item.name in said else _plain(value)
    return raw


def from_json(raw: Mapping[str, Json]) -> Action:
    """Return the action that `to_json` wrote."""
    cls = ACTIONS[str(raw["do"])]
    said = _LINES[cls]
    given = {n: value for n, value in raw.items() if n != "do"}
    values: dict[str, Any] = {n: lines_from_json(value) if n in said else _tupled(value) for n, value in given.items()}
    return cls(**values)


def _plain(value: Any) -> Json:
    return (
        [to_json(each) if isinstance(each, Action) else each for each in value] if isinstance(value, tuple) else value
    )


def _tupled(value: Json) -> Any:
    return (
        tuple(from_json(each) if isinstance(each, dict) else each for each in value)
        if isinstance(value, list)
        else value
    )
