"""The systemd unit is accepted by systemd, keeps the bot from what it does not need, and runs a command of ours."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bot.cli.main import COMMANDS

HOUSE = Path(__file__).parents[2]
UNIT = HOUSE / "docs" / "deploy" / "answerable.service"
OPERATING = HOUSE / "docs" / "operating.md"
MOST_EXPOSED = "20"  # of 100, as systemd counts: 11 with version 257
OLDEST = 250


def settings() -> dict[str, str]:
    lines = (line for line in UNIT.read_text("utf-8").splitlines() if "=" in line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_it_runs_the_bot_as_the_page_for_operators_says() -> None:
    program, command, option, file = settings()["ExecStart"].split()
    assert command in {each.name for each in COMMANDS}
    assert (option, file) == ("--config", "/var/lib/answerable/config.toml")
    assert settings()["User"] != "root"
    page = OPERATING.read_text("utf-8")
    for named in (program, "/var/lib/answerable", "/etc/answerable/identity.key"):
        assert named in page


def test_a_wrong_configuration_is_not_tried_again_and_a_hang_is() -> None:
    found = settings()
    assert (found["Type"], found["Restart"], found["RestartPreventExitStatus"]) == ("notify", "on-failure", "2")
    assert found["WatchdogSec"]


def systemd() -> int:
    """Return the version of systemd here; 0: none."""
    if shutil.which("systemd-analyze") is None:
        return 0
    said = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True).stdout
    return int(said.split()[1]) if said.startswith("systemd ") else 0


@pytest.mark.skipif(systemd() < OLDEST, reason=f"there is no systemd-analyze {OLDEST} or newer here")
def test_systemd_accepts_it_and_finds_it_hardened(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text("utf-8").replace(settings()["ExecStart"].split()[0], "/bin/true"))
    for words in (("verify",), ("security", "--offline=true", f"--threshold={MOST_EXPOSED}")):
        done = subprocess.run(["systemd-analyze", *words, copy], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
