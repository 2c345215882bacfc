"""Labels of a plug-in are compared with the limits of a rule."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from moderation.rules.check import Hit, View
from moderation.rules.labels import LabelsCheck, LabelsSettings
from tests.unit.moderation.rules.posting import labelled, posted

LIMITS = {"nsfw": 900, "gore": 500}


def check(labels: Mapping[str, int], plugin: str = "pictures") -> Hit | None:
    settings = LabelsSettings(plugin="pictures", labels=LIMITS)
    return LabelsCheck(settings).check(labelled(plugin, labels), View())


def test_a_score_breaks_the_rule_from_the_limit_on() -> None:
    assert check({"nsfw": 899, "gore": 0}) is None
    assert check({"nsfw": 900}) == Hit(matched="nsfw", numbers={"count": 900, "limit": 900})
    assert check({"nsfw": 950, "gore": 700}) == Hit(matched="gore", numbers={"count": 700, "limit": 500})


def test_other_labels_and_other_plugins_do_not_count() -> None:
    assert check({}) is None
    assert check({"cat": 1000}) is None
    assert check({"nsfw": 1000}, plugin="words") is None
    assert LabelsCheck(LabelsSettings(plugin="pictures", labels=LIMITS)).check(posted("nsfw"), View()) is None


@given(st.dictionaries(st.sampled_from(("nsfw", "gore", "cat")), st.integers(0, 1000)))
def test_it_is_broken_exactly_if_some_score_reaches_its_limit(labels: dict[str, int]) -> None:
    assert (check(labels) is not None) == any(labels.get(name, 0) >= limit for name, limit in LIMITS.items())
