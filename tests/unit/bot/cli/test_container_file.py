"""The container file is right by what can be read of it; `tests/door/test_container.py` builds and runs it."""

import re
from fnmatch import fnmatch
from pathlib import Path

from bot.cli.main import COMMANDS
from tests.unit.bot.cli.conftest import Answerable

HOUSE = Path(__file__).parents[4]
FILE = HOUSE / "docs" / "deploy" / "Containerfile"
LINES = [
    line.partition(" ")
    for line in re.sub(r"\\\n", " ", FILE.read_text("utf-8")).splitlines()
    if line and not line.startswith(("#", " "))
]
SENT = [line for line in (HOUSE / ".containerignore").read_text("utf-8").splitlines() if line.startswith("!")]
OF_THE_WHEEL = {"pyproject.toml", "README.md", "LICENSE", "bot", "moderation", "storage"}


def each(word: str) -> list[str]:
    return [rest for first, _, rest in LINES if first == word]


def sources() -> set[str]:
    """Return what is copied from the clone."""
    return {source for rest in each("COPY") if not rest.startswith("--from") for source in rest.split()[:-1]}


def test_what_is_copied_is_there_and_nothing_else_is_sent() -> None:
    assert sources() == OF_THE_WHEEL | {"requirements"}
    assert [source for source in sources() if not (HOUSE / source).exists()] == []
    assert {line.removeprefix("!") for line in SENT} == sources()
    for secret in (".env", "config.toml", "data"):
        assert not any(fnmatch(secret, line.removeprefix("!")) for line in SENT)


def test_versions_are_pinned_and_libraries_are_checked_against_their_hashes() -> None:
    base, extra = each("ARG")
    assert extra == "EXTRA="  # none
    assert re.fullmatch(r"BASE=docker\.io/library/python:3\.\d+-slim-[a-z]+", base)
    assert {rest.split(" AS ")[0] for rest in each("FROM")} == {"${BASE}"}
    installs = [rest for rest in each("RUN") if "pip install" in rest]
    commands = [command for rest in installs for command in rest.split("pip install")[1:]]
    assert len(commands) == 3
    assert all("--require-hashes -r" in command or "--no-deps ." in command for command in commands)


def test_it_runs_as_an_account_without_rights_and_keeps_all_it_has_in_one_volume() -> None:
    final = [first for first, _, _ in LINES]
    assert each("USER")[-1] == "10001"
    assert "useradd --uid 10001" in each("RUN")[-1]
    assert final.index("USER") > max(n for n, first in enumerate(final) if first == "RUN")
    assert each("VOLUME") == ['["/data"]']
    assert not re.search("ANSWERABLE_[A-Z]|token|password", " ".join(rest for _, _, rest in LINES), re.IGNORECASE)


def test_its_commands_are_commands_of_ours(answerable: Answerable) -> None:
    known = {command.name for command in COMMANDS}
    quoted = [re.findall(r'"([^"]+)"', rest) for rest in (*each("ENTRYPOINT"), *each("CMD"), *each("HEALTHCHECK"))]
    assert quoted == [
        ["answerable"],
        ["run", "--config", "/data/config.toml"],
        ["answerable", "status", "--alive", "--config", "/data/config.toml"],
    ]
    assert {"run", "status"} <= known
    for command, option in (("run", "--config"), ("status", "--alive"), ("status", "--config")):
        assert option in answerable(command, "--help").out
