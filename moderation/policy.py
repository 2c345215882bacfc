"""The policy of one deployment: its rules and all numbers, as one frozen value.

It is made from `config.toml`, recorded in full whenever it changes, and read back from the record, so that a record can
always be judged again by the policy that was in force. Every number of the model is a setting here; nothing here reads
a file.
"""

from typing import TYPE_CHECKING, Annotated, Literal, Self, Union

from pydantic import AfterValidator, AliasChoices, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from .rules.base import GRADES as GRADES
from .rules.base import Decide as Decide
from .rules.base import Grade as Grade
from .rules.base import Measure as Measure
from .rules.base import RuleBase as RuleBase
from .rules.base import StrictSettings as StrictSettings
from .rules.registry import KINDS
from .rules.unless import MOST_MESSAGES, Unless
from .values.durations import DAY_MS, HOUR_MS, Duration, DurationOrNever
from .values.ids import RoomId, is_room_id
from .values.levels import REACHES, Method

# Their type is the base of all kinds; what is read is one of the kinds.
if TYPE_CHECKING:
    RuleSettings = RuleBase
else:
    RuleSettings = Annotated[Union[tuple(KINDS.values())], Field(discriminator="kind")]  # noqa: UP007 - they are found


class Costs(StrictSettings):
    """The points that a violation of each class costs."""

    minor: int = 5
    moderate: int = 10
    serious: int = 25
    severe: int = 50

    def of(self, grade: Grade) -> int:
        return int(getattr(self, grade))


class Deadlines(StrictSettings):
    """The time in which a case of each class has to be decided, in milliseconds."""

    minor: Duration = 72 * HOUR_MS
    moderate: Duration = 72 * HOUR_MS
    serious: Duration = 24 * HOUR_MS
    severe: Duration = 4 * HOUR_MS

    def of(self, grade: Grade) -> int:
        return int(getattr(self, grade))


class CreditSettings(StrictSettings):
    """Settings of credit (docs/model.md, "Credit"): amounts in points, times in milliseconds."""

    start: int = 100
    ceiling: int = 100
    costs: Costs = Costs()
    first_minor_is_warning: bool = True
    repeat_within: Duration = 90 * DAY_MS
    second_percent: int = 150  # the same rule a second time within `repeat_within`
    further_percent: int = 200
    incident_limit: int = 60  # at most these points for one incident
    incident_window: Duration = 10 * 60_000  # the same rule by the same person within this time: one incident
    quiet_before_recovery: Duration = 7 * DAY_MS
    recover_every: Duration = 3 * DAY_MS  # one point each
    expires_after: Duration = 183 * DAY_MS
    scope: Literal["deployment", "room"] = "deployment"


class TierSettings(StrictSettings):
    """Lower bounds of the tiers, and their consequences. Below `d` is tier E."""

    a: int = 80
    b: int = 60
    c: int = 40
    d: int = 20
    manage_from: int = 40  # below this credit (or standing), rights to manage are suspended
    slow_every: Duration = 30_000  # tier C: one message in this time
    hold_links_and_media: bool = True  # tier C: they wait for a manager
    mute_for: Duration = 3 * DAY_MS  # tier D
    demote_for: Duration = 7 * DAY_MS  # at least; longer until credit is back
    barred_for: Duration = 90 * DAY_MS  # tier E, until the review


class StandingSettings(StrictSettings):
    """Prices of neglect in the ledger of those who run groups. Points come back as those of credit do."""

    start: int = 100
    ceiling: int = 100
    overdue: int = 5  # a case past its deadline while on duty,
    overdue_daily: int = 2  # then for every further day,
    overdue_at_most: int = 20  # and in all for one case
    overdue_a_day: Annotated[int, Field(ge=0)] = 1  # of a person's overdue cases in a day, how many cost points; 0: all
    nobody_on_duty: int = 10  # the owner's charge when a case comes and nobody is on duty
    clear_error: int = 5  # a decision that was reversed for clear error
    bad_faith: int = 25
    own_case: int = 15
    false_vouch: int = 15
    identity_read: int = 25  # identity data read without reason


class DutySettings(StrictSettings):
    """Limits of being on duty and being away."""

    away_at_most: Duration = 60 * DAY_MS
    at_most: Annotated[int, Field(ge=0)] = 20  # how many cases a day one person is asked about; 0: no limit


Chosen = Literal["language", "verify", "digest", "newcomers", "joins"]  # what the owner of a room can choose for it


