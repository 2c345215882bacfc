"""`answerable init`, `check` and the start of `run`, against a real homeserver."""

import asyncio
import io
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.cli.main import run
from bot.cli.session import open_session, store_session
from bot.config.config import Config, load_config
from bot.demo.synapse import Synapse
from bot.matrix.client import Session
from moderation.values.errors import Refused
from tests.people.client import Client
from tests.theatre.stage import Accounts, Stage, unique
from tests.theatre.terminal import Talk, at_a_terminal

PASSWORD = "a password"
REPOSITORY = str(Path(__file__).parents[2])
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


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("ANSWERABLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANSWERABLE_LANG", "en")
    monkeypatch.setenv("COLUMNS", "200")
    umask = os.umask(0o022)  # of this process, which the commands change
    yield
    os.umask(umask)


@pytest.fixture
async def deployment(synapse: Synapse, tmp_path: Path) -> Deployment:
    return await _deployment(synapse, tmp_path)


async def _deployment(server: Accounts, folder: Path) -> Deployment:
    account = await server.register(unique("bot"), PASSWORD)
    return Deployment(folder, server.url, account.user)


async def _devices(deployment: Deployment) -> list[str]:
    """Return the devices of the bot's account, except the test's own device, which lists them."""
    client = await Client.log_in(deployment.url, deployment.user, PASSWORD)
    try:
        mine = (await client.request("GET", "account", "whoami"))["device_id"]
        devices = (await client.request("GET", "devices"))["devices"]
        return [d["device_id"] for d in devices if d["device_id"] != mine and d.get("display_name") == "Answerable"]
    finally:
        await client.close()


