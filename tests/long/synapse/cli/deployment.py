"""An account on a homeserver and a folder for the bot, in which its commands are given."""

import io
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.cli.main import run
from bot.config.config import Config, load_config
from tests.people.client import Client
from tests.theatre.stage import Accounts, unique
from tests.theatre.terminal import Talk, at_a_terminal

PASSWORD = "a password"
REPOSITORY = str(Path(__file__).parents[4])
OPERATOR = "@operator:localhost"
DEADLINE_S = 300.0


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Deployment:
    """An account on a homeserver and a folder for the bot; nothing is set up yet."""

    folder: Path
    url: str
    user: str

    @property
    def file(self) -> Path:
        return self.folder / "config.toml"

    @property
    def config(self) -> Config:
        return load_config(self.file, {})

    def answerable(self, *arguments: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> Result:
        """Run a command in a separate thread, since it starts an event loop and this thread runs one."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._answer, arguments, stdin, environ or {}).result(DEADLINE_S)

    def _answer(self, arguments: Sequence[str], stdin: str, environ: Mapping[str, str]) -> Result:
        config = ("--config", str(self.file)) if arguments else ()
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            for name, value in environ.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                run([*arguments, *config])
        assert isinstance(ended.value.code, int | None)
        return Result(ended.value.code or 0, out.getvalue(), err.getvalue())

    def init(self, *arguments: str, stdin: str = f"{PASSWORD}\n", environ: Mapping[str, str] | None = None) -> Result:
        where = ("--homeserver", self.url, "--user", self.user, "--operator", OPERATOR, "--yes")
        how = () if any(a in ("--password-env", "--token-stdin") for a in arguments) else ("--password-stdin",)
        return self.answerable("init", *where, *how, *arguments, stdin=stdin, environ=environ)


async def new_deployment(server: Accounts, folder: Path) -> Deployment:
    account = await server.register(unique("bot"), PASSWORD)
    return Deployment(folder, server.url, account.user)


async def devices_of(deployment: Deployment) -> list[str]:
    """Return the devices of the bot's account, except the test's own device, which lists them."""
    client = await Client.log_in(deployment.url, deployment.user, PASSWORD)
    try:
        mine = (await client.request("GET", "account", "whoami"))["device_id"]
        devices = (await client.request("GET", "devices"))["devices"]
        return [d["device_id"] for d in devices if d["device_id"] != mine and d.get("display_name") == "Answerable"]
    finally:
        await client.close()


def written(deployment: Deployment) -> str:
    """Return the contents of all files of a deployment."""
    files = (path for path in deployment.folder.rglob("*") if path.is_file())
    return "".join(path.read_bytes().decode("utf-8", "replace") for path in files)


def write_config(deployment: Deployment) -> None:
    deployment.file.write_text(f'[homeserver]\nurl = "{deployment.url}"\nuser = "{deployment.user}"\n')


async def end_session(deployment: Deployment) -> None:
    token = deployment.config.secrets.access_token
    assert token is not None
    client = Client(deployment.url, deployment.user, token.get_secret_value())
    try:
        await client.request("POST", "logout", json={})
    finally:
        await client.close()


def until_logged_in(deployment: Deployment) -> Talk:
    """Return the answers of somebody who takes what is offered, up to the password."""
    return [
        ("Matrix account", deployment.user),
        ("Its homeserver", deployment.url),
        ("Language", ""),
        ("Your own Matrix id", OPERATOR),
        ("Who may invite", ""),
        ("Numbers of the rules", "0"),
        ("File for the key", ""),
        ("Name that people see", ""),
        ("Password", PASSWORD),
    ]


def command_at_a_terminal(deployment: Deployment, command: str, talk: Talk) -> tuple[int, str]:
    environ = {**os.environ, "PYTHONPATH": REPOSITORY}
    return at_a_terminal([sys.executable, "-m", "bot.cli.main", command], deployment.folder, environ, talk)
