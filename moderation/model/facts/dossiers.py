"""The files on serious and continuing offenders: requests, approvals and exports."""

from typing import Literal

from moderation.values.ids import UserId

from .base import Fact, person, unowned


class DossierStep(Fact, kind="dossier"):
    """A file about a person is begun, approved, declined, or exported as a zip.

    It is named by the record that begins it: `start` (-1 in that record itself). `task` is the record of the task it
    answers (-1: there was no task). `reader` did it: a user of the operating system or, for an approval, the account of
    the approver. `how` says what an approval rests on: a signature with the approver's `key`, or a command from their
    own `account`, recorded at `on`. Approvals by a `user` of the operating system are from before there were keys.
    Nothing here sends anything.
    """

    step: Literal["opened", "approved", "declined", "exported"]
    start: int = -1
    task: int = -1
    digest: str = "-"  # SHA-256 in hexadecimal: of the zip, or of the list that was approved
    how: Literal["user", "key", "account"] = "user"
    key: str = "-"  # the approver's public key, in base64
    signature: str = unowned()
    subject: UserId = person()
    covers: str = unowned()  # the numbers of the cases, as JSON
    reader: str = unowned()
    reason: str = unowned()
    bar: str = unowned()  # the legal ground for not telling the person


class ApproverChanged(Fact, kind="approver"):
    """Register or withdraw the public key with which an operator signs approvals of files.

    `subject` is the account the key belongs to, `reader` the operating system user who did it.
    """

    step: Literal["added", "removed"]
    key: str  # the public key, in base64
    subject: UserId = person()
    name: str = unowned()
    reader: str = unowned()
    reason: str = unowned()