class RoomSettings(StrictSettings):
    """Consequences for a group whose cases are neglected, and their times; what its people may set."""

    rectify_within: Duration = 72 * HOUR_MS  # then posting is suspended
    suspend_for: Duration = 7 * DAY_MS  # then the operator is asked again
    close_after_suspension: bool = False  # then the group is closed without a question to the operator
    own_rules: Annotated[int, Field(ge=0, le=200)] = 20  # how many rules of its own a room may have; 0: none
    own_rules_class: Grade = "moderate"  # the gravest class that such a rule can have
    owners_set: tuple[Chosen, ...] = ("language", "verify", "digest", "newcomers", "joins")
    own_rules_terms: Annotated[int, Field(ge=1, le=10_000)] = 100  # words, patterns or domains in one of its own rules
    refused: tuple[str, ...] = ()  # rooms the bot does not enter again: globs over ids, aliases, group codes
    share_desks: bool = True  # whether a new room uses the desk of other rooms that the same people own and run
    everywhere_confirm: Annotated[int, Field(ge=0)] = 5  # an order for more rooms at once is asked about first
    cards: Annotated[int, Field(ge=0)] = 4  # so many cases by rules in a room soon after one another have cards of
    # their own; those that follow share one (`moderation/cases/bursts.py`). 0: all have their own.


def _spaces(given: object) -> object:
    """Return the room ids of spaces: one may stand without a list."""
    spaces = (given,) if isinstance(given, str) else given or ()
    if not (isinstance(spaces, list | tuple) and all(is_room_id(each) for each in spaces)):
        raise PydanticCustomError("community_space", "not a room id")
    return tuple(spaces)


class Community(StrictSettings):
    """Rooms that trust each other: decisions by the people of one hold in all of them."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]  # recorded, so do not rename it
    rooms: tuple[str, ...] = ()  # globs over room ids and group codes
    space: Annotated[tuple[RoomId, ...], BeforeValidator(_spaces)] = ()  # what they list is in the community, too
    adopt: Literal["off", "ask"] = "off"  # whether desks are told of listed rooms in which the bot is not
    desk: Literal["any", "one"] = "any"  # "one": rooms that the same people own and run always share a desk

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.rooms and not self.space:
            raise PydanticCustomError("community_of_nothing", "neither rooms nor a space")
        return self


class CommunitySettings(StrictSettings):
    """Reach of decisions by those who run a room (`moderation/model/reach.py`)."""

    default: Literal["room", "deployment"] = "room"  # the reach of a room in none of those named
    named: tuple[Community, ...] = ()  # the first that matches counts

    def asking(self, name: str) -> Community | None:
        """Return the community of this name if its desks are told of listed rooms in which the bot is not."""
        return next((each for each in self.named if each.name == name and each.space and each.adopt == "ask"), None)

    def has_one_desk(self, name: str) -> bool:
        """Return whether the rooms of a community always share a desk if the same people own and run them."""
        return any(each.name == name and each.desk == "one" for each in self.named)


class RoomMemberLimit(StrictSettings):
    """The limit on the number of people in some rooms."""

    rooms: tuple[str, ...]  # as in a rule
    members: int


class SweepSettings(StrictSettings):
    """Limits of redacting at once what somebody wrote."""

    at_most: Annotated[int, Field(ge=1, le=10_000)] = 500  # messages in one room
    within: Duration = 7 * DAY_MS  # how far back


class MemberLimitSettings(StrictSettings):
    """Limits on numbers of people and rooms; 0: no limit. Owners and managers of a room are never removed for it."""

    members: int = 0  # people in one room
    rooms: tuple[RoomMemberLimit, ...] = ()  # the first that matches counts
    founded: int = 0  # protected rooms founded by one person
    joined: int = 0  # protected rooms one person is in


_SELECTORS = str.maketrans("", "", "\ufe0e\ufe0f")  # text and picture variants: some clients add them, some do not


class ReportSettings(StrictSettings):
    """Reports by members."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    grade: Annotated[Grade, Field(alias="class")] = "moderate"
    measure: Measure = "redact"  # consequence of upholding one
    mute_for: Duration = 10 * 60_000
    ban_for: Duration = 7 * DAY_MS
    reactions: tuple[str, ...] = ("🚩", "⚠️")  # a reaction with one of these reports its message
    a_day: Annotated[int, Field(ge=0)] = 5  # how many reports of one person in a day, or undecided; 0: no limit
    a_day_at_most: Annotated[int, Field(ge=1)] = 20  # for people whose reports were right
    together_within: Duration = 10 * 60_000  # reports by one person on several people in this time share one card
    homeserver: Literal["", "synapse"] = ""  # where reports made to the homeserver are read from
    outside_a_day: Annotated[int, Field(ge=0)] = 10  # how many notices from outside for one room; 0: no limit
    misuse_after: int = 3  # this many dismissed reports
    misuse_within: Duration = 30 * DAY_MS  # within this time bring a warning; as many again bring a pause
    misuse_pause: Duration = 7 * DAY_MS  # this long without reports

    def means(self, key: str) -> bool:
        """Return whether a reaction with this key reports its message."""
        return key.translate(_SELECTORS) in {each.translate(_SELECTORS) for each in self.reactions}


