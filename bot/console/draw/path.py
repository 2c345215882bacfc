"""A Merkle path: from one record up to the root that was signed, with the side and the records of each hash."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from .svg import DrawingWords, Numbers, drawing, rect, share, words_at

ROW, BAR = 34, 12
_NARROWEST = 0.4  # per cent: what can still be seen
_SHOWN = 12  # signs of a hash


@dataclass(frozen=True, slots=True)
class PathStep:
    """A hash that is joined on the way up: its side, and the records it stands for, from `start` to before `stop`."""

    side: Literal["left", "right"]
    start: int
    stop: int
    digest: str  # hexadecimal


def draw_path(
    record: int,
    size: int,
    leaf: str,
    steps: Sequence[PathStep],
    root: str,
    title: str,
    words: DrawingWords,
) -> Markup:
    """Draw the way from a record to the root of the first `size` records; `steps` from the record up."""
    rows = list(_rows(record, steps))
    return drawing(
        "path",
        title,
        words.text("console.draw.path.says", n=record, count=len(steps), size=size),
        _numbers(leaf, rows, root, words),
        words,
        *_top(size, root, words),
        *(part for place, row in enumerate(reversed(rows), 1) for part in _row(row, size, place * ROW, words)),
        *_bottom(record, size, leaf, (len(rows) + 1) * ROW, words),
        height=(len(rows) + 2) * ROW,
    )


Row = tuple[PathStep, int, int]  # a step, and the records that were joined before it


def _rows(record: int, steps: Sequence[PathStep]) -> Iterator[Row]:
    start, stop = record, record + 1
    for step in steps:
        yield step, start, stop
        start, stop = min(start, step.start), max(stop, step.stop)


def _bar(start: int, stop: int, size: int, y: int, kind: str) -> Markup:
    """Draw some records of all, wide enough to be seen."""
    whole = max(size, 1)
    width = max(100.0 * (stop - start) / whole, _NARROWEST)
    x = min(100.0 * start / whole, 100 - width)
    return rect(share(x, 100), y, share(width, 100), BAR, kind)


def _top(size: int, root: str, words: DrawingWords) -> Iterator[Markup]:
    yield words_at(0, 10, words.text("console.draw.path.root", range=_range(0, size), digest=_short(root)))
    yield _bar(0, size, size, 15, "own")


def _row(row: Row, size: int, top: int, words: DrawingWords) -> Iterator[Markup]:
    step, start, stop = row
    where = words.text(f"console.draw.path.at.{step.side}")
    label = words.text(
        "console.draw.path.step", side=where, range=_range(step.start, step.stop), digest=_short(step.digest)
    )
    yield words_at(0, top + 10, label)
    yield _bar(step.start, step.stop, size, top + 15, "other")
    yield _bar(start, stop, size, top + 15, "own")


def _bottom(record: int, size: int, leaf: str, top: int, words: DrawingWords) -> Iterator[Markup]:
    yield words_at(0, top + 10, words.text("console.draw.path.leaf", n=record, digest=_short(leaf)))
    yield _bar(record, record + 1, size, top + 15, "own")


def _numbers(leaf: str, rows: Sequence[Row], root: str, words: DrawingWords) -> Numbers:
    """Return the whole hashes, from the record up, so that the path can be followed by hand."""
    columns = words.columns("records", "side", "digest")
    found: list[tuple[str | int, ...]] = [("–", words.text("console.draw.path.this"), leaf)]
    for step, _, _ in rows:
        found.append((_range(step.start, step.stop), words.text(f"console.draw.path.at.{step.side}"), step.digest))
    found.append(("–", words.text("console.draw.path.signed"), root))
    return Numbers(columns, found)


def _range(start: int, stop: int) -> str:
    return str(start) if stop <= start + 1 else f"{start}–{stop - 1}"


def _short(digest: str) -> str:
    return digest[:_SHOWN] + ("…" if len(digest) > _SHOWN else "")
