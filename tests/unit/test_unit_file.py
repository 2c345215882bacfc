"""The systemd units are accepted by systemd, keep us from what we do not need, and run commands of ours."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]  # it comes with Synapse

from bot.cli.main import COMMANDS
from bot.config.database import DATABASE_URL
from storage.database.place import is_address
from storage.database.postgresql import LEAST

HOUSE = Path(__file__).parents[2]
DEPLOY = HOUSE / "docs" / "deploy"
BOT, CONSOLE = DEPLOY / "answerable.service", DEPLOY / "answerable-console.service"
POLICY = DEPLOY / "answerable-policy.service"
STANDBY, COMPOSE, CONTAINER = DEPLOY / "standby.conf", DEPLOY / "compose.yaml", DEPLOY / "Containerfile"
SCALE_PAGE = HOUSE / "docs" / "scale.md"
POLICY_PAGE = HOUSE / "docs" / "policy-server.md"
OPERATING, CONSOLE_PAGE = HOUSE / "docs" / "operating.md", HOUSE / "docs" / "console.md"
MOST_EXPOSED = "20"  # of 100, as systemd counts: 11 with version 257
OLDEST = 250


def settings(unit: Path) -> dict[str, str]:
    lines = (line for line in unit.read_text("utf-8").splitlines() if "=" in line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_it_runs_the_bot_as_the_page_for_operators_says() -> None:
    program, command, option, file = settings(BOT)["ExecStart"].split()
    assert command in {each.name for each in COMMANDS}
    assert (option, file) == ("--config", "/var/lib/answerable/config.toml")
    assert settings(BOT)["User"] != "root"
    page = OPERATING.read_text("utf-8")
    for named in (program, "/var/lib/answerable", "/etc/answerable/identity.key"):
        assert named in page


def test_the_console_runs_beside_it_without_its_keys() -> None:
    words = settings(CONSOLE)["ExecStart"].split()
    assert words[1:] == ["console", "run", "--config", "/var/lib/answerable/config.toml"]
    assert settings(CONSOLE)["User"] == settings(BOT)["User"]
    for kept in (".env", "data/keys", "data/crypto"):
        assert f"-/var/lib/answerable/{kept}" in settings(CONSOLE)["InaccessiblePaths"].split()
    made = set(settings(CONSOLE)["ExecStartPre"].split())
    assert made >= {*settings(CONSOLE)["ReadWritePaths"].split()}  # a folder made later could not be written
    assert "SystemCallFilter=setpriority" in CONSOLE.read_text("utf-8").splitlines()  # long work gives way
    assert CONSOLE.name in CONSOLE_PAGE.read_text("utf-8")


def test_the_policy_server_runs_beside_it_without_its_keys_and_is_always_started_again() -> None:
    found = settings(POLICY)
    assert found["ExecStart"].split()[1:] == ["policy", "run", "--config", "/var/lib/answerable/config.toml"]
    assert found["User"] == settings(BOT)["User"]
    for kept in (".env", "data/keys", "data/crypto"):
        assert f"-/var/lib/answerable/{kept}" in found["InaccessiblePaths"].split()
    assert {*found["ExecStartPre"].split()} >= {*found["ReadWritePaths"].split()}
    assert (found["Restart"], found["StartLimitIntervalSec"], found["RestartPreventExitStatus"]) == (
        "on-failure",
        "0",
        "2",
    )
    assert POLICY.name in POLICY_PAGE.read_text("utf-8")


def test_the_drop_in_of_two_machines_runs_the_same_bot_as_a_standby() -> None:
    alone, standby = settings(BOT)["ExecStart"].split(), settings(STANDBY)["ExecStart"].split()
    assert standby == [*alone[:2], "--standby", *alone[2:]]
    lines = STANDBY.read_text("utf-8").splitlines()
    assert lines.index("RestartPreventExitStatus=") < lines.index("RestartPreventExitStatus=2")  # 75: it follows
    assert lines.index("ExecStart=") < next(n for n, line in enumerate(lines) if line.startswith("ExecStart=/"))
    for each in (STANDBY, COMPOSE):
        assert each.name in SCALE_PAGE.read_text("utf-8")


def test_the_containers_of_two_machines_run_standbys_of_one_database() -> None:
    services = compose()["services"]
    database, one, two = services["database"], services["one"], services["two"]
    for bot in (one, two):
        options = bot["command"][1:]
        assert bot["command"][0] in {each.name for each in COMMANDS}
        assert (options[0], options[1:]) == ("--standby", ["--config", "/data/config.toml"])
        assert bot["command"][-1] in CONTAINER.read_text("utf-8")
        assert set(bot["environment"]) == {DATABASE_URL}
        url = bot["environment"][DATABASE_URL].replace("${DATABASE_PASSWORD:?}", "pw")
        assert is_address(url)
        made = database["environment"]
        assert (urlsplit(url).username, urlsplit(url).hostname) == (made["POSTGRES_USER"], "database")
        assert urlsplit(url).path == f"/{made['POSTGRES_DB']}"
        assert bot["depends_on"] == {"database": {"condition": "service_healthy"}}
        assert bot["stop_grace_period"] == settings(BOT)["TimeoutStopSec"]
        assert "/tmp" in bot["tmpfs"]
    assert [one["hostname"], two["hostname"]] == ["one", "two"]
    assert [one["volumes"], two["volumes"]] == [["./one:/data"], ["./two:/data"]]
    assert "--encoding=UTF8" in database["environment"]["POSTGRES_INITDB_ARGS"].split()
    assert int(database["image"].rpartition(":")[2]) >= LEAST
    assert database["volumes"] == ["database:/var/lib/postgresql"]  # of version 18 on; before, it was .../data
    assert set(compose()["volumes"]) == {"database"}
    (uid,) = re.findall(r"--uid (\d+)", CONTAINER.read_text("utf-8"))
    assert f"chown -R {uid}:{uid} one two" in COMPOSE.read_text("utf-8")
    assert (HOUSE / "requirements" / "postgresql.txt").exists()
    assert "ARG EXTRA=" in CONTAINER.read_text("utf-8").splitlines()


def compose() -> Any:
    return yaml.safe_load(COMPOSE.read_text("utf-8"))


def test_a_wrong_configuration_is_not_tried_again_and_a_hang_is() -> None:
    found = settings(BOT)
    assert (found["Type"], found["Restart"], found["RestartPreventExitStatus"]) == ("notify", "on-failure", "2 75")
    assert found["WatchdogSec"]


def systemd() -> int:
    """Return the version of systemd here; 0: none."""
    if shutil.which("systemd-analyze") is None:
        return 0
    said = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True).stdout
    return int(said.split()[1]) if said.startswith("systemd ") else 0


@pytest.mark.skipif(systemd() < OLDEST, reason=f"there is no systemd-analyze {OLDEST} or newer here")
@pytest.mark.parametrize("unit", [BOT, CONSOLE, POLICY], ids=lambda unit: unit.stem)
def test_systemd_accepts_it_and_finds_it_hardened(tmp_path: Path, unit: Path) -> None:
    copy = _copied(unit, tmp_path / unit.name)
    for words in (("verify",), ("security", "--offline=true", f"--threshold={MOST_EXPOSED}")):
        done = subprocess.run(["systemd-analyze", *words, copy], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@pytest.mark.skipif(systemd() < OLDEST, reason=f"there is no systemd-analyze {OLDEST} or newer here")
def test_systemd_accepts_the_drop_in_of_two_machines_in_its_place(tmp_path: Path) -> None:
    copy = _copied(BOT, tmp_path / BOT.name)
    (tmp_path / f"{BOT.name}.d").mkdir()
    _copied(STANDBY, tmp_path / f"{BOT.name}.d" / STANDBY.name)
    done = subprocess.run(
        ["systemd-analyze", "verify", copy],
        capture_output=True,
        text=True,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": os.environ["PATH"]},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def _copied(unit: Path, to: Path) -> Path:
    """Copy a unit, with a program that is there."""
    to.write_text(unit.read_text("utf-8").replace(settings(unit)["ExecStart"].split()[0], "/bin/true"))
    return to
