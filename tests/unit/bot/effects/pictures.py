"""Pictures for tests, the same on every machine: waves and blots, from a seed."""

import io
import math
import random
from functools import cache
from typing import Any

from PIL import Image


def picture(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """Return a picture in colours."""
    return _picture(seed, width, height).copy()


@cache
def _picture(seed: int, width: int, height: int) -> Image.Image:
    dice = random.Random(seed)
    waves = [(dice.uniform(-9, 9), dice.uniform(-9, 9), dice.uniform(0, 6), dice.uniform(10, 40)) for _ in range(8)]
    blots = [(dice.random(), dice.random(), dice.uniform(0.05, 0.2), dice.randrange(-90, 90)) for _ in range(9)]
    places = [column / width for column in range(width)]
    turns = [(much, down, since, [across * x for x in places]) for across, down, since, much in waves]
    darker = [(top, size, [much * (abs(x - left) < size) for x in places]) for left, top, size, much in blots]
    pixels = bytearray()
    for row in range(height):
        y = row / height
        lights = [[much * math.sin(x + down * y + since) for x in turn] for much, down, since, turn in turns]
        here = [[0] * width, *(line for top, size, line in darker if abs(y - top) < size)]
        amounts = zip(zip(*lights, strict=True), zip(*here, strict=True), strict=True)
        for column, (light, more) in enumerate(amounts):
            level = min(255, max(0, int(128 + sum(light) + sum(more))))
            pixels += bytes((level, (level * 2 + column) % 256, 255 - level))
    return Image.frombytes("RGB", (width, height), bytes(pixels))


def written(image: Image.Image, form: str = "PNG", **how: Any) -> bytes:
    """Return the bytes of a file with the picture."""
    file = io.BytesIO()
    image.save(file, form, **how)
    return file.getvalue()
