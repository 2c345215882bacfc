"""The bot's keys as people see them: operators set them up and maintain them, people who run groups compare emoji.

People use a current client (`tests/clients/`); operators the real command line, in a process of its own.
"""

import asyncio
import json
import os
import re
import shutil
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.cli.access.admin_client import ask_bot
from bot.cli.run import only_instance
from bot.cli.session import store_session
from bot.config.config import load_config
from bot.demo.synapse import Synapse
from bot.encryption.emoji_dialogue import MEMBER_AN_HOUR
from bot.matrix.client import Session
from moderation.model.facts import CaseOpened
from moderation.values.errors import Refused
from tests.clients.encrypted_stage import EncryptedStage
from tests.clients.js_client import JsClient, Verification
from tests.clients.js_process import JsProcess
from tests.people.client import Seen
from tests.people.sealed_members import is_backed_up
from tests.theatre.forked_command import run_forked
from tests.theatre.scene import Scene, Theatre, ask, told
from tests.theatre.served import RULES, ServedBot, like, until
from tests.theatre.stage import unique

PASSWORD = "a password"
RECOVERY_KEY = re.compile(r"\b(?:[1-9A-HJ-NP-Za-km-z]{4} ){11}[1-9A-HJ-NP-Za-km-z]{4}\b")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def recovery_key(self) -> str:
        (found,) = RECOVERY_KEY.findall(self.out)
        return str(found)


@dataclass(frozen=True)
class Operator:
    """Somebody at the terminal of a deployment in `folder`."""

    folder: Path

    async def answerable(self, *arguments: str, stdin: str = "") -> Ran:
        whole = (*arguments, "--config", str(self.folder / "config.toml"))
        environ = {**os.environ, "ANSWERABLE_LANG": "en", "COLUMNS": "200"}
        return Ran(*await run_forked(*whole, environ=environ, stdin=stdin))

    async def status(self) -> dict[str, Any]:
        ran = await self.answerable("keys", "--json")
        assert ran.code == 0, ran.err
        found: dict[str, Any] = json.loads(ran.out)
        return found


@pytest.fixture
async def encrypted(encrypted_stage: EncryptedStage, tmp_path: Path) -> AsyncIterator[Theatre]:
    theatre = Theatre(encrypted_stage, tmp_path)
    yield theatre
    await theatre.close()


@pytest.fixture
async def account(synapse: Synapse) -> str:
    """Provide a new account for a bot, without any set-up."""
    return (await synapse.register(unique("bot"), PASSWORD)).user


def written(folder: Path) -> str:
    """Return the contents of all files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return b"".join(path.read_bytes() for path in files).decode("utf-8", "replace")


async def init(synapse: Synapse, user: str, folder: Path, *more: str, stdin: str = f"{PASSWORD}\n") -> Ran:
    where = ("--homeserver", synapse.url, "--user", user, "--operator", "@operator:localhost", "--yes")
    how = () if "--token-stdin" in more else ("--password-stdin",)
    return await Operator(folder).answerable("init", *where, *how, *more, stdin=stdin)


def operator_of(bot: ServedBot) -> Operator:
    """Return the operator's command line for a bot that a theatre runs."""
    folder = bot.data_dir.parent
    (folder / "config.toml").write_text(
        f'[homeserver]\nurl = "{bot.session.url}"\nuser = "{bot.user}"\n[bot]\ndata_dir = "data"\n'
    )
    store_session(folder / ".env", bot.session)
    return Operator(folder)


async def shown(who: JsClient, bot: ServedBot) -> Seen:
    """Wait for the emoji that the bot shows somebody alone."""
    return await told(who, bot, like("verifying.shown", who=who.user))


async def compare(who: JsClient, bot: ServedBot, *, room: str = "") -> Verification:
    """Let somebody ask the bot to compare emoji, and return those of their own client."""
    await who.wait_devices(bot.user, lambda found: any(d.signed for d in found), what="signed")
    verification = await who.request_verification(bot.user, room=room, device="" if room else bot.session.device)
    await verification.wait_phase("Ready")
    await verification.begin()
    return verification


def names(sas: Any) -> list[str]:
    return [symbol for symbol, _ in sas.emoji]


