"""Unpacks archives of ours on every supported Python."""

import tarfile
from pathlib import Path
from typing import Any


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive into a folder. Not every Python 3.11 knows filters, and 3.12 warns where none is named."""
    filters: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as packed:
        packed.extractall(folder, **filters)
