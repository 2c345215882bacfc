"""Eras of logs: a log that goes on from a backup gives numbers a second time, which its era tells apart.

Rules kept here:
- A record is named by its number and the era in which it was said. If that era begins later, the record is of an
  earlier one, from which the log goes on.
- Of this log, a record that was named in an earlier era is still there if the backups hold it from which the log went
  on since.
- Nothing is said in an era of which nothing is known yet.

Left to others: what is known of eras (`storage/projections/eras.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

NO_ERA = "-"  # of a log that was never restored from a backup


@dataclass(frozen=True, slots=True)
class Era:
    """An era of a log.

    `start` is the index of its first record in another log, and how many records it goes on from in this one.
    """

    name: str
    start: int


def written_in(eras: Sequence[Era], named_in: str, index: int) -> tuple[str, ...]:
    """Return the eras of another log in which a record may have been written that was named in an era.

    `eras` are those known of it, in order, without the first one. The likeliest is first.
    """
    all_eras = (Era(NO_ERA, 0), *eras)
    place = next((at for at, era in enumerate(all_eras) if era.name == named_in), None)
    if place is None:
        return (named_in,)
    if all_eras[place].start <= index:
        return (named_in,)
    before = [era.name for era in all_eras[:place] if era.start <= index]
    return (named_in, *reversed(before))


def is_kept(eras: Sequence[Era], named_in: str, index: int) -> bool:
    """Tell whether a record of this log that was named in an era stands in it now.

    `eras` are those of this log, in order, without the first one.
    """
    names = [NO_ERA, *(era.name for era in eras)]
    if named_in not in names:
        return False
    return all(index < era.start for era in eras[names.index(named_in) :])