class TestInit:
    async def test_it_makes_a_configuration_that_works(self, deployment: Deployment) -> None:
        result = deployment.init()
        assert result.code == 0, result.err
        config = deployment.config
        assert (config.user, config.homeserver.url) == (deployment.user, deployment.url)
        assert config.bot.operators == config.bot.allow_invites == (OPERATOR,)
        session = await open_session(config)
        assert session.device == config.secrets.device_id
        assert deployment.answerable("check").code == 0

    async def test_the_password_is_nowhere_afterwards(self, deployment: Deployment) -> None:
        result = deployment.init()
        assert PASSWORD not in result.out + result.err + _written(deployment)
        token = deployment.config.secrets.access_token
        assert token is not None
        assert token.get_secret_value() not in result.out + result.err

    async def test_there_is_no_option_that_takes_a_secret(self, deployment: Deployment) -> None:
        assert deployment.answerable("init", "--password", PASSWORD).code == 2
        assert deployment.answerable("init", "--token", "syt_x").code == 2

    async def test_written_files_are_closed_to_others(self, deployment: Deployment) -> None:
        deployment.init()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in deployment.folder.iterdir()}
        assert modes == {".env": 0o600, "config.toml": 0o600, "data": 0o700}
        inside = [path for path in (deployment.folder / "data").rglob("*") if path.is_file()]
        assert {path.name for path in inside} >= {"crypto.key", "crypto.sqlite3"}
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in inside} == {0}

    async def test_a_key_for_identity_data_is_made_where_it_was_asked_for(self, deployment: Deployment) -> None:
        path = deployment.folder / "keys" / "identity.key"
        result = deployment.init("--identity-key", str(path))
        assert result.code == 0, result.err
        made = path.read_text()
        assert made.strip() not in result.out + result.err
        assert deployment.config.identity_key_file == path
        found = {each["key"] for each in json.loads(deployment.answerable("check", "--json").out)}
        assert "identity" in found
        assert deployment.init("--identity-key", str(path), "--force").code == 0
        assert path.read_text() == made

    async def test_a_key_is_not_made_inside_the_data_directory(self, deployment: Deployment) -> None:
        refused = deployment.init("--identity-key", str(deployment.folder / "data" / "identity.key"))
        assert (refused.code, "is in the data directory" in refused.err) == (1, True)
        assert list(deployment.folder.iterdir()) == []

    async def test_a_configuration_is_not_replaced_unasked(self, deployment: Deployment) -> None:
        deployment.file.write_text("mine")
        result = deployment.init()
        assert result.code == 1
        assert "--force" in result.err
        assert "by this program" in deployment.init("--force").err  # it is no TOML: nothing of it would be kept
        assert [(path.name, path.read_text()) for path in deployment.folder.iterdir()] == [("config.toml", "mine")]

    async def test_other_lines_of_env_stay(self, deployment: Deployment) -> None:
        (deployment.folder / ".env").write_text("OTHER=1\nANSWERABLE_PASSWORD=old\n")
        deployment.init()
        lines = (deployment.folder / ".env").read_text().splitlines()
        assert [line.partition("=")[0] for line in lines] == [
            "OTHER",
            "ANSWERABLE_ACCESS_TOKEN",
            "ANSWERABLE_DEVICE_ID",
        ]

    async def test_a_wrong_password_writes_nothing(self, deployment: Deployment) -> None:
        result = deployment.init(stdin="wrong\n")
        assert result.code == 1
        assert "does not accept" in result.err
        assert "wrong" not in result.err
        assert list(deployment.folder.iterdir()) == []

    async def test_an_address_where_no_homeserver_is_writes_nothing(self, deployment: Deployment) -> None:
        result = deployment.init("--homeserver", "http://127.0.0.1:1")
        assert result.code == 1
        assert "No Matrix homeserver answers at http://127.0.0.1:1" in result.err
        assert list(deployment.folder.iterdir()) == []

    async def test_the_password_may_come_from_the_environment(self, deployment: Deployment) -> None:
        assert deployment.init("--password-env", "SECRET", environ={"SECRET": PASSWORD}).code == 0
        assert deployment.init("--password-env", "NOT_SET", "--force").code == 2

    async def test_a_token_may_come_instead_but_only_the_account_s_own(self, stage: Stage, tmp_path: Path) -> None:
        bot, other = await stage.bot(), await stage.bot()
        deployment = Deployment(tmp_path, bot.session.url, bot.user)
        refused = deployment.init("--token-stdin", stdin=f"{other.session.token}\n")
        assert refused.code == 1
        assert other.user in refused.err
        assert deployment.init("--token-stdin", stdin=f"{bot.session.token}\n").code == 0
        assert (await open_session(deployment.config)).device == bot.session.device

    async def test_init_without_a_terminal_names_the_missing_option(self, deployment: Deployment) -> None:
        result = deployment.answerable("init")
        assert result.code == 2
        assert "--user" in result.err

    def test_at_a_terminal_it_asks_again_after_each_mistake_and_echoes_no_secret(self, deployment: Deployment) -> None:
        key = deployment.folder / "keys" / "identity.key"
        code, screen = _at_a_terminal(
            deployment,
            "init",
            [
                ("Matrix account", "nonsense"),
                ("not a Matrix id", deployment.user),
                ("Its homeserver", "two words"),
                ("is not the address of a homeserver", "http://127.0.0.1:1"),
                ("nothing accepts a connection there", deployment.url),
                ("Language", "de"),
                ("Please answer en or zh", "zh"),
                ("Your own Matrix id", f"{OPERATOR} @b:localhost"),
                ("Who may invite", "!room:localhost"),
                ("Please enter Matrix ids or patterns", "*:localhost"),
                ("Numbers of the rules", "7"),
                ("Please choose from this list", "1 words"),
                ("Words or phrases", "purple elephant, volcano"),
                ("File for the key", "data/identity.key"),
                ("inside the data directory", str(key)),
                ("Name that people see", "Garden Guard"),
                ("Password", "wrong"),
                ("does not accept this password", ""),
                ("Password", PASSWORD),
                ("Access token of an admin", ""),
            ],
        )
        assert code == 0, screen
        assert PASSWORD not in screen
        config = deployment.config
        bot = config.bot
        assert (bot.language, bot.operators, bot.allow_invites) == ("zh", (OPERATOR, "@b:localhost"), ("*:localhost",))
        assert [(rule.name, rule.text) for rule in config.rules] == [
            ("flood", {"zh": "请不要用大量消息刷屏。"}),
            ("words", {"zh": "请不要使用本房间不允许的词语。"}),
        ]
        assert config.identity_key_file == key
        assert key.exists()

    async def test_a_mistyped_recovery_key_is_asked_for_again(self, deployment: Deployment) -> None:
        written = deployment.folder / "recovery-key"
        deployment.init("--recovery-key-out", str(written))
        other = Deployment(deployment.folder / "other", deployment.url, deployment.user)
        other.folder.mkdir()
        code, screen = _at_a_terminal(
            other,
            "init",
            [
                *_until_logged_in(other),
                ("Recovery key of the account", "EsTM hCvH 1f4A 5KeZ"),
                ("does not fit", written.read_text().strip()),
                ("Access token of an admin", ""),
            ],
        )
        assert code == 0, screen
        assert written.read_text().strip() not in screen
        found = {each["key"] for each in json.loads(other.answerable("check", "--json").out)}
        assert "keys_ready" in found

    async def test_name_and_picture_are_set_and_a_picture_that_is_there_stays(
        self, stage: Stage, tmp_path: Path
    ) -> None:
        bot = await stage.bot()
        deployment = Deployment(tmp_path, bot.session.url, bot.user)
        token = f"{bot.session.token}\n"
        deployment.init("--token-stdin", "--name", "Garden Guard", stdin=token)
        first = await bot.profile()
        assert first["displayname"] == "Garden Guard"
        assert (await bot.download(first["avatar_url"])).startswith(b"\x89PNG")
        deployment.init("--token-stdin", "--name", "Other", "--force", stdin=token)
        assert await bot.profile() == {**first, "displayname": "Other"}

    def test_rules_can_be_chosen_by_options_and_rules_that_are_there_stay(self, deployment: Deployment) -> None:
        deployment.init("--rule", "mentions", "--word", "purple elephant")
        assert [rule.name for rule in deployment.config.rules] == ["mentions", "words"]
        assert deployment.answerable("check").code == 0
        deployment.init("--rule", "flood", "--force")
        assert [rule.name for rule in deployment.config.rules] == ["mentions", "words"]

    async def test_init_again_keeps_the_device(self, deployment: Deployment) -> None:
        deployment.init()
        device = deployment.config.secrets.device_id
        there = deployment.file.read_text() + "\n[tiers]\na = 90\n"
        deployment.file.write_text(there)
        again = deployment.init("--force")
        assert await _devices(deployment) == [device]
        assert (deployment.file.read_text(), deployment.file.with_name("config.toml.bak").read_text()) == (there, there)
        assert "config.toml.bak" in again.out

    async def test_login_stores_a_new_session_of_the_same_device_and_changes_nothing_else(
        self, deployment: Deployment
    ) -> None:
        deployment.init()
        there, device = deployment.file.read_text(), deployment.config.secrets.device_id
        held = deployment.answerable("login", "--password-stdin", stdin=f"{PASSWORD}\n")
        assert (held.code, "nothing was changed" in held.out) == (0, True)
        await _end_session(deployment)
        again = deployment.answerable("login", "--password-stdin", "--json", stdin=f"{PASSWORD}\n")
        assert json.loads(again.out) == {"user": deployment.user, "device": device, "new": True}
        assert deployment.answerable("check", "--json").code in (0, 1)
        assert deployment.file.read_text() == there

    async def test_login_at_a_terminal_asks_again_after_a_wrong_password(self, deployment: Deployment) -> None:
        deployment.init()
        await _end_session(deployment)
        code, screen = _at_a_terminal(deployment, "login", [("Password", "wrong"), ("not accept", PASSWORD)])
        assert (code, PASSWORD in screen) == (0, False), screen
        assert deployment.answerable("login", "--json").code == 0  # the session holds

    async def test_an_answer_that_cannot_be_a_setting_is_refused_before_anything_happens(
        self, deployment: Deployment
    ) -> None:
        for option, value, why in (
            ("--language", "xx", "Please answer en or zh."),
            ("--user", "answerable", "This is not a Matrix id. It should look like @answerable:example.org."),
            ("--operator", "anna", "Please enter at least one Matrix id, such as @anna:example.org."),
        ):
            result = deployment.init(option, value)
            assert (result.code, result.err) == (2, f"{option} {value}: {why}\n")


