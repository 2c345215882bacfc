"""The list that approvers of a file on a person sign: the records in it, with the SHA-256 of the list.

Rules kept here:
- The list names the record that began the file and every record of its cases about the person, each with its leaf hash,
  so nothing in them can change unnoticed, and erasing a part does not change it.
- Records that only note who read or was told something are left out, or reading a case would undo its approval.
- `verify.py` has the same rules in a form that stands alone.

Left to others: who may approve (`bot/admin/dossiers.py`), which records belong to a case (`of_case.py`).
"""

import base64
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast

from storage.journal.line_format import DecodedLine

from .choose import choose, lines_below
from .of_case import records_of_cases
from .selection import Selection
from .verify import NOTES, approval_text

NAME = "approved.txt"
TITLE = "answerable-dossier@v1"


@dataclass(frozen=True, slots=True)
class Approvable:
    """The list as it is in the export."""

    origin: str
    number: int
    text: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the list in hexadecimal."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def to_sign(self) -> bytes:
        """Return what an approver signs."""
        return approval_text(self.origin, self.number, self.digest)


def approvable(
    records: Path, size: int, origin: str, number: int, persons: Collection[str], cases: Collection[int]
) -> Approvable:
    """List the content of the file `number` on these accounts and cases, among the first `size` records."""
    wanted = frozenset(cases)
    of_cases = records_of_cases(lines_below(records, size), wanted)
    selection = Selection(persons=frozenset(persons), cases=wanted)
    numbers = {*choose(records, selection, size, of_cases=of_cases, progress=None).fitting, number}
    lines = [_line(opened) for opened in _opened(records, size, numbers)]
    return Approvable(origin, number, "".join(f"{line}\n" for line in (TITLE, origin, str(number), *lines)))


def _opened(records: Path, size: int, numbers: Collection[int]) -> Iterator[DecodedLine]:
    for _, opened in lines_below(records, size):
        if opened.skeleton["i"] in numbers and (opened.skeleton["k"] not in NOTES or opened.skeleton["k"] == "dossier"):
            yield opened


def _line(opened: DecodedLine) -> str:
    return f"{cast(int, opened.skeleton['i'])} {base64.b64encode(opened.leaf).decode()}"