MOST_COMING = 1_000  # people of one wave
Held = Literal["links", "media", "mentions", "invites"]


class NewcomerSettings(StrictSettings):
    """Limits on people who are new in a room."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    hold: tuple[Held, ...] = ()  # (): nothing
    lasts: Annotated[DurationOrNever, Field(alias="for")] = 10 * 60_000  # they are new for so long at least,
    messages: Annotated[int, Field(ge=0, le=MOST_MESSAGES)] = 3  # and until so many of their messages stand
    unless: Unless = Unless(verified=1)  # the people to whom it does not apply
    rooms: tuple[str, ...] = ("*",)  # as in a rule


LevelAsked = Annotated[int, Field(ge=0, le=3)]
WaveMeasure = Literal["tell", "gate", "close"]  # the stricter the later


class JoinSettings(StrictSettings):
    """Waves of people who come into a room at once; 0 people: no wave."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    wave: Annotated[int, Field(ge=0, le=MOST_COMING)] = 20  # so many people
    within: Duration = 60_000  # within this time,
    slow_wave: Annotated[int, Field(ge=0, le=MOST_COMING)] = 0  # or so many
    slow_within: Duration = HOUR_MS  # within this time
    do: WaveMeasure = "tell"  # tell those who run the room; or let nobody in uninvited, or close the room
    lasts: Annotated[Duration, Field(alias="for")] = 30 * 60_000  # for so long; no other wave is told meanwhile
    a_day: Annotated[int, Field(ge=0)] = 3  # how often in a day a room is gated or closed; then people are only told
    undo: Literal["", "kick"] = ""  # with gate or close: whether those of the wave who said nothing are removed
    spare_verified: LevelAsked = 1  # people verified at this level do not count; 0: they count
    unless: Unless = Unless(in_room_for=DAY_MS)  # the people who do not count, either
    rooms: tuple[str, ...] = ("*",)  # as in a rule

    @property
    def counts(self) -> bool:
        """True if anybody counts who comes."""
        return bool(self.wave or self.slow_wave)


class DossierSettings(StrictSettings):
    """Definition of a serious and continuing offender."""

    serious: int = 2  # this many serious cases upheld,
    severe: int = 1  # or this many severe ones,
    within: Duration = 90 * DAY_MS  # within this time, after a first sanction


class CaseSettings(StrictSettings):
    """Deadlines by class, by how much one can be put off, how long a decision can be appealed, usual reasons."""

    deadlines: Deadlines = Deadlines()
    appeal_within: Duration = 183 * DAY_MS
    # By how much a deadline can be put off once; at most as long as the class has. 0: not at all.
    more_time: DurationOrNever = DAY_MS
    # Why no rule was broken, by language, for a manager who gives no reason to choose from; (): the bot's own.
    reasons: tuple[Annotated[dict[str, str], Field(min_length=1)], ...] = Field(default=(), max_length=9)


Below = Literal["off", "remind", "restrict", "gate", "remove"]


class RoomVerification(StrictSettings):
    """Settings of verification for some rooms; None: as `[verification]` says."""

    rooms: tuple[str, ...]  # as in a rule
    write: LevelAsked | None = None
    manage: LevelAsked | None = None
    found: LevelAsked | None = None
    below: Below | None = None
    grace: Duration | None = None
    methods: tuple[Method, ...] | None = None


class VerificationSettings(StrictSettings):
    """Verification levels that rooms ask for, what happens below them, and vouching.

    Other methods have settings of their own.
    """

    write: LevelAsked = 0
    manage: LevelAsked = 0
    found: LevelAsked = 0  # for the bot to come in: of the person who founded the room
    below: Below = "remind"
    grace: Duration = 7 * DAY_MS
    methods: tuple[Method, ...] = ("vouch", "roster")  # the methods that count
    rooms: tuple[RoomVerification, ...] = ()  # the first that matches counts
    vouch_lasts: Duration = 183 * DAY_MS
    vouches_per_manager: int = 50  # in force at once
    pin_keys: bool = True  # whether a changed master key (cross-signing) means being verified again


