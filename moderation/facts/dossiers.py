"""The files on serious and continuing offenders: who asked for one, who approved it, who took it out."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..ids import UserId
from .base import Fact, person, unowned


@dataclass(frozen=True, slots=True, kw_only=True)
class DossierStep(Fact):
    """A file about a person is begun, approved by somebody, declined, or taken out as a zip.

    It is named by the record that begins it: `start` (-1 in that record itself). `task` is the record of the task it
    answers (-1: nobody was asked). Who did it is a user of the operating system. Nothing here sends anything.
    """

    KIND: ClassVar[str] = "dossier"

    step: Literal["opened", "approved", "declined", "exported"]
    start: int = -1
    task: int = -1
    digest: str = "-"  # of the zip: SHA-256 in hexadecimal
    subject: UserId = person()
    covers: str = unowned()  # the numbers of the cases, as JSON
    reader: str = unowned()
    reason: str = unowned()
    bar: str = unowned()  # the legal ground on which the person is not told
