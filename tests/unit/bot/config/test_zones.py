"""The intended time zone is found."""

import pytest

from bot.config.zones import near_zones


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("Berlin", "Europe/Berlin"),
        ("europe/berln", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("Asia/Beijing", "Asia/Shanghai"),
        ("Shangai", "Asia/Shanghai"),
    ],
)
def test_the_zone_that_was_meant_is_found(typed: str, near: str) -> None:
    assert near_zones(typed)[0] == near


def test_nothing_is_near_to_what_is_no_place() -> None:
    assert near_zones("xyzzy") == ()
