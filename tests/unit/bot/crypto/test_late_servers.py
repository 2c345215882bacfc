"""Other homeservers that answer late: which rest, which are suspected, and who is asked together."""

from collections.abc import Iterable

from bot.crypto.late_servers import LATE_MS, REMEMBERED, REST_MS, LateServers

NOW = 1_800_000_000_000
ANN, BEN, EVA, OUR = "@ann:good.example", "@ben:fine.example", "@eva:evil.example", "@our:own.example"
EVERYBODY = (ANN, BEN, EVA, OUR)


def answered(late: LateServers, users: Iterable[str], took_ms: int, failures: Iterable[str] = ()) -> None:
    late.answered(users, took_ms, failures, NOW)


def portions(late: LateServers, now: int = NOW, most: int | None = None) -> list[list[str]]:
    left, found = list(EVERYBODY), list[list[str]]()
    while users := late.next_portion(left, now, most):
        found.append(users)
        left = [user for user in left if user not in users]
    return found


def test_nobody_is_suspected_at_first_and_portions_have_a_size() -> None:
    late = LateServers("own.example")
    assert portions(late) == [[ANN, BEN, EVA, OUR]]
    assert portions(late, most=3) == [[ANN, BEN, EVA], [OUR]]


def test_servers_that_were_late_together_are_asked_apart_after_all_others_and_none_rests() -> None:
    late = LateServers("own.example")
    answered(late, [ANN, EVA, OUR], LATE_MS)
    assert portions(late) == [[BEN, OUR], [ANN], [EVA]]
    assert not any(late.rests(user, NOW) for user in EVERYBODY)


def test_a_suspected_server_that_is_late_rests_and_each_suspicion_and_rest_has_an_end() -> None:
    late = LateServers("own.example")
    answered(late, [ANN, EVA, OUR], LATE_MS)
    late.answered([ANN], LATE_MS - 1, (), NOW + 1)
    late.answered([EVA], LATE_MS, (), NOW + 1)
    assert portions(late, NOW + 1) == [[BEN, OUR], [ANN]]
    assert portions(late, NOW + REST_MS) == [[ANN, BEN, OUR]]
    assert portions(late, NOW + 1 + REST_MS) == [[ANN, BEN, EVA, OUR]]


def test_a_server_that_is_late_every_second_time_is_found() -> None:
    late = LateServers("own.example")
    answered(late, [ANN, EVA], LATE_MS)
    answered(late, [EVA], 0)
    answered(late, [EVA], LATE_MS)
    assert late.rests(EVA, NOW)


def test_users_of_a_suspected_server_come_in_portions_too_and_no_more_once_it_rests() -> None:
    late, users = LateServers("own.example"), [f"@{number}:evil.example" for number in range(3)]
    answered(late, [ANN, EVA], LATE_MS)
    assert late.next_portion(users, NOW, 2) == users[:2]
    answered(late, users[:2], LATE_MS)
    assert late.next_portion(users[2:], NOW, 2) == []


def test_a_server_that_is_named_as_failing_rests_and_the_others_are_not_suspected_for_it() -> None:
    for took_ms in (0, LATE_MS):
        late = LateServers("own.example")
        answered(late, EVERYBODY, took_ms, ["evil.example"])
        assert portions(late) == [[ANN, BEN, OUR]]


def test_our_own_server_and_servers_that_were_not_asked_never_rest() -> None:
    late = LateServers("own.example")
    answered(late, [OUR], LATE_MS, ["own.example", "good.example"])
    answered(late, [OUR, EVA], LATE_MS)
    assert portions(late) == [[ANN, BEN, OUR]]


def test_only_so_many_servers_are_remembered() -> None:
    late = LateServers("own.example")
    many = [f"@user:{number}.example" for number in range(REMEMBERED)]
    answered(late, [EVA], LATE_MS)
    answered(late, many, 0, [user.partition(":")[2] for user in many])
    assert not late.rests(EVA, NOW)
    assert all(late.rests(user, NOW) for user in many)
    late = LateServers("own.example")
    answered(late, [EVA, ANN], LATE_MS)
    answered(late, many, LATE_MS)
    assert late.next_portion([ANN, EVA, *many], NOW) == [ANN, EVA]
