"""Rests of policy lists: how long a list that has changed is not read again, whatever happens in it.

Each list has its own, so one that never comes to rest keeps no other from being read.
"""

FIRST_S, LONGEST_S = 1.0, 300.0
CALM_S = 600.0  # without a change after a rest; the next one is short again


class Rest:
    """The rest of one list: each is twice as long as the one before, until there is no change for a while."""

    def __init__(self) -> None:
        self.until_s = -CALM_S
        self._length_s = 0.0

    def begin(self, now_s: float) -> None:
        """Begin a rest after a change; times are those of one steady clock, in seconds."""
        is_calm = now_s - self.until_s >= CALM_S
        self._length_s = FIRST_S if is_calm else min(2 * self._length_s, LONGEST_S)
        self.until_s = now_s + self._length_s
