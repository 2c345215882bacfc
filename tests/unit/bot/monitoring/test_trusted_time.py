"""The conditions under which the clock is trusted for removing expired data."""

from bot.monitoring.trusted_time import APART_MS, RECENT_MS, TrustedTime

NOON, DAY_MS = 1_795_521_600_000, 86_400_000


class Machine:
    """A machine with a clock that can be set and one that cannot, and a homeserver."""

    def __init__(self) -> None:
        self.now, self.steady = NOON, 5_000
        self.trusted = TrustedTime(lambda: self.now, lambda: self.steady)

    def pass_ms(self, ms: int) -> None:
        self.now += ms
        self.steady += ms

    def doubt(self, apart_ms: int = 0) -> str | None:
        """Return the doubt after an answer of the homeserver, whose clock is `apart_ms` ahead of ours."""
        self.trusted.hear(self.now + apart_ms)
        return self.trusted.doubt()


def test_a_clock_that_agrees_with_the_homeserver_is_believed() -> None:
    machine = Machine()
    assert [machine.doubt(apart) for apart in (0, APART_MS, -APART_MS)] == [None, None, None]
    assert [machine.doubt(apart) for apart in (APART_MS + 1, -200 * DAY_MS)] == ["homeserver", "homeserver"]


def test_without_the_homeserver_nothing_is_believed() -> None:
    machine = Machine()
    assert machine.trusted.doubt() == "unheard"
    assert machine.doubt() is None
    machine.pass_ms(RECENT_MS)
    assert machine.trusted.doubt() is None
    machine.pass_ms(1)
    assert machine.trusted.doubt() == "unheard"


def test_a_homeserver_on_the_same_machine_jumps_too_and_is_not_believed() -> None:
    machine = Machine()
    machine.now += 200 * DAY_MS
    assert machine.doubt() == "jump"
    machine.pass_ms(3_600_000)
    assert machine.doubt() == "jump"
    machine.now -= 200 * DAY_MS
    assert machine.doubt() is None


def test_a_clock_that_was_set_right_is_believed_after_a_day() -> None:
    machine = Machine()
    machine.now += 200 * DAY_MS
    assert machine.doubt() == "jump"
    machine.pass_ms(DAY_MS - 1)
    assert machine.doubt() == "jump"
    machine.pass_ms(1)
    assert machine.doubt() is None
    machine.now += DAY_MS
    assert machine.doubt() == "jump"


def test_a_clock_that_jumps_again_begins_its_day_again() -> None:
    machine = Machine()
    for _ in range(5):
        machine.now += 40 * DAY_MS
        assert machine.doubt() == "jump"
        machine.pass_ms(DAY_MS // 2)
    assert machine.doubt() == "jump"


def test_a_clock_is_believed_a_day_after_a_long_absence() -> None:
    for last, expected in (
        (None, None),
        (NOON - 6 * DAY_MS, None),
        (NOON - 200 * DAY_MS, "jump"),
        (NOON + DAY_MS, "jump"),
    ):
        machine = Machine()
        machine.trusted.resume(last)
        assert machine.doubt() == expected
        machine.pass_ms(DAY_MS)
        assert machine.doubt() is None


def test_a_clock_that_drifts_is_believed() -> None:
    machine = Machine()
    for _ in range(100):
        machine.pass_ms(DAY_MS)
        machine.now += APART_MS // 2
        assert machine.doubt() is None
