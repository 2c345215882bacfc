"""The session and the keys of a bot whose database is PostgreSQL: the same on both machines, by the commands too."""

import json
import shutil
from pathlib import Path

import pytest

from bot.cli.run import make_data_dir
from bot.cli.session import open_session
from bot.config.config import Config
from bot.demo.synapse import Synapse
from bot.leading.lead import leads
from bot.matrix.client import Session
from moderation.values.errors import Refused
from tests.long.synapse.cli.deployment import PASSWORD, Deployment
from tests.theatre.stage import unique

KEYS = "data/keys"


class Machines:
    """Two machines with one database; the first has the password."""

    def __init__(self, synapse: Synapse, user: str, url: str, folder: Path) -> None:
        self.first, self.second = (Deployment(folder / name, synapse.url, user) for name in ("first", "second"))
        for each in (self.first, self.second):
            each.folder.mkdir()
            server = f'[homeserver]\nurl = "{synapse.url}"\nuser = "{user}"\n'
            each.file.write_text(f'{server}[database]\nurl = "{url}"\n', "utf-8")
        (self.first.folder / ".env").write_text(f"ANSWERABLE_PASSWORD='{PASSWORD}'\n")

    def copy_keys(self) -> None:
        """Copy the keys of the first machine to the second, as the operator does."""
        shutil.copytree(self.first.folder / KEYS, self.second.folder / KEYS, dirs_exist_ok=True)


async def session_of(config: Config) -> Session:
    """Return the session with which a leader on this machine begins."""
    make_data_dir(config.data_dir)
    with leads(config) as epoch:
        return await open_session(config, epoch)


@pytest.fixture
async def machines(synapse: Synapse, postgres_url: str, tmp_path: Path) -> Machines:
    """Provide two machines, of which only the first has led."""
    account = await synapse.register(unique("bot"), PASSWORD)
    made = Machines(synapse, account.user, postgres_url, tmp_path)
    await session_of(made.first.config)
    return made


async def test_the_second_machine_is_the_same_device_once_it_has_the_keys(machines: Machines) -> None:
    first = await session_of(machines.first.config)
    with pytest.raises(Refused) as refused:
        await session_of(machines.second.config)
    assert refused.value.key == "cli.run.other_log_key"
    machines.copy_keys()
    assert await session_of(machines.second.config) == first
    assert not (machines.second.folder / ".env").exists()


async def test_commands_on_keys_lead_while_no_bot_runs(machines: Machines) -> None:
    done = machines.first.answerable("keys", "set-up", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert done.code == 0, done.err
    machines.copy_keys()
    status = machines.second.answerable("keys", "status", "--json")
    assert status.code == 0, status.err
    assert json.loads(status.out)["state"] == "ready"
    assert not [*(machines.first.folder / "data").glob("crypto*")]


async def test_a_new_device_after_the_key_of_all_machines_was_lost(machines: Machines) -> None:
    assert machines.first.answerable("keys", "status").code == 0
    machines.copy_keys()
    before = await session_of(machines.second.config)
    for each in (machines.first, machines.second):
        (each.folder / KEYS / "crypto.key").unlink()
    done = machines.second.answerable("keys", "new-device", "--yes", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert done.code == 0, done.err
    after = await session_of(machines.second.config)
    assert (after.user, after.device == before.device) == (before.user, False)
    with pytest.raises(Refused) as refused:
        await session_of(machines.first.config)
    assert refused.value.key == "cli.run.keys_missing"
    shutil.copytree(machines.second.folder / KEYS, machines.first.folder / KEYS, dirs_exist_ok=True)
    assert await session_of(machines.first.config) == after


async def test_the_check_names_the_keys_that_a_machine_lacks(machines: Machines) -> None:
    assert machines.first.answerable("keys", "status").code == 0
    machines.copy_keys()
    (machines.second.folder / KEYS / "crypto.key").write_text("0" * 64)
    found = {each["key"]: each for each in json.loads(machines.second.answerable("check", "--json").out)}
    assert "crypto.key" in found["key_file_other"]["text"]
    (machines.second.folder / KEYS / "crypto.key").unlink()
    found = {each["key"]: each for each in json.loads(machines.second.answerable("check", "--json").out)}
    assert "crypto.key" in found["key_file_missing"]["text"]
    machines.copy_keys()
    found = {each["key"]: each for each in json.loads(machines.second.answerable("check", "--json").out)}
    assert {"key_files", "keys_elsewhere", "login"} <= found.keys()


async def test_another_account_in_the_configuration_has_a_session_of_its_own(
    machines: Machines, synapse: Synapse
) -> None:
    account = await synapse.register(unique("bot"), PASSWORD)
    config = machines.first.file.read_text("utf-8")
    machines.first.file.write_text(config.replace(machines.first.user, account.user), "utf-8")
    (machines.first.folder / ".env").write_text(f"ANSWERABLE_PASSWORD='{PASSWORD}'\n")
    session = await session_of(machines.first.config)
    assert session.user == account.user
    assert await session_of(machines.first.config) == session