class TestInit:
    async def test_makes_keys_a_backup_and_a_recovery_key_that_is_shown_once(
        self, synapse: Synapse, account: str, tmp_path: Path
    ) -> None:
        ran = await init(synapse, account, tmp_path)
        assert ran.code == 0, ran.err
        key = ran.recovery_key
        status = await Operator(tmp_path).status()
        assert (status["state"], status["backup"], status["recovery"]) == ("ready", "ours", True)
        on_disk = written(tmp_path)
        assert (key in on_disk, PASSWORD in on_disk + ran.out + ran.err) == (False, False)
        again = await init(synapse, account, tmp_path, "--force")
        assert (again.code, RECOVERY_KEY.findall(again.out + again.err)) == (0, [])
        assert (await Operator(tmp_path).status())["master"] == status["master"]

    async def test_writes_the_recovery_key_to_a_new_file_of_its_owner_alone(
        self, synapse: Synapse, account: str, tmp_path: Path
    ) -> None:
        out = tmp_path / "recovery-key"
        ran = await init(synapse, account, tmp_path / "bot", "--recovery-key-out", str(out))
        assert (ran.code, RECOVERY_KEY.findall(ran.out + ran.err)) == (0, [])
        assert RECOVERY_KEY.fullmatch(out.read_text().strip())
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        refused = await init(synapse, account, tmp_path / "other", "--recovery-key-out", str(out))
        assert (refused.code, "already" in refused.err) == (1, True)

    async def test_takes_up_the_keys_of_an_account_that_has_some(
        self, synapse: Synapse, account: str, tmp_path: Path
    ) -> None:
        first = await init(synapse, account, tmp_path / "one")
        master = (await Operator(tmp_path / "one").status())["master"]
        left = await init(synapse, account, tmp_path / "two")
        assert (left.code, "keys recover" in left.err) == (0, True)
        assert (await Operator(tmp_path / "two").status())["state"] == "locked"
        stdin = f"{PASSWORD}\n{first.recovery_key}\n"
        taken = await init(synapse, account, tmp_path / "three", "--recovery-key-stdin", stdin=stdin)
        assert taken.code == 0, taken.err
        status = await Operator(tmp_path / "three").status()
        assert (status["state"], status["backup"], status["master"]) == ("ready", "ours", master)
        wrong = "EsTx " * 11 + "EsTx"
        refused = await init(
            synapse, account, tmp_path / "four", "--recovery-key-stdin", stdin=f"{PASSWORD}\n{wrong}\n"
        )
        assert (refused.code, wrong in refused.err) == (1, False)

    async def test_replaces_keys_only_when_asked_to(self, synapse: Synapse, account: str, tmp_path: Path) -> None:
        first = await init(synapse, account, tmp_path / "one")
        ran = await init(synapse, account, tmp_path / "two", "--reset-keys")
        assert ran.code == 0, ran.err
        assert ran.recovery_key != first.recovery_key
        assert (await Operator(tmp_path / "two").status())["state"] == "ready"
        assert (await Operator(tmp_path / "one").status())["state"] == "replaced"
        found = await Operator(tmp_path / "one").answerable("check", "--json")
        assert "keys_replaced" in {each["key"] for each in json.loads(found.out)}

    async def test_leaves_keys_alone_when_told_to(self, synapse: Synapse, account: str, tmp_path: Path) -> None:
        ran = await init(synapse, account, tmp_path, "--no-keys")
        assert (ran.code, RECOVERY_KEY.findall(ran.out)) == (0, [])
        assert [each.name for each in (tmp_path / "data").iterdir()] == ["rate-limit.json"]
        assert (await Operator(tmp_path).status())["state"] == "absent"

    async def test_needs_no_password_for_most_steps(self, synapse: Synapse, tmp_path: Path) -> None:
        account = await synapse.register(unique("bot"), PASSWORD)
        ran = await init(synapse, account.user, tmp_path, "--token-stdin", stdin=f"{account.token}\n")
        assert ran.code == 0, ran.err
        assert (await Operator(tmp_path).status())["device"] == account.device


