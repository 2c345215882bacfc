"""Rate limits of the homeserver: what `init` and `check` find out, and how an admin ends it."""

import json
from pathlib import Path

from bot.demo.synapse import Synapse
from bot.matrix.synapse_admin import SynapseAdmin
from tests.long.synapse.cli.deployment import (
    PASSWORD,
    Deployment,
    command_at_a_terminal,
    new_deployment,
    until_logged_in,
    written,
)
from tests.theatre.stage import Stage


class TestRateLimit:
    async def test_a_limit_is_found_and_the_remedy_told(self, synapse_limited: Synapse, tmp_path: Path) -> None:
        deployment = await new_deployment(synapse_limited, tmp_path)
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
        deployment = await new_deployment(stage_limited.server, tmp_path)
        code, screen = command_at_a_terminal(
            deployment,
            "init",
            [
                *until_logged_in(deployment),
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
        deployment = await new_deployment(stage_limited.server, tmp_path)
        result = deployment.init("--admin-token-stdin", stdin=f"{PASSWORD}\n{admin.session.token}\n")
        assert "has been lifted" in result.out
        assert await SynapseAdmin(admin.wire, admin.session.token).is_unlimited(deployment.config.user)
        assert admin.session.token not in written(deployment) + result.out + result.err
        checked = deployment.answerable("check", "--json", "--admin-token-stdin", stdin=f"{admin.session.token}\n")
        assert "rate_limit" in {finding["key"] for finding in json.loads(checked.out)}

    async def test_the_command_finds_the_limit_and_lifts_it(self, stage_limited: Stage, tmp_path: Path) -> None:
        admin = await stage_limited.bot("admin", admin=True)
        deployment = await new_deployment(stage_limited.server, tmp_path)
        deployment.init("--admin-token-stdin", stdin=f"{PASSWORD}\nno admin's token\n")  # so no trial uses up the limit
        found = deployment.answerable("rate-limit", "--json")
        assert (found.code, json.loads(found.out)) == (1, {"user": deployment.user, "limit": "limited"})
        lifted = deployment.answerable("rate-limit", "--admin-token-stdin", stdin=f"{admin.session.token}\n")
        assert (lifted.code, "has been lifted" in lifted.out) == (0, True)
        assert await SynapseAdmin(admin.wire, admin.session.token).is_unlimited(deployment.config.user)

    async def test_an_unlimited_account_is_reported_and_the_trial_room_removed(self, deployment: Deployment) -> None:
        assert "does not limit how fast" in deployment.init().out
        checked = json.loads(deployment.answerable("check", "--json").out)
        assert "rooms_none" in {finding["key"] for finding in checked}
