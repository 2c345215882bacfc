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


def test_a_nonsense_zone_has_no_suggestion() -> None:
    assert near_zones("xyzzy") == ()
