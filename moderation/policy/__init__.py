"""The policy of one deployment: its rules and all numbers, as one frozen value.

It is made from `config.toml`, recorded in full whenever it changes, and read back from the record, so that a record can
always be judged again by the policy that was in force. Every number of the model is a setting here; nothing here reads
a file.
"""

from moderation.rules.base import GRADES as GRADES
from moderation.rules.base import Decide as Decide
from moderation.rules.base import Grade as Grade
from moderation.rules.base import Measure as Measure
from moderation.rules.base import RuleBase as RuleBase
from moderation.rules.base import StrictSettings as StrictSettings

from .cases import CaseSettings as CaseSettings
from .cases import Deadlines as Deadlines
from .cases import DossierSettings as DossierSettings
from .cases import ReportSettings as ReportSettings
from .credit import Costs as Costs
from .credit import CreditSettings as CreditSettings
from .credit import DutySettings as DutySettings
from .credit import StandingSettings as StandingSettings
from .credit import TierSettings as TierSettings
from .joining import MOST_COMING as MOST_COMING
from .joining import Held as Held
from .joining import JoinSettings as JoinSettings
from .joining import NewcomerSettings as NewcomerSettings
from .joining import WaveMeasure as WaveMeasure
from .lists import LIST_NAME as LIST_NAME
from .lists import Choice as Choice
from .lists import ListKind as ListKind
from .lists import ListName as ListName
from .lists import ListSettings as ListSettings
from .lists import PublishedList as PublishedList
from .lists import Takedown as Takedown
from .lists import Trust as Trust
from .lists import WatchedList as WatchedList
from .policy import Policy as Policy
from .policy import RuleSettings as RuleSettings
from .rooms import Chosen as Chosen
from .rooms import Community as Community
from .rooms import CommunitySettings as CommunitySettings
from .rooms import MemberLimitSettings as MemberLimitSettings
from .rooms import RoomMemberLimit as RoomMemberLimit
from .rooms import RoomSettings as RoomSettings
from .rooms import SweepSettings as SweepSettings
from .verification import METHODS as METHODS
from .verification import Below as Below
from .verification import LevelAsked as LevelAsked
from .verification import RoomVerification as RoomVerification
from .verification import VerificationSettings as VerificationSettings
