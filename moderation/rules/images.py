"""Pictures and other files that are known to be bad: by what they look like, or by their exact content.

Rules kept here:
- The hashes decide that the record of a file tells (`FileSeen`); nothing is downloaded here, so what is recorded can be
  judged again.
- Pictures are compared by PDQ: 256 bits, of which similar pictures share nearly all. A picture is compared as it is,
  mirrored and turned (`turned`): that finds what comparing it with all eight of each in the list would.
- Up to a distance of 31 a picture is only compared with hashes that share one of sixteen pieces with it, but for one
  bit: 31 wrong bits leave a piece with at most one. So nothing is missed, and a large bank costs little more than a
  small one. It is never compared with more hashes than there are.
- The bank is in the policy in full, so that a record tells what was looked for.

Left to others: making the hashes (`bot/effects/picture_hash.py`), reading the lists (`bot/config/lists.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from moderation.values.events import FileSeen

from .base import RuleBase, StrictSettings
from .check import Hit, Judged, View

BITS = 256
SIDE = 16  # the bits are a square: how much of each of 16 x 16 waves is in the picture
MOST = 10_000  # hashes of a list
PIECES, PIECE = 16, 16  # pieces of a hash, and their bits
NEAR = 2 * PIECES - 1  # so many wrong bits leave a piece with at most one
_ROW = (1 << SIDE) - 1
_FLIPS = (0, *(1 << bit for bit in range(PIECE)))
_EVERY_OTHER = int("5555", 16)
_ODD_COLUMNS = sum(_EVERY_OTHER << (SIDE * row) for row in range(SIDE))
_ODD_ROWS = sum(_ROW << (SIDE * row) for row in range(0, SIDE, 2))

Hex = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ImageSettings(StrictSettings):
    """Settings of a rule about known files: any of them breaks it."""

    hashes: tuple[Hex, ...] = Field(
        default=(),
        max_length=MOST,
        description='PDQ hashes, or "bad.pdq", a file with one on each line; needs answerable[images]',
        examples=[[]],
    )
    distance: int = Field(default=31, ge=0, le=80, description="so many of 256 bits may differ")
    sha256: tuple[Hex, ...] = Field(
        default=(),
        max_length=2 * MOST,
        description='SHA-256 of files, or "bad.sha256", a file with one on each line',
        examples=[["b8d2ab1d5d20d34fa6e55d5025697d732319589949c6e004eecd5d3bce32d0b0"]],
    )

    @model_validator(mode="after")
    def _names_something(self) -> "ImageSettings":
        if not (self.hashes or self.sha256):
            raise PydanticCustomError("images_nothing", "expected hashes or sha256")
        return self


class Images:
    """The bank of a rule."""

    def __init__(self, settings: ImageSettings) -> None:
        self._distance = settings.distance
        self._files = frozenset(settings.sha256)
        self._pictures = tuple(int(text, 16) for text in settings.hashes)
        self._pieces: tuple[dict[int, list[int]], ...] = tuple({} for _ in range(PIECES))
        for picture in self._pictures if self._distance <= NEAR else ():
            for pieces, piece in zip(self._pieces, _pieces(picture), strict=True):
                pieces.setdefault(piece, []).append(picture)

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return a hit if the file is in the bank; of a picture with how many bits differ."""
        del view
        if not isinstance(event, FileSeen):
            return None
        if event.sha256 in self._files:
            return Hit()
        ways = {way for seen in event.pdq for way in turned(seen)}
        nearest = min((self._nearest(way) for way in ways), default=BITS)
        return Hit(numbers={"count": nearest}) if nearest <= self._distance else None

    def compared(self, way: int) -> Sequence[int]:
        """Return the hashes of the bank with which a hash is compared: at least all within the distance."""
        if self._distance > NEAR:
            return self._pictures
        there = zip(self._pieces, _pieces(way), strict=True)
        found = (pieces.get(piece ^ flip, ()) for pieces, piece in there for flip in _FLIPS)
        some = tuple(islice(chain.from_iterable(found), len(self._pictures)))
        return some if len(some) < len(self._pictures) else self._pictures

    def _nearest(self, way: int) -> int:
        return min(map(int.bit_count, map(way.__xor__, self.compared(way))), default=BITS)


class ImagesRule(RuleBase, ImageSettings):
    """A rule about known pictures and files."""

    OF_FILES: ClassVar = True
    IN_WORDS: ClassVar = False

    kind: Literal["images"]

    def compiled(self, *, own: bool = False) -> Images:
        """Return its bank."""
        del own
        return Images(self)


def compare_pictures(rules: Iterable[RuleBase]) -> bool:
    """Return whether one of these rules knows pictures by what they look like."""
    return any(isinstance(rule, ImagesRule) and rule.hashes for rule in rules)


def turned(pdq: int) -> Iterator[int]:
    """Yield the hashes of a picture as it is, mirrored and turned: eight in all.

    To mirror a picture turns the sign of every other wave, and to turn it exchanges rows and columns. A bit tells
    whether a wave is above the median, which hardly differs from 0: so these are a few bits off the hashes that would
    be computed from the picture.
    """
    for each in (pdq, _exchanged(pdq)):
        yield from (each, each ^ _ODD_COLUMNS, each ^ _ODD_ROWS, each ^ _ODD_COLUMNS ^ _ODD_ROWS)


def _pieces(pdq: int) -> Sequence[int]:
    raw = pdq.to_bytes(BITS // 8, "little")
    return tuple(raw[at] | raw[at + 1] << 8 for at in range(0, len(raw), 2))


def _exchanged(pdq: int) -> int:
    """Return the hash with rows and columns exchanged."""
    return sum((pdq >> (SIDE * row + column) & 1) << (SIDE * column + row) for row, column in _places())


def _places() -> Iterable[tuple[int, int]]:
    return ((row, column) for row in range(SIDE) for column in range(SIDE))