class TestCommands:
    async def test_set_up_makes_what_the_first_start_could_not(self, encrypted: Theatre) -> None:
        bot = (await encrypted.scene(RULES)).bot
        operator = operator_of(bot)
        await bot.idle()
        with only_instance(bot.data_dir):  # so that the command line finds the bot running
            before = await operator.status()
            made = await operator.answerable("keys", "set-up")
            await bot.until(lambda: is_backed_up(bot.data_dir), "the backup, also of keys that came meanwhile")
            after = await operator.status()
            again = await operator.answerable("keys", "set-up")
            other = await operator.answerable("keys", "set-up", "--new-recovery-key")
        assert (before["state"], before["backup"], before["recovery"]) == ("ready", "none", False)
        assert (after["state"], after["backup"], after["recovery"]) == ("ready", "ours", True)
        assert after["keys"] == after["backed_up"] > 0
        assert (again.code, "--new-recovery-key" in again.err) == (1, True)
        assert len({made.recovery_key, other.recovery_key}) == 2
        said = json.dumps([str(entry) for entry in encrypted.logged])
        assert made.recovery_key not in said

    async def test_reset_wants_the_password_and_replaces_the_keys(self, encrypted: Theatre) -> None:
        bot = (await encrypted.scene(RULES)).bot
        operator = operator_of(bot)
        with only_instance(bot.data_dir):
            before = await operator.status()
            lacking = await operator.answerable("keys", "reset", "--yes")
            wrong = await operator.answerable("keys", "reset", "--yes", "--password-stdin", stdin="wrong\n")
            account = await operator.answerable("keys", "reset", "--yes", "--password-stdin", stdin=f"{PASSWORD}\n")
            after = await operator.status()
        assert (lacking.code, "password" in lacking.err) == (1, True)
        assert (wrong.code, "did not accept this password" in wrong.err) == (1, True)
        assert account.code == 0, account.err
        assert (before["master"] != after["master"], after["state"], after["backup"]) == (True, "ready", "ours")

    async def test_there_is_no_argument_that_takes_a_secret(self, tmp_path: Path) -> None:
        for command in (("recover", "EsTx"), ("reset", "--password", "x"), ("set-up", "--recovery-key", "x")):
            assert (await Operator(tmp_path).answerable("keys", *command)).code == 2

    async def test_comparing_takes_a_running_bot(self, synapse: Synapse, account: str, tmp_path: Path) -> None:
        await init(synapse, account, tmp_path)
        ran = await Operator(tmp_path).answerable("keys", "verifications")
        assert (ran.code, "answerable run" in ran.err) == (1, True)