class TestRateLimit:
    async def test_a_limit_is_found_and_the_remedy_told(self, synapse_limited: Synapse, tmp_path: Path) -> None:
        deployment = await _deployment(synapse_limited, tmp_path)
        result = deployment.init()
        assert result.code == 0
        assert f"/_synapse/admin/v1/users/{deployment.user}/override_ratelimit" in result.out
        found = {each["key"]: each for each in json.loads(deployment.answerable("check", "--json").out)}
        assert found["rate_limit_default"]["state"] == "warning"
        assert "answerable rate-limit --admin-token-stdin" in found["rate_limit_default"]["remedy"]

    async def test_an_admin_s_token_is_offered_until_it_works_and_kept_if_wanted(
        self, stage_limited: Stage, tmp_path: Path
    ) -> None:
        admin = await stage_limited.bot("admin", admin=True)
        deployment = await _deployment(stage_limited.server, tmp_path)
        code, screen = _at_a_terminal(
            deployment,
            "init",
            [
                *_until_logged_in(deployment),
                ("Access token of an admin", "no token"),
                ("Access token of an admin", admin.session.token),
                ("keep this token", "y"),
            ],
        )
        assert (code, admin.session.token in screen) == (0, False)
        assert deployment.config.secrets.admin_token is not None
        assert deployment.config.rules == ()
        found = {each["key"]: each for each in json.loads(deployment.answerable("check", "--json").out)}
        assert found["rate_limit"]["state"] == "ok"

    async def test_an_admin_s_token_lifts_it_and_is_not_kept(self, stage_limited: Stage, tmp_path: Path) -> None:
        admin = await stage_limited.bot("admin", admin=True)
        deployment = await _deployment(stage_limited.server, tmp_path)
        result = deployment.init("--admin-token-stdin", stdin=f"{PASSWORD}\n{admin.session.token}\n")
        assert "has been lifted" in result.out
        assert await admin.ratelimit_lifted(admin.session.token, deployment.config.user)
        assert admin.session.token not in _written(deployment) + result.out + result.err
        checked = deployment.answerable("check", "--json", "--admin-token-stdin", stdin=f"{admin.session.token}\n")
        assert "rate_limit" in {finding["key"] for finding in json.loads(checked.out)}

    async def test_the_command_finds_the_limit_and_lifts_it(self, stage_limited: Stage, tmp_path: Path) -> None:
        admin = await stage_limited.bot("admin", admin=True)
        deployment = await _deployment(stage_limited.server, tmp_path)
        deployment.init("--admin-token-stdin", stdin=f"{PASSWORD}\nno admin's token\n")  # so no trial uses up the limit
        found = deployment.answerable("rate-limit", "--json")
        assert (found.code, json.loads(found.out)) == (1, {"user": deployment.user, "limit": "limited"})
        lifted = deployment.answerable("rate-limit", "--admin-token-stdin", stdin=f"{admin.session.token}\n")
        assert (lifted.code, "has been lifted" in lifted.out) == (0, True)
        assert await admin.ratelimit_lifted(admin.session.token, deployment.config.user)

    async def test_an_unlimited_account_is_reported_and_the_trial_room_removed(self, deployment: Deployment) -> None:
        assert "does not limit how fast" in deployment.init().out
        checked = json.loads(deployment.answerable("check", "--json").out)
        assert "rooms_none" in {finding["key"] for finding in checked}


