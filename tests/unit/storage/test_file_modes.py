"""Only private files are closed to others, and the owner's rights stay."""

import stat
from pathlib import Path

from storage.file_modes import close, weak


def test_private_files_are_closed_to_others(tmp_path: Path) -> None:
    modes = {
        "keys": 0o755,
        "keys/log.key": 0o644,
        "crypto": 0o700,
        "crypto/device": 0o770,
        "crypto/device/crypto.sqlite3": 0o600,
        "state.sqlite3": 0o666,
        "state.sqlite3-wal": 0o640,
        "identity.sqlite3": 0o400,
        "records": 0o750,
        "records/checkpoint": 0o640,
    }
    for name in modes:
        path = tmp_path / name
        path.mkdir() if name in ("keys", "crypto", "crypto/device", "records") else path.write_text("")
    for name, mode in modes.items():
        (tmp_path / name).chmod(mode)
    assert {path.relative_to(tmp_path).as_posix() for path in close(tmp_path)} == {
        "keys",
        "keys/log.key",
        "crypto/device",
        "state.sqlite3",
        "state.sqlite3-wal",
    }
    now = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in modes}
    assert now == modes | {
        "keys": 0o700,
        "keys/log.key": 0o600,
        "crypto/device": 0o700,
        "state.sqlite3": 0o600,
        "state.sqlite3-wal": 0o600,
    }
    assert weak(tmp_path) == []
