"""The test clients consist of exactly the locked packages, and the lock does not say where these come from."""

import json
from pathlib import Path

import pytest

from tests.clients.packages import HERE, installed

SOURCES = (HERE, HERE.parent / "issuer", HERE.parent / "long" / "browser", HERE.parent / "draupnir")


def locked(source: Path) -> dict[str, dict[str, str]]:
    packages = json.loads((source / "package-lock.json").read_text("utf-8"))["packages"]
    return {name: package for name, package in packages.items() if name}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_lock_holds_a_hash_of_everything_and_no_address(source: Path) -> None:
    assert "://" not in (source / "package-lock.json").read_text("utf-8")
    assert [name for name, package in locked(source).items() if not package["integrity"].startswith("sha512-")] == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_the_installed_packages_match_the_lock(source: Path) -> None:
    there = installed(source)
    found = {name: json.loads((there / name / "package.json").read_text("utf-8"))["version"] for name in locked(source)}
    assert found == {name: package["version"] for name, package in locked(source).items()}
