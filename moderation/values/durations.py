"""Lengths of time as people write them: `90s`, `10m`, `2h`, `3d`, `1w`, or `1h30m`."""

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator, Field

MS_PER = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
DAY_MS = MS_PER["d"]
HOUR_MS = MS_PER["h"]
MAX_MS = 3660 * DAY_MS

_WHOLE = re.compile(r"(?:\d{1,9}[smhdw])+\Z", re.ASCII)
_PIECE = re.compile(r"(\d+)([smhdw])", re.ASCII)


def parse_duration(text: str) -> int:
    """Return the milliseconds of a duration such as ``10m``. Raises `ValueError` if it is not one."""
    text = text.strip().lower()
    if not _WHOLE.match(text):
        raise ValueError("expected a duration such as 90s, 10m, 2h, 3d or 1w")
    total = sum(int(number) * MS_PER[unit] for number, unit in _PIECE.findall(text))
    if not 0 < total <= MAX_MS:
        raise ValueError("a duration must be longer than nothing and at most ten years")
    return total


def write_duration(ms: int) -> str:
    """Return a duration as people write it, in the largest unit that divides it."""
    unit = next(unit for unit in ("w", "d", "h", "m", "s") if ms % MS_PER[unit] == 0 or unit == "s")
    return f"{ms // MS_PER[unit]}{unit}"


def is_duration(metadata: Iterable[object]) -> bool:
    """Tell by the metadata of a setting whether it is a duration."""
    return _VALIDATOR in metadata


def _validated(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


# In settings: written as text, held as milliseconds.
_VALIDATOR = BeforeValidator(_validated)
Duration = Annotated[int, _VALIDATOR, Field(gt=0, le=MAX_MS)]
# The same, or "" for never, held as 0.
DurationOrNever = Annotated[
    int, _VALIDATOR, BeforeValidator(lambda value: 0 if value == "" else value), Field(ge=0, le=MAX_MS)
]
