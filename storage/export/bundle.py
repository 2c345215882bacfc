"""The zip of an export: one file after the other, in the order given, all with the same time.

Rules kept here:
- The same content gives the same bytes.
- A name is one of ours, so none can leave the folder it is unpacked in.
- Nothing is held in memory.
- The SHA-256 of every file, and of the whole, is computed on the way.

Left to others: what the files say (`export.py`), making the finished file appear at once (`export.py`).
"""

import hashlib
import io
import re
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import BinaryIO, cast

SUMS = "SHA256SUMS"
_NAME = re.compile(r"(?:proofs/|media/)?[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9-]+)?")
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip has no time before this, and none after 2107
_LATEST = (2107, 12, 31, 23, 59, 58)
_PIECE = 1 << 18
_MODE = 0o100600 << 16  # readable by its owner only, once it is unpacked


class Bundle:
    """A zip being written. `close` adds ``SHA256SUMS``."""

    def __init__(self, file: BinaryIO, made_at_ms: int) -> None:
        self._out = Hashing(file)
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        made = time.gmtime(max(0, made_at_ms) // 1000)[:6]
        self._made = min(max(made, _EARLIEST), _LATEST)
        self._sums: dict[str, str] = {}

    @contextmanager
    def file(self, name: str) -> Iterator[BinaryIO]:
        """Open a file to be written piece by piece."""
        if not _NAME.fullmatch(name) or name in self._sums:
            raise ValueError(f"{name!r} cannot be a file of an export")
        info = zipfile.ZipInfo(name, self._made)
        info.create_system, info.external_attr, info.compress_type = 3, _MODE, zipfile.ZIP_DEFLATED
        with self._zip.open(info, "w", force_zip64=True) as opened:
            hashing = Hashing(opened)
            # Small pieces are dear to compress.
            with io.BufferedWriter(cast(io.RawIOBase, hashing), _PIECE) as buffered:
                yield buffered
        self._sums[name] = hashing.digest

    def add(self, name: str, data: bytes) -> None:
        """Add a small file at once."""
        with self.file(name) as file:
            file.write(data)

    def __enter__(self) -> "Bundle":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is not None:
            self._out.mute()  # what is left of the zip is useless, and the file under it may be closed
            self._zip.close()

    @property
    def sums(self) -> Mapping[str, str]:
        """The files so far: name -> SHA-256."""
        return MappingProxyType(self._sums)

    def close(self) -> str:
        """Finish the zip and return the SHA-256 of the whole, in hexadecimal."""
        lines = "".join(f"{digest}  {name}\n" for name, digest in self._sums.items())
        self.add(SUMS, lines.encode())
        self._zip.close()
        return self._out.digest


class Hashing(io.RawIOBase):
    """A file that passes bytes on and hashes them. It cannot seek, so that no byte is changed after it was hashed."""

    def __init__(self, file: "zipfile.IO[bytes] | BinaryIO") -> None:  # type: ignore[name-defined]
        self._file = file
        self._hash = hashlib.sha256()
        self._muted = False

    def mute(self) -> None:
        """Write nothing more."""
        self._muted = True

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes") -> int:  # type: ignore[override]
        if not self._muted:
            self._hash.update(data)
            self._file.write(data)
        return len(data)

    @property
    def digest(self) -> str:
        """SHA-256 of everything so far, in hexadecimal."""
        return self._hash.hexdigest()
