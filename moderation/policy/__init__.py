"""The policy of one deployment: its rules and all numbers, as one frozen value.

It is made from `config.toml`, recorded in full whenever it changes, and read back from the record, so that a record can
always be judged again by the policy that was in force. Every number of the model is a setting here; nothing here reads
a file.
"""

from moderation.rules.base import GRADES, Decide, Grade, Measure, RuleBase, StrictSettings

from .cases import CaseSettings, DossierSettings, ReportSettings
from .credit import Costs, CreditSettings, DutySettings, StandingSettings, TierSettings
from .joining import MOST_COMING, Held, JoinSettings, NewcomerSettings, WaveMeasure
from .lists import LIST_NAME, Choice, ListSettings, PublishedList, Takedown, Trust, WatchedList
from .policy import Policy, RuleSettings
from .rooms import Chosen, CommunitySettings, MemberLimitSettings, RoomSettings, SweepSettings
from .verification import METHODS, Below, RoomVerification, VerificationSettings
