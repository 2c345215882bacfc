"""Actions that concern one person: verification, and the data held on them."""

from moderation.values.ids import UserId

from .base import PROOF, Action


class Verify(Action, name="verify", priority=PROOF, queue="proof {subject}"):
    """Continue somebody's verification. What they typed is `sealed`; "" checks its progress."""

    subject: UserId
    sealed: str
    on: int  # the record of what they said; without `sealed`: when the verification in progress was begun


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
