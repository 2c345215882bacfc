"""Tells apart the eras of a log: after a restore from a backup, a log gives the same numbers again in a new era.

Rules kept here:
- A record is named by its number and by the era in which it was named. If that era begins at a higher number, the
  record belongs to an earlier era, from which the log continues.
- A record of this log that was named in an earlier era is still there if every backup that was restored since holds it.
- No record is placed by an era that is not known yet.

Left to others: which eras are known (`storage/projections/eras.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

NO_ERA = "-"  # of a log that was never restored from a backup


@dataclass(frozen=True, slots=True)
class Era:
    """An era of a log.

    `start`, of another log: the index of the era's first record; of this log: the number of records before the era.
    """

    name: str
    start: int


def written_in(eras: Sequence[Era], named_in: str, index: int) -> tuple[str, ...]:
    """Return the eras of another log in which a record with this index, named in `named_in`, may have been written.

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
    """Tell whether a record of this log, named in the era `named_in`, is still in it.

    `eras` are those of this log, in order, without the first one.
    """
    names = [NO_ERA, *(era.name for era in eras)]
    if named_in not in names:
        return False
    return all(index < era.start for era in eras[names.index(named_in) :])
