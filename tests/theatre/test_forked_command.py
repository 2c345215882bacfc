"""A forked command does what the same command does that a person starts."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.demo.bot_process import Ran
from tests.theatre.forked_command import ForkedProgram, run_forked


def started(*arguments: str, environ: dict[str, str], folder: Path, stdin: str) -> Ran:
    command = [sys.executable, "-m", "bot.cli.main", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environ, input=stdin, capture_output=True, text=True, check=False, umask=0o022
    )
    return Ran(done.returncode, done.stdout, done.stderr)


WITHOUT_AN_OPERATOR = ("init", "--homeserver", "http://127.0.0.1:1", "--user", "@a:b", "--password-stdin")


@pytest.mark.parametrize(("arguments", "code"), [(("--help",), 0), (WITHOUT_AN_OPERATOR, 2)])
async def test_it_says_and_does_the_same(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    environ = {"PATH": os.environ.get("PATH", ""), "ANSWERABLE_LANG": "zh", "COLUMNS": "100"}
    apart, forked = tmp_path / "apart", tmp_path / "forked"
    for folder in (apart, forked):
        folder.mkdir()
    said = await asyncio.to_thread(started, *arguments, environ=environ, folder=apart, stdin="secret\n")
    assert await run_forked(*arguments, environ=environ, folder=forked, stdin="secret\n") == said
    assert said.code == code
    assert [each.name for each in forked.rglob("*")] == [each.name for each in apart.rglob("*")]


async def test_several_run_at_the_same_time_each_with_its_own_output() -> None:
    ran = [run_forked(name, "--help", environ={"ANSWERABLE_LANG": "en"}) for name in ("cases", "credit", "nothing")]
    cases, credit, nothing = await asyncio.gather(*ran)
    assert ("answerable cases" in cases.out, "answerable credit" in credit.out, nothing.code) == (True, True, 2)


@pytest.mark.parametrize("name", ["close", "terminate", "kill"])
async def test_a_program_runs_on_until_it_is_ended_or_its_starter_has_gone(tmp_path: Path, name: str) -> None:
    output, code = tmp_path / "output", -signal.SIGKILL if name == "kill" else -signal.SIGTERM
    program = ForkedProgram("tests.theatre.waiting", "5", folder=tmp_path, output=output, environ={})
    while output.read_text() != f"{program.pid} in {tmp_path} waits 5\n":
        assert program.poll() is None
        await asyncio.sleep(0.01)
    ends = {"close": program.stdin.close, "terminate": program.terminate, "kill": program.kill}
    ends[name]()
    assert (await asyncio.to_thread(program.wait), program.poll()) == (code, code)