class TestVerification:
    async def test_from_device_to_device_confirmed_by_the_person_in_their_direct_room(self, encrypted: Theatre) -> None:
        scene = await encrypted.scene(RULES)
        bot, (manager,) = scene.bot, scene.managers
        assert isinstance(manager, JsClient)
        verification = await compare(manager, bot)
        sas = await verification.sas()
        word = await shown(manager, bot)
        assert [symbol for symbol in names(sas) if symbol not in word.body] == []
        assert " ".join(map(str, sas.decimal)) in word.body
        desk = await scene.wait_desk(
            manager, lambda seen: like("verifying.shown").search(seen.body) is not None, "emoji"
        )
        assert [symbol for symbol in names(sas) if symbol not in desk.body] == []
        await asyncio.gather(verification.confirm(), manager.react(word.room, word.id, "✅"))
        assert (await manager.wait_trust(bot.user, lambda trust: trust.verified, what="verified")).verified
        devices = await manager.devices(bot.user)
        assert [(device.id, device.verified) for device in devices] == [(bot.session.device, True)]
        await told(manager, bot, like("verifying.done", who=manager.user))

    async def test_in_a_room_confirmed_by_the_operator_at_the_command_line(self, encrypted: Theatre) -> None:
        scene = await encrypted.scene(RULES)
        bot, owner = scene.bot, scene.owner
        assert isinstance(owner, JsClient)
        verification = await compare(owner, bot, room=scene.desk)
        sas = await verification.sas()
        await shown(owner, bot)
        operator = operator_of(bot)
        with only_instance(bot.data_dir):
            listed = await operator.answerable("keys", "verifications", "--json")
            (entry,) = json.loads(listed.out)
            shown_there = await operator.answerable("keys", "verifications")
            confirming = asyncio.create_task(verification.confirm())
            ran = await operator.answerable("keys", "confirm", entry["id"])
            await confirming
        assert (entry["user"], entry["stage"]) == (owner.user, "shown")
        assert [symbol for symbol, _ in entry["emoji"]] == names(sas)
        assert [symbol for symbol in names(sas) if symbol not in shown_there.out] == []
        assert (ran.code, owner.user in ran.out) == (0, True), ran.err
        assert (await owner.wait_trust(bot.user, lambda trust: trust.verified, what="verified")).verified

    async def test_confirmed_in_the_desk_by_the_person_and_by_nobody_else(self, encrypted: Theatre) -> None:
        scene = await encrypted.scene(RULES, managers=2)
        bot, (manager, other) = scene.bot, scene.managers
        assert isinstance(manager, JsClient)
        verification = await compare(manager, bot)
        await verification.sas()
        desk = await scene.wait_desk(
            manager, lambda seen: like("verifying.shown").search(seen.body) is not None, "emoji"
        )
        pressed = await other.react(scene.desk, desk.id, "✅")
        await bot.has(pressed)
        (entry,) = (await ask_bot(bot.data_dir, "keys-verifications", {}, None))["verifications"]
        assert entry["stage"] == "shown"
        await asyncio.gather(verification.confirm(), manager.react(scene.desk, desk.id, "✅"))
        assert (await manager.wait_trust(bot.user, lambda trust: trust.verified, what="verified")).verified

    async def test_a_difference_ends_it_and_is_told_to_the_operator(self, encrypted: Theatre) -> None:
        (operator,) = await encrypted.people("operator")
        scene = await encrypted.scene(RULES, bot=f'operators = ["{operator.user}"]')
        bot, (manager,) = scene.bot, scene.managers
        assert isinstance(manager, JsClient)
        verification = await compare(manager, bot)
        await verification.sas()
        word = await shown(manager, bot)
        await manager.react(word.room, word.id, "❌")
        await verification.wait_phase("Cancelled")
        assert verification.code == "m.mismatched_sas"
        await told(operator, bot, like("verifying.differed", who=manager.user))
        assert not (await manager.trust(bot.user)).verified
        second = await compare(manager, bot)
        await second.sas()
        await second.mismatch()
        await until(lambda: _none_left(bot), "the end of it")
        assert [e["event"] for e in encrypted.logged].count("verification_differed") == 2

    async def test_a_new_comparison_ends_the_first_for_both(self, encrypted: Theatre) -> None:
        scene = await encrypted.scene(RULES)
        bot, (manager,) = scene.bot, scene.managers
        assert isinstance(manager, JsClient)
        first = await compare(manager, bot)
        await first.sas()
        await shown(manager, bot)
        await first.cancel()
        second = await compare(manager, bot)
        sas = await second.sas()
        listed = await until(lambda: _shown(bot), "the second to be shown")
        assert [symbol for symbol, _ in listed["emoji"]] == names(sas)

    async def test_a_member_compares_alone_and_not_without_end(self, encrypted: Theatre) -> None:
        scene = await encrypted.scene(RULES)
        bot, (manager,), (member,) = scene.bot, scene.managers, scene.members
        assert isinstance(manager, JsClient) and isinstance(member, JsClient)
        verification = await compare(member, bot)
        sas = await verification.sas()
        word = await shown(member, bot)
        assert [symbol for symbol in names(sas) if symbol not in word.body] == []
        await asyncio.gather(verification.confirm(), member.react(word.room, word.id, "✅"))
        assert (await member.wait_trust(bot.user, lambda trust: trust.verified, what="verified")).verified
        for _ in range(MEMBER_AN_HOUR - 1):
            again = await compare(member, bot)
            await again.cancel()
            await until(lambda: _none_left(bot), "the end of it")
        asked = await member.request_verification(bot.user, device=bot.session.device)
        await until(lambda: _refused(encrypted, member.user, 1), "it to be left unanswered")
        await compare(manager, bot)  # those who run the room are answered
        assert asked.phase == "Requested"
        with pytest.raises(Refused):
            await ask_bot(bot.data_dir, "keys-confirm", {"id": "nobody"}, None)

    async def test_somebody_in_no_group_is_not_answered(self, encrypted: Theatre) -> None:
        scene = await encrypted.scene(RULES)
        bot, (member,) = scene.bot, scene.members
        assert isinstance(member, JsClient)
        await member.wait_devices(bot.user, lambda found: any(d.signed for d in found), what="signed")
        await member.leave(scene.room)
        await bot.until(
            lambda: bot.rows("SELECT 1 FROM members WHERE user = ? AND membership = 'leave'", member.user), "gone"
        )
        await member.request_verification(bot.user, device=bot.session.device)
        await until(lambda: _refused(encrypted, member.user, 1), "it to be left unanswered")

    async def test_a_request_in_a_group_is_recorded_and_judged_like_a_message(self, encrypted: Theatre) -> None:
        scene: Scene = await encrypted.scene(RULES.replace("purple elephant", "requesting to verify"))
        bot, (manager,), (member,) = scene.bot, scene.managers, scene.members
        assert isinstance(manager, JsClient) and isinstance(member, JsClient)
        verification = await compare(manager, bot, room=scene.room)
        await verification.cancel()
        await member.send_text(scene.room, "requesting to verify")
        await bot.until(lambda: len(bot.facts(CaseOpened)) == 2, "two cases")
        assert [fact.subject for fact in bot.facts(CaseOpened)] == [manager.user, member.user]
        requests = [r for r in bot.records() if r.parts and r.parts[0].get("mxid") == manager.user]
        assert any(r.kind == "message" for r in requests)


