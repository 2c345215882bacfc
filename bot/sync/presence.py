"""The times for which it is certain that the homeserver was there and heard the bot, so that people could act.

Rules kept here:
- An answer proves the time from the question to the answer.
- Once a question failed, the time from the last answer to the next question that is answered is a pause, however short.
- An answer that came later than any question may take proves only its own moment. So does an answer after which the bot
  itself did nothing for that long.
- Nothing is certain before the first answer.

Left to others: asking (`sync_loop.py`), recording pauses and moving deadlines (`bot/pipeline/heartbeat.py`,
`bot/scheduler/scheduler.py`).
"""

LONGEST_MS = 35_000  # between a question and its answer, and between an answer and the next question


class Presence:
    """The times at which the homeserver was there."""

    def __init__(self) -> None:
        self.heard_ms = 0  # until when it is certain; 0: never yet
        self.lost = True  # True: the last question failed, or none was asked yet
        self._taking = False  # an answer has come and is not recorded yet
        self._pauses: list[tuple[int, int]] = []

    def resume(self, heard_ms: int) -> None:
        """Go on from what was certain before the last stop."""
        self.heard_ms = heard_ms

    def lose(self) -> None:
        """Note that a question failed."""
        self.lost = True

    def found(self, asked_ms: int) -> None:
        """Note that the question of `asked_ms` was answered; if one before it failed, that was a pause."""
        if self.lost or asked_ms - self.heard_ms > LONGEST_MS:
            self._pause(self.heard_ms, asked_ms)
            self.heard_ms = max(self.heard_ms, asked_ms)
        self.lost = False

    def arrived(self) -> None:
        """Note that an answer came that is still to be recorded: until then nothing after it is certain."""
        self._taking = True

    def answered(self, asked_ms: int, now_ms: int) -> None:
        """Note that the listener asked at `asked_ms`, was answered at `now_ms`, and has recorded the answer."""
        if now_ms - asked_ms > LONGEST_MS:
            self._pause(max(self.heard_ms, asked_ms), now_ms)
        self.heard_ms, self._taking = now_ms, False

    def confirmed(self, asked_ms: int, now_ms: int) -> None:
        """Note that a question other than the listener's was answered."""
        if not self.lost and not self._taking and now_ms - asked_ms <= LONGEST_MS:
            self.heard_ms = max(self.heard_ms, now_ms)

    @property
    def waiting(self) -> bool:
        """True if there are pauses that were not fetched yet."""
        return bool(self._pauses)

    def pauses(self) -> list[tuple[int, int]]:
        """Return the pauses since the last call, each with its beginning and its end."""
        found, self._pauses = self._pauses, []
        return found

    def _pause(self, since_ms: int, until_ms: int) -> None:
        if since_ms and until_ms > since_ms:
            self._pauses.append((since_ms, until_ms))
