"""The whole policy of one deployment."""

from typing import TYPE_CHECKING, Annotated, Self, Union

from pydantic import AliasChoices, Field

from moderation.rules.base import RuleBase, StrictSettings
from moderation.rules.registry import KINDS

from .cases import CaseSettings, DossierSettings, ReportSettings
from .credit import CreditSettings, DutySettings, StandingSettings, TierSettings
from .joining import JoinSettings, NewcomerSettings
from .lists import ListSettings
from .rooms import CommunitySettings, MemberLimitSettings, RoomSettings, SweepSettings
from .verification import VerificationSettings

# Their type is the base of all kinds; what is read is one of the kinds.
if TYPE_CHECKING:
    RuleSettings = RuleBase
else:
    RuleSettings = Annotated[Union[tuple(KINDS.values())], Field(discriminator="kind")]  # noqa: UP007 - they are found


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
