"""The session of the bot, and the start of `run`, against a real homeserver."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli.session import open_session, store_session
from bot.matrix.client import Session
from moderation.values.errors import Refused
from tests.long.synapse.cli.deployment import (
    DEADLINE_S,
    PASSWORD,
    REPOSITORY,
    Deployment,
    devices_of,
    end_session,
    write_config,
)


class TestSession:
    async def test_a_password_is_used_once_and_the_session_kept(self, deployment: Deployment) -> None:
        write_config(deployment)
        (deployment.folder / ".env").write_text(f"ANSWERABLE_PASSWORD='{PASSWORD}'\n")
        first = await open_session(deployment.config)
        assert deployment.config.secrets.password is None
        assert await open_session(deployment.config) == first
        assert await devices_of(deployment) == [first.device]

    async def test_a_missing_login_is_explained(self, deployment: Deployment) -> None:
        write_config(deployment)
        with pytest.raises(Refused) as refused:
            await open_session(deployment.config)
        assert refused.value.key == "cli.session.none"

    async def test_an_ended_session_says_what_to_do(self, deployment: Deployment) -> None:
        deployment.init()
        await end_session(deployment)
        with pytest.raises(Refused) as refused:
            await open_session(deployment.config)
        assert refused.value.key == "cli.session.logged_out"

    async def test_with_a_password_it_begins_again_on_the_same_device(self, deployment: Deployment) -> None:
        deployment.init()
        device = deployment.config.secrets.device_id
        await end_session(deployment)
        with (deployment.folder / ".env").open("a") as env:
            env.write(f"ANSWERABLE_PASSWORD='{PASSWORD}'\n")
        assert (await open_session(deployment.config)).device == device

    def test_any_token_can_be_stored(self, tmp_path: Path) -> None:
        session = Session("http://127.0.0.1:1", "@a:b", "DE'V \\ICE #1", 'tok\'en $HOME "x"')  # type: ignore[arg-type]
        store_session(tmp_path / ".env", session)
        deployment = Deployment(tmp_path, session.url, session.user)
        write_config(deployment)
        secrets = deployment.config.secrets
        assert secrets.access_token is not None
        assert (secrets.access_token.get_secret_value(), secrets.device_id) == (session.token, session.device)


class TestRun:
    """The process around a `serve` that only waits to be stopped."""

    STUB = """
import sys, types
stub = types.ModuleType("bot.app")
async def serve(config, session, stop, *, manager, lead, page):
    print("serving", session.user, flush=True)
    await stop.wait()
    print("stopped", flush=True)
stub.serve = serve
sys.modules["bot.app"] = stub
from bot.cli.main import run
run(["run"])
"""

    def test_it_serves_with_the_stored_session_until_told_to_stop(self, deployment: Deployment) -> None:
        deployment.init()
        with self._running(deployment) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == f"serving {deployment.user}\n"
                process.send_signal(signal.SIGTERM)
                assert process.stdout.readline() == "stopped\n"
                assert process.wait(DEADLINE_S) == 0
            finally:
                process.kill()

    def test_with_an_ended_session_it_ends_and_says_what_to_do(self, deployment: Deployment) -> None:
        deployment.init()
        asyncio.run(end_session(deployment))
        with self._running(deployment) as process:
            _, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 1
        assert "answerable login" in err
        assert "Traceback" not in err

    def _running(self, deployment: Deployment) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", self.STUB],
            cwd=deployment.folder,
            env={**os.environ, "PYTHONPATH": REPOSITORY},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
