"""The test clients consist of exactly the locked packages, and the lock does not say where these come from."""

import json

from tests.clients.packages import HERE, installed

LOCK = (HERE / "package-lock.json").read_text("utf-8")
LOCKED = {name: package for name, package in json.loads(LOCK)["packages"].items() if name}


def test_the_lock_holds_a_hash_of_everything_and_no_address() -> None:
    assert "://" not in LOCK
    assert [name for name, package in LOCKED.items() if not package["integrity"].startswith("sha512-")] == []


def test_the_installed_packages_match_the_lock() -> None:
    there = installed() / "node_modules"
    found = {name: json.loads((there.parent / name / "package.json").read_text("utf-8"))["version"] for name in LOCKED}
    assert found == {name: package["version"] for name, package in LOCKED.items()}
