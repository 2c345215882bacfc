"""The parts of records that an `erase` record erases, as one short text.

    740-745,800;1:812

means the part at place 0 (the first of `x`) of the records 740 to 745 and 800, and the part at place 1 of record 812.

Rules kept here:
- One set of parts has only one text.
- A set that is too long for one line of the log is divided into pieces, each for a record of its own.
Left to others: finding the parts (`find.py`), erasing them (`erase.py`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from moderation.values.errors import Invalid

from .ranges import Ranges

MAX_TEXT = 2 * 1024 * 1024  # about 250,000 single records; a line may have twice as much
MAX_PLACE = 1_000_000
_RUN_TEXT = 18  # length of one run in practice, at most


@dataclass(frozen=True, slots=True)
class Targets:
    """Parts of records: for each place in `x`, the records. Places without records do not occur."""

    places: Mapping[int, Ranges]

    @classmethod
    def of(cls, parts: Iterable[tuple[int, int]]) -> "Targets":
        """Build the targets from pairs of record and place, in any order."""
        found: dict[int, list[int]] = {}
        for index, place in parts:
            found.setdefault(place, []).append(index)
        return cls({place: Ranges.of(found[place]) for place in sorted(found)})

    @classmethod
    def parse(cls, text: object) -> "Targets":
        """Parse what `text` wrote. Raises `Invalid` for anything else."""
        if not isinstance(text, str):
            raise Invalid("parts to erase: a text such as 740-745,800;1:812 is needed")
        targets = cls(dict(map(_place, text.split(";")))) if text else cls({})
        if targets.text != text:
            raise Invalid(f"parts to erase: {text[:40]!r} is not in order, such as 740-745,800;1:812")
        return targets

    @property
    def text(self) -> str:
        """The text for the record, in its part's `records`."""
        return ";".join(
            f"{place}:{ranges.text}" if place else ranges.text for place, ranges in sorted(self.places.items())
        )

    @property
    def count(self) -> int:
        """The number of parts."""
        return sum(map(len, self.places.values()))

    @property
    def last(self) -> int:
        """The highest record index; -1 if there is none."""
        return max((stop for ranges in self.places.values() for _, stop in ranges.runs()), default=0) - 1

    def records(self) -> Ranges:
        """Return the records with a part at any place."""
        return Ranges(run for ranges in self.places.values() for run in ranges.runs())

    def within(self, start: int, stop: int) -> "Targets":
        """Return the parts of records from `start` up to, not including, `stop`."""
        cut = {place: ranges.within(start, stop) for place, ranges in self.places.items()}
        return Targets({place: ranges for place, ranges in cut.items() if ranges})

    def of_record(self, index: int) -> list[int]:
        """Return the places of the parts of one record."""
        return [place for place, ranges in self.places.items() if index in ranges]

    def pieces(self, limit: int = MAX_TEXT) -> Iterator["Targets"]:
        """Yield the targets in pieces, each short enough for one record of the log."""
        runs = [(place, run) for place, ranges in sorted(self.places.items()) for run in ranges.runs()]
        step = max(1, limit // _RUN_TEXT)
        for at in range(0, len(runs), step):
            found: dict[int, list[tuple[int, int]]] = {}
            for place, run in runs[at : at + step]:
                found.setdefault(place, []).append(run)
            yield Targets({place: Ranges(group) for place, group in found.items()})

    def __bool__(self) -> bool:
        return bool(self.places)

    def __or__(self, other: "Targets") -> "Targets":
        places = sorted({*self.places, *other.places})
        none = Ranges()
        return Targets({place: self.places.get(place, none) | other.places.get(place, none) for place in places})


def _place(text: str) -> tuple[int, Ranges]:
    place, colon, ranges = text.rpartition(":")
    if colon and not (place.isascii() and place.isdigit() and len(place) < 8 and int(place) <= MAX_PLACE):
        raise Invalid(f"parts to erase: {place[:40]!r} is not a place in x")
    if not ranges:
        raise Invalid(f"parts to erase: no record stands after {text[:40]!r}")
    return int(place or 0), Ranges.parse(ranges)
