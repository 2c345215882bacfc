"""The pace of servers that ask: so many at once, and then so many a second."""

from bot.policy_server.pace import OriginPace


def test_a_server_that_has_asked_too_much_may_ask_again_after_some_time() -> None:
    now = [0.0]
    pace = OriginPace(at_once=3, a_second=2, now_s=lambda: now[0])
    assert [pace.takes("a.example") for _ in range(5)] == [True, True, True, False, False]
    assert pace.takes("b.example")
    now[0] = 1.0
    assert [pace.takes("a.example") for _ in range(3)] == [True, True, False]
    now[0] = 1_000.0
    assert [pace.takes("a.example") for _ in range(4)] == [True, True, True, False]


def test_a_server_that_goes_on_asking_is_answered_at_its_pace() -> None:
    now = [0.0]
    pace = OriginPace(at_once=1, a_second=1, now_s=lambda: now[0])
    answered = 0
    for tenth in range(101):
        now[0] = tenth / 10
        answered += pace.takes("a.example")
    assert 10 <= answered <= 11
