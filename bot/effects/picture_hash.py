"""The perceptual hash of a picture: PDQ, as Meta published it, of 256 bits that similar pictures share.

Rules kept here:
- Only pictures of a few formats are opened. None with more than `MOST_PIXELS` to decode is decoded. Of a picture that
  moves, a few moments are hashed, if all before them are within that limit.
- What people see counts: what there is of a file that was cut short, and a picture that lets its ground through.
- A picture with too little in it to be told from others (`LEAST_QUALITY`) has no hash.
- Whatever the bytes, nothing is raised; without the library (Pillow) an ImportError is.

Why not the library `pdqhash`: it comes as source alone and needs a C++ compiler. Up to 1024 pixels a side the hashes
are the same; larger pictures are made smaller first, which changes 4 to 20 bits (decision 0045).

As a program (`picture_process.py` runs it), it keeps within the processor time and memory that its arguments name, and
answers with the seconds that it took and the hashes.

Left to others: comparing (`moderation/rules/images.py`).
"""

import io
import math
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain, pairwise
from operator import mul
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 40_000_000
LEAST_QUALITY = 50  # of 100, as those who publish lists advise
MOMENTS = 4  # of a picture that moves
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")
_SIDE, _WAVES, _BITS = 64, 16, 256
_LARGE = 1024  # beyond this, a picture is made smaller first
_WAVE = [
    [math.sqrt(2 / _SIDE) * math.cos(math.pi / 2 / _SIDE * wave * (2 * place + 1)) for place in range(_SIDE)]
    for wave in range(1, _WAVES + 1)
]
_Grid = Sequence[Sequence[float]]
_Weights = tuple[int, Sequence[float]]  # from which pixel on, and how much of each


def pdq_of(data: bytes) -> tuple[str, ...]:
    """Return the hashes of a picture in hexadecimal, each once: one, or several if it moves; none of other files."""
    from PIL import (
        AvifImagePlugin,
        Image,
        ImageFile,
    )  # they come with the extra `images`: only those who compare pictures have them

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each takes memory, on a large machine too much
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # clients show what there is
    found: dict[str, None] = {}
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            picture.draft("L", (_LARGE, _LARGE))  # a photograph is not decoded at its full size
            for grey in (grey for _ in _moments(picture) for grey in _as_seen(picture)):
                grid = _made_small(grey)
                if _quality(grid) >= LEAST_QUALITY:
                    found[_hash(grid)] = None
    except Exception:  # a broken file, whatever it breaks in the library
        return tuple(found)
    return tuple(found)


def _moments(picture: "Image") -> Iterator[int]:
    """Go to moments of a picture, as far as its limit allows."""
    pixels, count = picture.width * picture.height, getattr(picture, "n_frames", 1)
    for moment in dict.fromkeys(count * step // MOMENTS for step in range(MOMENTS)):
        if pixels * (moment + 1) > MOST_PIXELS:
            return
        picture.seek(moment)
        yield moment


def _as_seen(picture: "Image") -> Iterator["Image"]:
    """Yield a picture in shades of grey, not too large; if one sees through it, on white and on black as well."""
    from PIL import Image

    if picture.mode.startswith("I"):  # 16 bits a shade
        yield _at_most_large(picture.convert("I").point(lambda shade: shade * (1 / 256)).convert("L"))
        return
    yield _at_most_large(picture.convert("RGB").convert("L"))  # first the colours of a palette
    if picture.has_transparency_data:
        colours = _at_most_large(picture.convert("RGBA").convert("RGBa")).convert("RGBA")
        for ground in ("white", "black"):
            behind = Image.new("RGBA", colours.size, ground)
            yield Image.alpha_composite(behind, colours).convert("RGB").convert("L")


def _at_most_large(picture: "Image") -> "Image":
    side = max(picture.size)
    return picture.reduce(math.ceil(side / _LARGE)) if side > _LARGE else picture


def _made_small(grey: "Image") -> _Grid:
    """Return the brightness of a picture at 64 x 64 places, each averaged over what is around it."""
    width, height = grey.size
    pixels = grey.tobytes()
    rows = (pixels[at : at + width] for at in range(0, width * height, width))
    narrow = [[_average(row, weights) for weights in _weights(width)] for row in rows]
    columns = list(zip(*narrow, strict=True))
    return [[_average(column, weights) for column in columns] for weights in _weights(height)]


def _average(line: Sequence[float], weights: _Weights) -> float:
    begin, each = weights
    return float(sum(map(mul, line[begin : begin + len(each)], each)))


@lru_cache(maxsize=64)
def _weights(length: int) -> tuple[_Weights, ...]:
    """Return what counts for each of 64 places in a line of so many pixels: averages of averages around it."""
    window = math.ceil(length / (2 * _SIDE))
    after = (window + 2) // 2 - 1

    def around(place: int) -> range:
        return range(max(0, place - (window - after - 1)), min(length, place + after + 1))

    found = []
    for centre in (int((place + 0.5) * length / _SIDE) for place in range(_SIDE)):
        counts: dict[int, float] = {}
        for middle in around(centre):
            for place in around(middle):
                counts[place] = counts.get(place, 0) + 1 / (len(around(centre)) * len(around(middle)))
        begin = min(counts)
        found.append((begin, tuple(counts[place] for place in range(begin, max(counts) + 1))))
    return tuple(found)


def _hash(grid: _Grid) -> str:
    """Return which of 16 x 16 waves (a cosine transform) are above the median."""
    columns = list(zip(*grid, strict=True))
    half = [[sum(map(mul, wave, column)) for column in columns] for wave in _WAVE]
    amounts = [sum(map(mul, row, wave)) for row in half for wave in _WAVE]
    median = sorted(amounts)[_BITS // 2 - 1]
    return f"{sum(1 << bit for bit, amount in enumerate(amounts) if amount > median):064x}"


def _quality(grid: _Grid) -> int:
    """Return how much there is to see, up to 100: the sum of the differences between neighbours."""
    down = (step for column in zip(*grid, strict=True) for step in pairwise(column))
    across = (step for row in grid for step in pairwise(row))
    return min(100, sum(abs(int((a - b) * 100 / 255)) for a, b in chain(down, across)) // 90)


def _main(seconds: int, memory: int) -> None:
    """Hash the picture on standard input."""
    for what, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # not every system has each of them
            resource.setrlimit(what, (most, most))
    data = sys.stdin.buffer.read()
    began = time.process_time()
    found = pdq_of(data)
    sys.stdout.write(" ".join((f"{time.process_time() - began:.3f}", *found)) + "\n")


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:]))
