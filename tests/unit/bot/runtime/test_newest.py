"""A mapping with a bound: the entry set or used longest ago goes first."""

from bot.runtime.newest import Newest


def test_the_entry_set_longest_ago_goes_first() -> None:
    kept: Newest[str, int] = Newest(2)
    kept["a"], kept["b"], kept["a"] = 1, 2, 3
    kept["c"] = 4
    assert list(kept.items()) == [("a", 3), ("c", 4)]


def test_what_is_used_stays() -> None:
    kept: Newest[str, int] = Newest(2)
    kept["a"], kept["b"] = 1, 2
    assert (kept.use("a"), kept.use("d")) == (1, None)
    kept["c"] = 3
    assert list(kept) == ["a", "c"]


def test_looking_at_an_entry_does_not_keep_it() -> None:
    kept: Newest[str, int] = Newest(2)
    kept["a"], kept["b"] = 1, 2
    assert kept.get("a") == 1
    kept["c"] = 3
    assert list(kept) == ["b", "c"]


def test_an_entry_may_be_taken_out_and_all_forgotten() -> None:
    kept: Newest[str, int] = Newest(2)
    kept["a"], kept["b"] = 1, 2
    assert kept.pop("a", None) == 1
    kept.clear()
    assert not kept
