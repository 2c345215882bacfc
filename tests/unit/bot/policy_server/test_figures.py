"""Tests of the figures that the policy server writes into its log."""

from structlog.testing import capture_logs

from bot.policy_server.figures import PolicyFigures


def test_the_operator_is_told_at_most_once_a_minute_that_events_are_not_judged() -> None:
    now = [1_800_000_000_000]
    figures = PolicyFigures(lambda: now[0])
    with capture_logs() as said:
        for _ in range(3):
            figures.count("not_judged")
        now[0] += 60_000
        figures.count("not_judged")
    assert [(each["event"], each["since_start"]) for each in said] == [
        ("policy_not_judged", 1),
        ("policy_not_judged", 4),
    ]
