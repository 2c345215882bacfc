"""The file of a backup: a zip of a snapshot, with the SHA-256 of everything in it.

Rules kept here:
- It appears under its name complete and read again, or not at all.
- It replaces no file, and only its owner can read it.
- Only what the manifest lists is unpacked, with the length and hash that it gives.

Left to others: what is in it (`contents.py`), whether the log in it is valid (`storage/journal/verify/verify.py`).
"""

import hashlib
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from moderation.values.errors import Broken, Invalid
from storage.journal import disk

from .contents import CONFIG, MANIFEST, MAX_MANIFEST, RECORDS, Manifest, decode, is_secret_folder

Progress = Callable[[int, int], None]  # bytes done, all bytes

_PIECE = 1 << 20
_PACKED = (".zst", ".tsr")  # already compressed, or hashes: nothing makes these smaller
_MODE = 0o100600 << 16


def write(stage: Path, file: Path, manifest: Manifest, progress: Progress) -> Manifest:
    """Pack a snapshot into `file`, read it again, and only then give it its name.

    Returns the manifest with all files. Raises `FileExistsError` if the name is taken, `Broken` if what was read
    differs from what was written.
    """
    if file.exists():
        raise FileExistsError(file)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        with disk.new_file(draft, disk.SECRET_MODE) as out:
            manifest = _pack(stage, out, manifest, progress)
        _forget_cached(draft)
        _check(draft, manifest)
        _name(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    disk.sync_directory(file.parent)
    return manifest


@contextmanager
def opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """Yield a backup and its manifest. Raises `Invalid` if it is no backup, `OSError` if it cannot be read."""
    try:
        with zipfile.ZipFile(file) as packed:
            info = packed.getinfo(MANIFEST)
            if info.file_size > MAX_MANIFEST:
                raise Invalid("its backup.json is not one")
            yield packed, decode(packed.read(info))
    except KeyError:
        raise Invalid("it has no backup.json") from None
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise Invalid(f"it is damaged: {error}") from None


def unpack(packed: zipfile.ZipFile, manifest: Manifest, folder: Path, progress: Progress) -> None:
    """Restore every file into an empty folder. Raises `Invalid` for a file that differs from the manifest."""
    total, done = sum(size for size, _ in manifest.files.values()), 0
    for name, (size, digest) in manifest.files.items():
        path = folder / name
        secret = not name.startswith(RECORDS)
        disk.make_folder(path.parent, disk.SECRET_FOLDER_MODE if is_secret_folder(name) else disk.FOLDER_MODE)
        mode = disk.SECRET_MODE if secret else disk.FILE_MODE
        with disk.new_file(path, mode) as out:
            if _copy(_member(packed, name), out, size) != digest:
                raise Invalid(f"{name} in it is damaged")
        done += size
        progress(done, total)
    for each, _, _ in os.walk(folder):
        disk.sync_directory(Path(each))


def _pack(stage: Path, out: BinaryIO, manifest: Manifest, progress: Progress) -> Manifest:
    paths = [path for path in sorted(stage.rglob("*")) if path.is_file()]
    total, done = sum(path.stat().st_size for path in paths), 0
    files: dict[str, tuple[int, str]] = {}
    with zipfile.ZipFile(out, "w") as packed:
        for path in paths:
            name, size = path.relative_to(stage).as_posix(), path.stat().st_size
            with path.open("rb") as source, packed.open(_info(name), "w", force_zip64=True) as target:
                files[name] = (size, _copy(source, target, size))  # type: ignore[arg-type]
            done += size
            progress(done, total)
        manifest = replace(manifest, files=files)
        with packed.open(_info(MANIFEST), "w") as target:
            target.write(manifest.encoded())
    return manifest


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, _MODE
    packed = name.endswith(_PACKED) or name.startswith(f"{RECORDS}/tile/")
    info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
    return info


def _copy(source: BinaryIO, target: BinaryIO | None, size: int) -> str:
    """Copy `size` bytes and return their SHA-256. Raises `Invalid` if there are more or fewer."""
    digest, left = hashlib.sha256(), size
    while piece := source.read(min(_PIECE, left + 1)):
        left -= len(piece)
        if left < 0:
            break
        digest.update(piece)
        if target is not None:
            target.write(piece)
    if left:
        raise Invalid("a file in it has not the length it should have")
    return digest.hexdigest()


def _member(packed: zipfile.ZipFile, name: str) -> BinaryIO:
    return packed.open(name)  # type: ignore[return-value]


def _check(draft: Path, manifest: Manifest) -> None:
    try:
        with opened(draft) as (packed, read):
            same = read == manifest
            for name, (size, digest) in manifest.files.items():
                same = same and _copy(_member(packed, name), None, size) == digest
    except Invalid:
        same = False
    if not same:
        raise Broken("what was written to the backup is not what can be read from it: the disk, or its memory, is bad")


def _forget_cached(path: Path) -> None:
    """Drop the file from the page cache, if the system can, so that what is read comes from the disk."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _name(draft: Path, file: Path) -> None:
    try:
        os.link(draft, file)  # unlike a rename, a link refuses to replace
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if file.exists():
            raise FileExistsError(file) from None
        draft.replace(file)


def config_in(packed: zipfile.ZipFile, manifest: Manifest) -> bytes | None:
    """Return the configuration that was in use, if the backup has it."""
    return packed.read(CONFIG) if CONFIG in manifest.files else None