class TestCheck:
    async def test_every_finding_says_its_remedy(self, deployment: Deployment) -> None:
        deployment.init()
        (deployment.folder / ".env").chmod(0o644)
        data = deployment.folder / "data"
        data.chmod(0o755)
        result = deployment.answerable("check", "--json")
        found = {finding["key"]: finding for finding in json.loads(result.out)}
        assert result.code == 1
        assert [key for key, finding in found.items() if finding["state"] == "problem"] == ["env_open", "data_dir_open"]
        assert found["env_open"]["remedy"] == f"chmod 600 {deployment.folder / '.env'}"
        assert all(finding["remedy"] for finding in found.values() if finding["state"] != "ok")
        assert {"login", "clock", "reachable"} <= {key for key, finding in found.items() if finding["state"] == "ok"}

    async def test_missing_power_and_people_beyond_reach_are_told(self, stage: Stage, tmp_path: Path) -> None:
        bot, owner = await stage.bot(), await stage.person("owner")
        deployment = Deployment(tmp_path, bot.session.url, bot.user)
        deployment.init("--token-stdin", stdin=f"{bot.session.token}\n")
        room = await stage.room(owner, bot)
        result = deployment.answerable("check", "--json")
        found = {finding["key"]: finding for finding in json.loads(result.out)}
        assert result.code == 1
        assert room in found["power_missing"]["text"]
        assert bot.user in found["power_missing"]["remedy"]
        assert found["power_equal"]["state"] == "warning"
        assert owner.user in found["power_equal"]["text"]

    async def test_warnings_alone_do_not_fail(self, stage: Stage, tmp_path: Path) -> None:
        bot, owner = await stage.bot(), await stage.person("owner")
        deployment = Deployment(tmp_path, bot.session.url, bot.user)
        deployment.init("--token-stdin", stdin=f"{bot.session.token}\n")
        await stage.room(owner, bot, power={"users": {bot.user: 100}})
        result = deployment.answerable("check")
        assert result.code == 0, result.out
        assert "Warnings: 1" in result.out

    async def test_a_space_in_which_the_bot_is_not_is_told_with_what_to_do(self, stage: Stage, tmp_path: Path) -> None:
        bot, owner = await stage.bot(), await stage.person("owner")
        deployment = Deployment(tmp_path, bot.session.url, bot.user)
        deployment.init("--token-stdin", stdin=f"{bot.session.token}\n")
        room = await stage.room(owner, bot, power={"users": {bot.user: 100}})
        space = await owner.create_room("Club", creation_content={"type": "m.space"}, invite=[bot.user])
        named = [
            f'[[communities.named]]\nname = "{name}"\nspace = "{id}"\n' for name, id in (("club", space), ("no", room))
        ]
        deployment.file.write_text(deployment.file.read_text() + "".join(named))
        found = {f["key"]: f for f in json.loads(deployment.answerable("check", "--json").out)}
        assert found["space_not_joined"]["state"] == "warning"
        assert space in found["space_not_joined"]["text"]
        assert bot.user in found["space_not_joined"]["remedy"]
        assert found["space_is_room"]["state"] == "problem"
        await bot.join(space)
        found = {f["key"]: f for f in json.loads(deployment.answerable("check", "--json").out)}
        assert found["space_followed"]["state"] == "ok"
        assert "space_not_joined" not in found

    async def test_a_homeserver_that_is_down_is_a_problem_and_no_traceback(self, deployment: Deployment) -> None:
        deployment.file.write_text(f'[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "{deployment.user}"\n')
        result = deployment.answerable("check")
        assert result.code == 1
        assert "cannot be reached" in result.out
        assert "Traceback" not in result.err

    async def test_an_ended_session_is_told_with_its_remedy(self, deployment: Deployment) -> None:
        deployment.init()
        await _end_session(deployment)
        result = deployment.answerable("check", "--json")
        assert {"logged_out"} <= {finding["key"] for finding in json.loads(result.out)}
        assert result.code == 1

    async def test_it_logs_nobody_in(self, deployment: Deployment) -> None:
        deployment.init()
        before = await _devices(deployment)
        deployment.answerable("check")
        assert await _devices(deployment) == before


