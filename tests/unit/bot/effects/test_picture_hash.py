"""Pictures that look the same have nearly the same hash, and no file does harm."""

import io
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from bot.effects import picture_hash
from bot.effects.picture_hash import MOST_PIXELS, pdq_of
from moderation.rules.images import turned
from tests.examples import tried
from tests.unit.bot.effects.pictures import picture, written

# What Meta's own library (pdqhash 0.2.8) computes from the same pictures.
PUBLISHED = {
    (1, 320, 240): "3861f2e90c36c0f87fc0ba43c1d90617d9af6f96b26f839da88edddf56008560",
    (2, 256, 256): "f483a2b487a71d2cb04b30fad7c28d568c25b8762cc17487750daa31ab6fce67",
    (3, 200, 400): "4c28b49b1d77323c517533c8f54b258be31e7357b339663ca67364d84e48cc98",
    (5, 90, 130): "9f1f3877c58e256872c4a75e0b47d9388bf0ee91510f926d3ea1531618e61ee2",
}
NEAR = 31  # the distance that a rule allows if it does not say another


def distance(one: bytes, other: bytes) -> int:
    ((first,), (second,)) = pdq_of(one), pdq_of(other)
    return (int(first, 16) ^ int(second, 16)).bit_count()


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items(), ids=str)
def test_the_hash_is_the_one_that_others_compute(name: tuple[int, int, int], published: str) -> None:
    assert pdq_of(written(picture(*name))) == (published,)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "worse": lambda image: Image.open(io.BytesIO(written(image, "JPEG", quality=30))),
    "smaller": lambda image: image.resize((160, 120)),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "grey": ImageOps.grayscale,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_near(change: Callable[[Image.Image], Image.Image]) -> None:
    assert distance(written(picture(1)), written(change(picture(1)))) <= NEAR


def test_a_cropped_copy_and_another_picture_are_far() -> None:
    cropped = picture(1).crop((10, 7, 310, 233))
    assert distance(written(picture(1)), written(cropped)) > NEAR
    assert distance(written(picture(1)), written(picture(6))) > 80


@pytest.mark.parametrize("how", Image.Transpose, ids=lambda how: how.name)
@pytest.mark.parametrize("seed", [1, 6, 7])
def test_a_turned_or_mirrored_copy_is_near_one_of_eight(seed: int, how: Image.Transpose) -> None:
    image = picture(seed)
    ((upright,), (changed,)) = pdq_of(written(image)), pdq_of(written(image.transpose(how)))
    assert min((int(changed, 16) ^ each).bit_count() for each in turned(int(upright, 16))) <= 28


def test_several_moments_of_a_picture_that_moves_are_hashed() -> None:
    frames = [picture(seed, 128, 96) for seed in range(10, 18)]
    found = pdq_of(written(frames[0], "WEBP", lossless=True, save_all=True, append_images=frames[1:]))
    assert found == tuple(pdq_of(written(frames[at]))[0] for at in (0, 2, 4, 6))


def test_a_picture_with_little_in_it_has_no_hash() -> None:
    assert pdq_of(written(Image.new("RGB", (300, 300), "white"))) == ()


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    side = math.isqrt(MOST_PIXELS) + 1
    bomb = Image.new("1", (side, side))
    ImageDraw.Draw(bomb).ellipse((0, 0, side, side), fill=1)
    data = written(bomb)
    assert len(data) < 200_000
    with Image.open(io.BytesIO(data)) as opened:
        assert list(picture_hash._moments(opened)) == []


def test_a_large_photograph_is_decoded_small() -> None:
    large = written(picture(1).convert("L").resize((8000, 6000)), "JPEG", quality=30)
    assert MOST_PIXELS < 8000 * 6000
    assert distance(written(picture(1)), large) <= NEAR


def test_a_picture_drawn_with_transparency_is_known_by_what_is_seen() -> None:
    light = picture(1).convert("L")
    on_white, on_black = Image.new("RGBA", picture(1).size, "black"), Image.new("RGBA", picture(1).size, "white")
    on_white.putalpha(ImageOps.invert(light))
    on_black.putalpha(light)
    ((known,),) = [pdq_of(written(light))]
    for hidden in (on_white, on_black):
        found = pdq_of(written(hidden))
        assert min((int(known, 16) ^ int(each, 16)).bit_count() for each in found) <= 12


def test_a_picture_with_a_palette_or_finer_shades_is_known() -> None:
    fine = Image.frombytes(
        "I;16", picture(1).size, b"".join(bytes((7, each)) for each in picture(1).convert("L").tobytes())
    )
    assert distance(written(picture(1).convert("L")), written(fine)) <= 4
    assert distance(written(picture(1)), written(picture(1).quantize(256))) <= NEAR


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_file_that_is_cut_short_does_no_harm(form: str) -> None:
    data = written(picture(1), form)
    for length in (0, 10, 100, len(data) // 2, len(data) - 5):
        assert len(pdq_of(data[:length])) <= 1


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_file_that_is_cut_short_is_known_by_what_is_seen(form: str) -> None:
    data = written(picture(1), form)
    assert distance(written(picture(1)), data[: len(data) * 98 // 100]) <= NEAR


def test_other_formats_are_not_opened() -> None:
    assert pdq_of(written(picture(1), "TIFF")) == ()
    assert pdq_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == ()


@settings(max_examples=tried(50), deadline=None)
@given(st.binary(max_size=500), st.sampled_from([b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"BM"]))
def test_any_bytes_do_no_harm(data: bytes, begins: bytes) -> None:
    assert isinstance(pdq_of(begins + data), tuple)
