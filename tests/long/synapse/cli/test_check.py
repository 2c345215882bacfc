"""`answerable check` against a real homeserver."""

import json
from pathlib import Path

from tests.long.synapse.cli.deployment import Deployment, devices_of, end_session
from tests.theatre.stage import Stage


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
        await end_session(deployment)
        result = deployment.answerable("check", "--json")
        assert {"logged_out"} <= {finding["key"] for finding in json.loads(result.out)}
        assert result.code == 1

    async def test_it_logs_nobody_in(self, deployment: Deployment) -> None:
        deployment.init()
        before = await devices_of(deployment)
        deployment.answerable("check")
        assert await devices_of(deployment) == before