class TestSession:
    async def test_a_password_is_used_once_and_the_session_kept(self, deployment: Deployment) -> None:
        _write_config(deployment)
        (deployment.folder / ".env").write_text(f"ANSWERABLE_PASSWORD='{PASSWORD}'\n")
        first = await open_session(deployment.config)
        assert deployment.config.secrets.password is None
        assert await open_session(deployment.config) == first
        assert await _devices(deployment) == [first.device]

    async def test_a_missing_login_is_explained(self, deployment: Deployment) -> None:
        _write_config(deployment)
        with pytest.raises(Refused) as refused:
            await open_session(deployment.config)
        assert refused.value.key == "cli.session.none"

    async def test_an_ended_session_says_what_to_do(self, deployment: Deployment) -> None:
        deployment.init()
        await _end_session(deployment)
        with pytest.raises(Refused) as refused:
            await open_session(deployment.config)
        assert refused.value.key == "cli.session.logged_out"

    async def test_with_a_password_it_begins_again_on_the_same_device(self, deployment: Deployment) -> None:
        deployment.init()
        device = deployment.config.secrets.device_id
        await _end_session(deployment)
        with (deployment.folder / ".env").open("a") as env:
            env.write(f"ANSWERABLE_PASSWORD='{PASSWORD}'\n")
        assert (await open_session(deployment.config)).device == device

    def test_any_token_can_be_stored(self, tmp_path: Path) -> None:
        session = Session("http://127.0.0.1:1", "@a:b", "DE'V \\ICE #1", 'tok\'en $HOME "x"')  # type: ignore[arg-type]
        store_session(tmp_path / ".env", session)
        deployment = Deployment(tmp_path, session.url, session.user)
        _write_config(deployment)
        secrets = deployment.config.secrets
        assert secrets.access_token is not None
        assert (secrets.access_token.get_secret_value(), secrets.device_id) == (session.token, session.device)


class TestRun:
    """The process around a `serve` that only waits to be stopped."""

    STUB = """
import sys, types
stub = types.ModuleType("bot.app")
async def serve(config, session, stop, *, manager, lead):
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
        asyncio.run(_end_session(deployment))
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


def _written(deployment: Deployment) -> str:
    """Return the contents of all files of a deployment."""
    files = (path for path in deployment.folder.rglob("*") if path.is_file())
    return "".join(path.read_bytes().decode("utf-8", "replace") for path in files)


def _write_config(deployment: Deployment) -> None:
    deployment.file.write_text(f'[homeserver]\nurl = "{deployment.url}"\nuser = "{deployment.user}"\n')


async def _end_session(deployment: Deployment) -> None:
    token = deployment.config.secrets.access_token
    assert token is not None
    client = Client(deployment.url, deployment.user, token.get_secret_value())
    try:
        await client.request("POST", "logout", json={})
    finally:
        await client.close()


def _until_logged_in(deployment: Deployment) -> Talk:
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


def _at_a_terminal(deployment: Deployment, command: str, talk: Talk) -> tuple[int, str]:
    environ = {**os.environ, "PYTHONPATH": REPOSITORY}
    return at_a_terminal([sys.executable, "-m", "bot.cli.main", command], deployment.folder, environ, talk)
