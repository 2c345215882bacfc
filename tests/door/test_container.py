"""The container is built as its file says, and the bot in it runs: without rights, without a port, stopped cleanly.

Skipped where neither podman nor docker is installed, or the base image is not there: nothing is fetched for it but the
libraries, which the build checks against their hashes. In the environment, ANSWERABLE_CONTAINER_ENGINE names the engine
with its options, ANSWERABLE_CONTAINER_BASE another base image, ANSWERABLE_CONTAINER_BUILD options of the build.
"""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.cli.session import store_session
from tests.theatre.scene import Theatre
from tests.theatre.served import HEAD, RULES, until

HOUSE = Path(__file__).parents[2]
FILE = HOUSE / "docs" / "deploy" / "Containerfile"
IMAGE = "localhost/answerable-tested"
RIGHTS = ("--network=host", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")


def engine() -> list[str]:
    """Return the engine with its options. Skips if there is none that works."""
    chosen = shlex.split(os.environ.get("ANSWERABLE_CONTAINER_ENGINE", ""))
    found = chosen or [name for name in ("podman", "docker") if shutil.which(name)][:1]
    if not found or subprocess.run([*found, "info"], capture_output=True).returncode:
        pytest.skip("neither podman nor docker works here")
    return found


@pytest.fixture(scope="module")
def podman() -> Iterator[list[str]]:
    """Provide the engine, after it has built the image."""
    program = engine()
    written = re.search(r"^ARG BASE=(.*)$", FILE.read_text("utf-8"), re.MULTILINE)
    assert written is not None
    base = os.environ.get("ANSWERABLE_CONTAINER_BASE", written[1])
    if subprocess.run([*program, "image", "inspect", base], capture_output=True).returncode:
        pytest.skip(f"the base image {base} is not here")
    more = shlex.split(os.environ.get("ANSWERABLE_CONTAINER_BUILD", ""))
    if "podman" in program[0]:
        more += ["--format", "docker"]
    subprocess.run(
        [*program, "build", "--build-arg", f"BASE={base}", *more, "--file", FILE, "--tag", IMAGE, HOUSE], check=True
    )
    yield program
    subprocess.run([*program, "image", "rm", "--force", IMAGE], capture_output=True)


async def ran(*words: str) -> tuple[int, str]:
    """Run a program. Returns its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@asynccontextmanager
async def running(podman: list[str], data: Path) -> AsyncIterator[str]:
    """Run the bot in a container with this folder."""
    code, name = await ran(*podman, "run", "--detach", *_with(podman, data), *RIGHTS, IMAGE)
    assert code == 0
    try:
        yield name.strip()
    finally:
        print((await ran(*podman, "logs", name.strip()))[1])
        await ran(*podman, "rm", "--force", name.strip())


async def test_the_bot_serves_a_room_from_a_container_without_rights(
    podman: list[str], theatre: Theatre, tmp_path: Path
) -> None:
    data = tmp_path / "deployment"
    served = await theatre.bot(start=False)
    await asyncio.to_thread(_deployment, data, HEAD.format(url=theatre.url, user=served.user, bot="") + RULES)
    store_session(data / ".env", served.session)
    await asyncio.to_thread(_give_away, data)

    assert await ran(*podman, "run", "--rm", *RIGHTS, "--entrypoint", "id", IMAGE, "-u") == (0, "10001\n")
    (owner,) = await theatre.people("owner")
    async with running(podman, data) as name:

        async def status() -> tuple[int, str]:
            return await ran(*podman, "exec", name, "answerable", "status", "--alive", "--json")

        async def serves() -> bool:
            code, out = await status()
            return code == 0 and json.loads(out)["rooms"] == {"protected": 1}

        room = await theatre.stage.room(owner)
        await owner.set_power(room, {served.user: 100})
        await owner.invite(room, served.user)
        await until(serves, "the room to be served")
        _, health = await ran(*podman, "inspect", "--format", "{{json .Config.Healthcheck}}", name)
        assert json.loads(health)["Test"][:3] == ["CMD", "answerable", "status"]
        assert (await ran(*podman, "stop", "--time", "60", name))[0] == 0
        assert await ran(*podman, "inspect", "--format", "{{.State.ExitCode}}", name) == (0, "0\n")
    assert (await ran(*podman, "run", "--rm", *_with(podman, data), *RIGHTS, IMAGE, "logs", "verify"))[0] == 0


def _deployment(data: Path, config: str) -> None:
    data.mkdir()
    (data / "config.toml").write_text(config)


def _with(podman: list[str], data: Path) -> tuple[str, ...]:
    """Return the options that let the container write into the folder; where we are not root, as we ourselves."""
    ours = () if os.geteuid() == 0 or "podman" not in podman[0] else ("--userns=keep-id:uid=10001,gid=10001",)
    return (*ours, "--volume", f"{data}:/data")


def _give_away(data: Path) -> None:
    """Give the folder to the account in the container, if we may."""
    for path in (data, *data.rglob("*")) if os.geteuid() == 0 else ():
        os.chown(path, 10001, 10001)
