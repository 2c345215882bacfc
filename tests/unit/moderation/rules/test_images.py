"""Files are compared with those that are known."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from moderation.rules.check import Hit, View
from moderation.rules.images import BITS, Images, ImageSettings, turned
from moderation.values.events import FileSeen
from tests.unit.moderation.rules.posting import EVENT, ROOM, SENDER, posted

KNOWN, OTHER = (random.Random(seed).getrandbits(BITS) for seed in (1, 2))
FILE = "ab" * 32
hashes = st.integers(0, 2**BITS - 1)


def seen(*pdq: int, sha256: str = "") -> FileSeen:
    return FileSeen(
        room=ROOM, event=EVENT, sender=SENDER, sent_ms=0, received_ms=0, type="", content={}, message=1,
        sha256=sha256, pdq=pdq,
    )  # fmt: skip


def check(event: FileSeen, **options: object) -> Hit | None:
    return Images(ImageSettings.model_validate({"hashes": [f"{KNOWN:064x}"], **options})).check(event, View())


def flipped(pdq: int, bits: int) -> int:
    return pdq ^ sum(1 << 3 * bit for bit in range(bits))


def test_a_picture_is_known_if_few_bits_differ() -> None:
    assert check(seen(KNOWN)) == Hit(numbers={"count": 0})
    assert check(seen(flipped(KNOWN, 31))) == Hit(numbers={"count": 31})
    assert check(seen(flipped(KNOWN, 32))) is None
    assert check(seen(flipped(KNOWN, 32)), distance=40) == Hit(numbers={"count": 32})
    assert check(seen(OTHER)) is None
    assert check(seen()) is None


@given(hashes, st.sets(st.integers(0, BITS - 1), max_size=40), st.sampled_from([0, 15, 31, 32, 47]))
def test_what_is_near_enough_is_found_wherever_the_wrong_bits_are(pdq: int, wrong: set[int], distance: int) -> None:
    bank = Images(ImageSettings(hashes=tuple(f"{each:064x}" for each in (pdq, OTHER)), distance=distance))
    way = pdq ^ sum(1 << bit for bit in wrong)
    nearest = min((each ^ known).bit_count() for each in turned(way) for known in (pdq, OTHER))
    expected = Hit(numbers={"count": nearest}) if nearest <= distance else None
    assert bank.check(seen(way), View()) == expected


def test_a_picture_is_compared_with_few_of_a_large_bank() -> None:
    some = random.Random(3)
    bank = Images(ImageSettings(hashes=tuple(f"{some.getrandbits(BITS):064x}" for _ in range(10_000))))
    assert max(len(bank.compared(some.getrandbits(BITS))) for _ in range(96)) < 100


def test_a_bank_of_one_picture_in_many_forms_is_compared_once_at_most() -> None:
    forms = {KNOWN ^ (1 << one) ^ (1 << other) for one in range(32) for other in range(one)}
    bank = Images(ImageSettings(hashes=tuple(f"{each:064x}" for each in forms)))
    assert len(bank.compared(KNOWN)) == len(forms)
    assert bank.check(seen(KNOWN), View()) == Hit(numbers={"count": 2})


def test_any_moment_of_a_picture_that_moves_counts() -> None:
    assert check(seen(OTHER, flipped(KNOWN, 3))) == Hit(numbers={"count": 3})


def test_a_file_is_known_by_its_content() -> None:
    assert check(seen(sha256=FILE), sha256=[FILE]) == Hit()
    assert check(seen(sha256="cd" * 32), sha256=[FILE]) is None
    assert check(seen(sha256=FILE), hashes=[], sha256=[FILE]) == Hit()


def test_words_are_not_looked_at() -> None:
    assert Images(ImageSettings(sha256=(FILE,))).check(posted(FILE), View()) is None


@given(hashes)
def test_the_eight_of_each_are_the_same_eight(pdq: int) -> None:
    eight = set(turned(pdq))
    assert pdq in eight
    assert all(set(turned(each)) == eight for each in eight)


@given(hashes, hashes)
def test_turning_two_pictures_alike_leaves_their_distance(one: int, other: int) -> None:
    distances = {(a ^ b).bit_count() for a, b in zip(turned(one), turned(other), strict=True)}
    assert distances == {(one ^ other).bit_count()}


@pytest.mark.parametrize(
    "bad",
    [{}, {"hashes": []}, {"hashes": ["ab"]}, {"sha256": ["G" * 64]}, {"sha256": [FILE], "distance": 81}],
    ids=["nothing", "empty", "short", "no hash", "far"],
)
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ImageSettings.model_validate(bad)
