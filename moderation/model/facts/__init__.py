"""Findings and decisions: frozen values, each of which becomes one record of the journal. One file per subject."""

from .base import Fact, owner_of
from .cases import (
    Appealed,
    Asked,
    CaseAssigned,
    CaseClaimed,
    CaseCommented,
    CaseDecided,
    CaseExtended,
    CaseGrew,
    CaseLeft,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    CaseState,
    CaseStep,
    DecidedState,
    Found,
    FoundOnTrial,
    Outcome,
    QuestionAsked,
    Reported,
    StatementGiven,
)
from .console import ConsoleCommand, ConsoleEnded, ConsoleLinkGiven, ConsoleOpened, WhyConsoleEnded
from .dossiers import ApproverChanged, DossierStep
from .identity import ClaimsForgotten, IdentityKeyChanged, IdentityRead
from .ledger import BalanceCorrected, CreditChanged, EntryConfirmed, Ledger
from .lists import (
    ListChosen,
    ListMatched,
    ListPreviewed,
    ListPublished,
    ListRead,
    ListSpared,
    ServerListed,
)
from .people import (
    AccountsLinked,
    AccountUnlinked,
    AwayChanged,
    DoorAnswer,
    DoorAnswered,
    DutyAccepted,
    KeyPinned,
    LanguageChosen,
    NoticeChannel,
    NoticeGiven,
    PersonVerified,
    RoleChanged,
    RosterChanged,
    VerificationAsked,
    VerificationNotice,
)
from .records import (
    CheckpointAnchored,
    ContentRead,
    DataAsked,
    DataGiven,
    FileLabelled,
    HoldEnded,
    HoldPlaced,
    KnownOfFile,
    LabelsResult,
    MediaKept,
    MediaResult,
    NotRead,
    NotSeen,
    PartsErased,
    RecordsExported,
    RecordsPurged,
    RecordsRestored,
)
from .rooms import DeskChosen, PolicyServerSet, RoomEntered, RoomListed, RoomStateChanged, WaveNoticed
from .running import ActionResult, ActionTaken, BotStarted, BotStopped, PolicyChanged
from .sanctions import (
    LASTING,
    OF_ROOMS,
    REMOVING,
    REOPENED,
    Basis,
    KeptStep,
    LevelKept,
    SanctionEnded,
    SanctionExtended,
    SanctionKind,
    SanctionStarted,
    Swept,
    WhyEnded,
)
from .settings import RoomRuleChanged, RoomSettingChanged
from .shards import HERE, EndingKind, EndNamed, Learnt, LearntKind, OrderedEverywhere, OrderRecalled, ShardPinned
from .tasks import TaskDone, TaskKind, TaskOpened
from .withheld import MessageWithheld, WithheldBy

FACTS: tuple[type[Fact], ...] = tuple(Fact.__subclasses__())