METHODS: frozenset[Method] = frozenset(REACHES)
Trust = Literal["look", "propose", "agree", "apply"]
Choice = Literal["none", "look", "propose", "apply"]  # how far people who run a room may trust a list there
ListKind = Literal["user", "server"]
LIST_NAME = r"^[a-z0-9][a-z0-9-]{0,39}$"
ListName = Annotated[str, Field(pattern=LIST_NAME)]


def _list_room(text: str) -> str:
    if not (is_room_id(text) or (text.startswith("#") and ":" in text)):
        raise PydanticCustomError("list_room", "neither a room id nor an alias")
    return text


class WatchedList(StrictSettings):
    """A policy list that the operator watches (docs/lists.md)."""

    name: ListName
    room: Annotated[str, AfterValidator(_list_room)]
    via: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ("*",)  # as in a rule
    trust: Trust = "propose"
    agree: Annotated[int, Field(ge=2)] = 2  # trust "agree": so many lists must say the same
    kinds: tuple[ListKind, ...] = ("user", "server")
    acl: bool = False  # whether entries about servers go into room ACLs
    senders: tuple[str, ...] = ()  # whose entries count, as globs; (): all that the list's room lets write


def _own_list_room(text: str) -> RoomId:
    if not is_room_id(text):
        raise PydanticCustomError("own_list_room", "not a room id")
    return RoomId(text)


class PublishedList(StrictSettings):
    """A policy list of our own, which others may watch (docs/lists.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: ListName
    room: Annotated[RoomId, AfterValidator(_own_list_room)]  # by its id, since entries are taken back there
    by: Literal["manager", "owner", "operator"] = "owner"  # who may publish; operators always
    rooms: tuple[str, ...] = ("*",)  # whose cases may be published, as in a rule
    hashed: bool = True  # whether entries say whom they mean by a hash only (MSC4205)
    least: Annotated[Grade, Field(alias="from")] = "serious"  # of the cases that may be published


class ListSettings(StrictSettings):
    """Consequences of entries of policy lists (`moderation/lists/matching.py`)."""

    act_at_most: Annotated[int, Field(ge=0)] = 20  # one change that touches more of our people waits for a word
    spare_verified: LevelAsked = 2  # from this level on an entry never acts by itself; it is proposed
    never: tuple[str, ...] = ()  # globs over ids that no entry touches
    lasts: Duration = 365 * DAY_MS  # a ban by a list ends by itself; it is renewed while the entry stands
    managers: Choice = "propose"  # how far managers may trust a list that they choose for their room
    owners: Choice = "apply"  # and owners
    watch: tuple[WatchedList, ...] = ()
    publish: tuple[PublishedList, ...] = ()


class Policy(StrictSettings):
    """Everything that judging depends on, besides the event and the context."""

    rules: tuple[RuleSettings, ...] = ()
    credit: CreditSettings = CreditSettings()
    standing: StandingSettings = StandingSettings()
    tiers: TierSettings = TierSettings()
    cases: CaseSettings = CaseSettings()
    duty: DutySettings = DutySettings()
    groups: RoomSettings = RoomSettings()
    communities: CommunitySettings = CommunitySettings()
    member_limits: MemberLimitSettings = Field(
        default=MemberLimitSettings(),
        validation_alias=AliasChoices("member_limits", "caps"),  # records name it `caps`
        serialization_alias="caps",
    )
    reports: ReportSettings = ReportSettings()
    newcomers: NewcomerSettings = NewcomerSettings()
    sweep: SweepSettings = SweepSettings()
    joins: JoinSettings = JoinSettings()
    dossiers: DossierSettings = DossierSettings()
    verification: VerificationSettings = VerificationSettings()
    lists: ListSettings = ListSettings()
    operators: tuple[str, ...] = ()  # Matrix ids
    set_aside: tuple[str, ...] = Field(default=(), exclude=True)  # operators who act without the rights of one

    def without_operator(self, user: str) -> Self:
        """Return the policy under which `user` may do what the rooms allow them, operator or not."""
        if user not in self.operators:
            return self
        others = tuple(each for each in self.operators if each != user)
        return self.model_copy(update={"operators": others, "set_aside": (user,)})
