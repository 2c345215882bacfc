"""Exports that lie in the data directory until their maker takes them (`bot/console/pages/exports.py`).

Rules kept here:
- They go after a day, and at once when something is erased or purged: nobody finds in them what the log holds no more.
"""

from pathlib import Path

from moderation.values.durations import DAY_MS

FOLDER = "console/exports"


def remove_waiting(data_dir: Path, now_ms: int | None = None) -> None:
    """Remove those that were made more than a day before `now_ms`; without a time, all, also unfinished ones."""
    folder = data_dir / FOLDER
    for path in folder.iterdir() if folder.is_dir() else ():
        if now_ms is None or now_ms - path.stat().st_mtime_ns // 1_000_000 > DAY_MS:
            path.unlink(missing_ok=True)