class TestLoss:
    async def test_a_lost_store_is_told_and_a_new_device_with_the_recovery_key_brings_back_what_it_can(
        self, encrypted: Theatre
    ) -> None:
        encrypted.expected |= {"keys_lost", "keys_not_ready"}
        scene = await encrypted.scene(RULES)
        bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
        operator = operator_of(bot)
        made = await ask_bot(bot.data_dir, "keys-set-up", {}, None)
        await bot.has(await ann.send_text(scene.room, "one"))
        await bot.until(lambda: is_backed_up(bot.data_dir), "the backup")
        await bot.stop()
        await asyncio.to_thread(shutil.rmtree, bot.data_dir / "crypto")
        bot.start()
        await bot.until(lambda: [e for e in encrypted.logged if e["event"] == "keys_lost"], "the word in the log")
        unread = await ann.send_text(scene.room, "two")
        await bot.has(unread)
        with only_instance(bot.data_dir):
            assert (await operator.status())["state"] == "lost"
            checked = await operator.answerable("check", "--json")
            running = await operator.answerable("keys", "new-device", "--yes", "--password-stdin", stdin="x\n")
        assert "keys_lost" in {each["key"] for each in json.loads(checked.out)}
        assert running.code == 1
        await bot.stop()
        stdin = f"{PASSWORD}\n{made['recovery_key']}\n"
        ran = await operator.answerable(
            "keys", "new-device", "--yes", "--password-stdin", "--recovery-key-stdin", stdin=stdin
        )
        assert ran.code == 0, ran.err
        bot.session = _stored_session(operator, bot)
        bot.start()
        await scene.wait_desk(
            manager, lambda seen: like("desk.keys.new-device").search(seen.body) is not None, "the word in the desk"
        )
        await bot.until(lambda: "two" in _bodies(bot), "the message of before")
        later = await ann.send_text(scene.room, "a purple elephant")
        await until(lambda: manager.is_redacted(scene.room, later), "the message to go")

    async def test_keys_replaced_by_somebody_else_are_told(self, encrypted: Theatre, synapse: Synapse) -> None:
        encrypted.expected |= {"keys_not_ready"}
        scene = await encrypted.scene(RULES)
        bot, (manager,) = scene.bot, scene.managers
        # The manager's client has the key of the desk from the bot's signed device: it takes none from another one.
        await ask(manager, bot, scene.desk, "!cases")
        thief = await JsClient.log_in(synapse.url, bot.user, PASSWORD)
        encrypted.stage._open.append(thief)
        await thief.start(await JsProcess.start(bot.data_dir.parent / "thief.log"), PASSWORD)
        seen = await scene.wait_desk(
            manager, lambda seen: like("desk.keys.state").search(seen.body) is not None, "the word in the desk"
        )
        assert "keys recover" in seen.body
        found = await ask_bot(bot.data_dir, "keys-status", {}, None)
        assert found["state"] == "replaced"


def _stored_session(operator: Operator, bot: ServedBot) -> Session:
    secrets = load_config(operator.folder / "config.toml", {}).secrets
    assert secrets.access_token is not None and secrets.device_id is not None
    assert secrets.device_id != bot.session.device
    return Session(bot.session.url, bot.session.user, secrets.device_id, secrets.access_token.get_secret_value())


def _bodies(bot: ServedBot) -> list[object]:
    return [record.parts[0].get("body") for record in bot.records() if record.parts]


async def _none_left(bot: ServedBot) -> bool:
    return not (await ask_bot(bot.data_dir, "keys-verifications", {}, None))["verifications"]


async def _shown(bot: ServedBot) -> dict[str, Any] | None:
    """Return the only verification in progress, once its emoji are known."""
    found: list[dict[str, Any]] = (await ask_bot(bot.data_dir, "keys-verifications", {}, None))["verifications"]
    return found[0] if len(found) == 1 and found[0]["stage"] == "shown" else None


async def _refused(theatre: Theatre, user: str, count: int) -> bool:
    said = [e for e in theatre.logged if e["event"] == "verification_not_answered" and e["by"] == user]
    return len(said) >= count
