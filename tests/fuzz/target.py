"""The type of a fuzzing target."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True, eq=False)
class Target:
    """One fuzzing target. `load` raises `ValueError` for bytes that are not an input."""

    name: str
    inputs: st.SearchStrategy[Any] = field(repr=False)
    check: Callable[[Any], None]
    load: Callable[[bytes], Any]
    dump: Callable[[Any], bytes]
