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
from typing import BinaryIO

SUMS = "SHA256SUMS"
_NAME = re.compile(r"(?:proofs/|media/)?[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9-]+)?")
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip has no time before this, and none after 2107
_LATEST = (2107, 12, 31, 23, 59, 58)
_MODE = 0o100600 << 16  # readable by its owner only, once it is unpacked


class Bundle:
    """A zip being written. `close` adds ``SHA256SUMS``."""

    def __init__(self, file: BinaryIO, made_at_ms: int) -> None:
        self._out = _Hashing(file)
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        made = time.gmtime(max(0, made_at_ms) // 1000)[:6]
        self._made = min(max(made, _EARLIEST), _LATEST)
        self._sums: dict[str, str] = {}

    @contextmanager
    def file(self, name: str) -> Iterator["HashingWriter"]:
        """Open a file to be written piece by piece."""
        if not _NAME.fullmatch(name) or name in self._sums:
            raise ValueError(f"{name!r} cannot be a file of an export")
        info = zipfile.ZipInfo(name, self._made)
        info.create_system, info.external_attr, info.compress_type = 3, _MODE, zipfile.ZIP_DEFLATED
        with self._zip.open(info, "w", force_zip64=True) as opened:
            writer = HashingWriter(opened)
            yield writer
        self._sums[name] = writer.digest

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


class HashingWriter:
    """A writer that passes bytes on and hashes them."""

    def __init__(self, file: "zipfile.IO[bytes] | BinaryIO") -> None:  # type: ignore[name-defined]
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write all of `data`."""
        self._hash.update(data)
        self._file.write(data)
        return len(data)

    @property
    def digest(self) -> str:
        """SHA-256 of everything so far, in hexadecimal."""
        return self._hash.hexdigest()


class _Hashing(io.RawIOBase):
    """The file that `zipfile` writes to. It cannot seek, so that no byte is changed after it was hashed."""

    def __init__(self, file: BinaryIO) -> None:
        self._writer = HashingWriter(file)
        self._muted = False

    def mute(self) -> None:
        """Write nothing more."""
        self._muted = True

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes") -> int:  # type: ignore[override]
        return len(data) if self._muted else self._writer.write(bytes(data))

    @property
    def digest(self) -> str:
        return self._writer.digest
