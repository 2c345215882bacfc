"""Lengths of time as people write them: `90s`, `10m`, `2h`, `3d`, `1w`, or `1h30m`."""

import re
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


def _validated(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


# In settings: written as text, held as milliseconds.
Duration = Annotated[int, BeforeValidator(_validated), Field(gt=0, le=MAX_MS)]
