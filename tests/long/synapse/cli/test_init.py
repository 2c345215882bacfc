"""`answerable init` against a real homeserver."""

import json
import stat
from pathlib import Path

from bot.cli.session import open_session
from tests.long.synapse.cli.deployment import (
    OPERATOR,
    PASSWORD,
    Deployment,
    command_at_a_terminal,
    devices_of,
    end_session,
    until_logged_in,
    written,
)
from tests.theatre.stage import Stage


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
        assert PASSWORD not in result.out + result.err + written(deployment)
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
        code, screen = command_at_a_terminal(
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
        code, screen = command_at_a_terminal(
            other,
            "init",
            [
                *until_logged_in(other),
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
        assert await devices_of(deployment) == [device]
        assert (deployment.file.read_text(), deployment.file.with_name("config.toml.bak").read_text()) == (there, there)
        assert "config.toml.bak" in again.out

    async def test_login_stores_a_new_session_of_the_same_device_and_changes_nothing_else(
        self, deployment: Deployment
    ) -> None:
        deployment.init()
        there, device = deployment.file.read_text(), deployment.config.secrets.device_id
        held = deployment.answerable("login", "--password-stdin", stdin=f"{PASSWORD}\n")
        assert (held.code, "nothing was changed" in held.out) == (0, True)
        await end_session(deployment)
        again = deployment.answerable("login", "--password-stdin", "--json", stdin=f"{PASSWORD}\n")
        assert json.loads(again.out) == {"user": deployment.user, "device": device, "new": True}
        assert deployment.answerable("check", "--json").code in (0, 1)
        assert deployment.file.read_text() == there

    async def test_login_at_a_terminal_asks_again_after_a_wrong_password(self, deployment: Deployment) -> None:
        deployment.init()
        await end_session(deployment)
        code, screen = command_at_a_terminal(deployment, "login", [("Password", "wrong"), ("not accept", PASSWORD)])
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
