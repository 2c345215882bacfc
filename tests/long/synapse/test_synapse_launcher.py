"""The launcher of the demo's homeserver: what it starts, what it leaves behind, how it reports failures."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bot.demo.synapse import Limits, Synapse, SynapseAccount, SynapseFailed
from bot.demo.synapse_config import write_config
from bot.matrix.client import Homeserver, Session
from moderation.values.ids import UserId
from tests.theatre.shared_synapse import STARTED_S
from tests.theatre.stage import Stage, unique

# Starts a Synapse, says its process id, and waits to be killed.
STARTER = """
import asyncio, sys
from pathlib import Path
from bot.demo.synapse import Synapse

async def main():
    synapse = await Synapse.start(Path(sys.argv[1]), within_s=500)
    print(synapse.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class TestARunningOne:
    async def test_registered_people_have_short_ids_and_working_tokens(self, synapse: Synapse) -> None:
        name = unique("ann")
        user, device, token = await synapse.register(name, "a password")
        assert user == f"@{name}:localhost"
        async with asyncio.timeout(120):
            homeserver = Homeserver(Session(synapse.url, user, device, token))
            assert (await homeserver.whoami())["device_id"] == device
            await homeserver.close()

    async def test_an_admin_is_one(self, stage: Stage) -> None:
        admin, other = await stage.person("admin", admin=True), await stage.person("other")
        answer = await admin.request("GET", "users", other.user, base="/_synapse/admin/v2")
        assert answer["admin"] is False

    async def test_a_name_that_is_taken_is_refused_in_words(self, synapse: Synapse) -> None:
        name = unique("ann")
        await synapse.register(name, "a password")
        with pytest.raises(SynapseFailed, match="User ID already taken"):
            await synapse.register(name, "a password")

    def test_a_token_is_not_shown(self) -> None:
        assert "secret" not in repr(SynapseAccount(UserId("@a:b"), "D", "secret"))

    async def test_a_restart_keeps_accounts_rooms_and_transactions(self, tmp_path: Path) -> None:
        async with await Synapse.start(tmp_path / "s", within_s=STARTED_S) as synapse, Stage(synapse) as stage:
            bot = await stage.bot()
            room = await bot.create_room({"name": "before"})
            sent = await bot.send(room, "m.room.message", {"msgtype": "m.text", "body": "once"}, "the same")
            before = synapse.pid

            await synapse.restart(within_s=STARTED_S)

            assert before is not None and not is_running(before)
            assert synapse.pid not in (None, before)
            again = await bot.send(room, "m.room.message", {"msgtype": "m.text", "body": "once"}, "the same")
            assert again == sent  # what makes a repeat after a crash harmless


class TestItsEnd:
    async def test_it_ends_when_the_process_that_started_it_is_killed(self, tmp_path: Path) -> None:
        starter = subprocess.Popen(  # noqa: ASYNC220 - it is to be killed, asyncio's would be looked after
            [sys.executable, "-c", STARTER, str(tmp_path / "s")], stdout=subprocess.PIPE
        )
        assert starter.stdout is not None
        pid = int(await asyncio.to_thread(starter.stdout.readline))
        assert is_running(pid)

        starter.send_signal(signal.SIGKILL)
        starter.wait()
        starter.stdout.close()

        async with asyncio.timeout(120):
            while is_running(pid):  # noqa: ASYNC110 - a stranger's end, of which nobody tells us
                await asyncio.sleep(0.02)


class TestAFailedStart:
    async def test_the_error_ends_with_the_last_lines_of_the_log(self, tmp_path: Path) -> None:
        (tmp_path / "homeserver.db").mkdir()  # where a file should be
        with pytest.raises(SynapseFailed, match=r"(?s)ended by itself .*unable to open database file"):
            await Synapse.start(tmp_path, within_s=STARTED_S)

    async def test_one_that_is_too_slow_is_ended(self, tmp_path: Path) -> None:
        with pytest.raises(SynapseFailed, match=r"did not answer within 0\.05 s"):
            await Synapse.start(tmp_path, within_s=0.05)


class TestItsConfiguration:
    def config(self, folder: Path, limits: Limits = "off") -> dict[str, object]:
        path = write_config(folder, port=8008, registration_secret="s", limits=limits, log_level="INFO")
        loaded: dict[str, object] = json.loads(path.read_bytes())
        return loaded

    def test_it_reaches_nobody_and_is_reached_from_this_machine_only(self, tmp_path: Path) -> None:
        config = self.config(tmp_path / "s")
        assert config["listeners"] == [
            {
                "type": "http",
                "port": 8008,
                "bind_addresses": ["127.0.0.1"],
                "tls": False,
                "x_forwarded": False,
                "resources": [{"names": ["client"], "compress": False}],
            }
        ]
        assert config["federation_domain_whitelist"] == config["trusted_key_servers"] == []
        assert config["report_stats"] is config["url_preview_enabled"] is False

    def test_its_folder_is_its_owners(self, tmp_path: Path) -> None:
        self.config(tmp_path / "s")
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700

    def test_secrets_are_never_the_same(self, tmp_path: Path) -> None:
        one, two = self.config(tmp_path / "1"), self.config(tmp_path / "2")
        for name in ("macaroon_secret_key", "form_secret"):
            assert one[name] != two[name]
        assert (tmp_path / "1/signing.key").read_bytes() != (tmp_path / "2/signing.key").read_bytes()

    def test_default_limits_are_synapses_own_where_people_act(self, tmp_path: Path) -> None:
        assert {name for name in self.config(tmp_path / "d", "default") if name.startswith("rc_")} == {
            "rc_registration",
            "rc_login",
            "rc_joins",
            "rc_joins_per_room",
        }


def test_synapse_is_never_imported() -> None:
    code = "import sys, bot.demo.synapse; sys.exit('synapse' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Killed with its parent it may stay a zombie where nothing in this container collects them.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
