"""The log's signing key and its public half on disk.

Rules kept here:
- The key is created once, by the first opening, and never replaced.
- It is outside the folder of the records, which may be given to others, and readable by its owner only.
"""

from pathlib import Path

from moderation.values.errors import Broken, Invalid
from storage.journal import disk

from .signed_note import NoteVerifier, Signer

KEY = Path("keys") / "log.key"
_VKEY = "log.vkey"


def load_or_create(data_dir: Path, folder: Path, origin: str) -> Signer:
    """Load the signing key, or create one named `origin` for a new log. Raises `Broken`, or `Invalid` for `origin`."""
    path = data_dir / KEY
    if not path.exists():
        if (folder / _VKEY).exists():
            raise Broken(f"{path} is missing, but {folder} was signed with it. Put the key back from a backup.")
        disk.make_folder(path.parent, disk.SECRET_FOLDER_MODE)
        disk.create_once(path, (Signer.generate(origin).text + "\n").encode(), disk.SECRET_MODE)
        disk.sync_directory(path.parent)
    signer = _read(path)
    _publish(folder / _VKEY, signer.verifier.text)
    return signer


def load(data_dir: Path) -> Signer:
    """Load the signing key. Raises `Broken` if it is damaged and `OSError` if there is none."""
    return _read(data_dir / KEY)


def read_verifier(folder: Path) -> NoteVerifier:
    """Read the key that checks this log. Raises `Invalid` if it is damaged and `OSError` if there is none."""
    return NoteVerifier.parse(_text(folder / _VKEY))


def _publish(path: Path, vkey: str) -> None:
    if not path.exists():
        disk.replace_atomically(path, (vkey + "\n").encode())
    elif _text(path) != vkey:
        raise Broken(f"{path} is not the public half of the signing key; one of them is from another log")


def _read(path: Path) -> Signer:
    try:
        return Signer.parse(_text(path))
    except Invalid as error:
        raise Broken(f"{path}: {error}") from error


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(4096)
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise Invalid(f"{path}: not text") from error
