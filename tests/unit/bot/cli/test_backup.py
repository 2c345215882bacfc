"""`answerable backup` and `answerable restore`: when they refuse, what they print, and that nothing is half done."""

import asyncio
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.cli import restore
from bot.cli.access.lookup import now_ms
from bot.cli.main import run
from bot.policy_server.own_keys import load_keys
from moderation.values.ids import EventId, RoomId
from storage import queries
from storage.database.database import Database
from storage.database.place import FILE as STATE
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.record import Draft
from storage.journal.record_keys import PersonKeys
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.joint_checkpoint import JointCheckpoint, countersigned
from storage.journal.transparency.log_key import load
from storage.journal.transparency.signed_note import Signer
from storage.journal.verify.verify import verify
from storage.policy_server.spool import PolicySpool
from storage.policy_server.store import KeptAnswer, PolicyStore
from storage.policy_server.tables import FOLDER
from tests.unit.bot.cli.conftest import HEAD, NOW, Answerable


@pytest.fixture
def deployment(config_file: Path, data_dir: Path) -> Path:
    """Provide a data directory with a log in it."""
    keys = PersonKeys.open(DatabasePlace(data_dir))
    Journal.open(data_dir, "example.org/answerable", keys, NOW).close(NOW)
    keys.close()
    assert config_file.exists()
    return data_dir


def backed_up(answerable: Answerable, name: str = "backup.zip") -> Any:
    done = answerable("backup", name, "--json")
    assert (done.code, done.err) == (0, "")
    return done.json


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_backup_without_the_bot_is_restored_as_it_was(deployment: Path, answerable: Answerable) -> None:
    made = backed_up(answerable)
    assert (made["records"], made["problems"]) == (2, 0)
    before = names(deployment)
    shutil.rmtree(deployment)
    done = answerable("restore", "backup.zip", "--json").json
    assert (done["records"], done["record"], done["cases"], done["lacks"]) == (2, 2, 1100, ["session"])
    assert names(deployment) - {"special.json"} == before - {"special.json"}  # which can be made again
    report = verify(deployment / "records")
    assert (report.problems, report.records) == ((), 3)
    assert "3" in answerable("cases", "3", "--json").out


def test_the_policy_server_has_its_keys_and_answers_back_after_a_restore(
    deployment: Path, answerable: Answerable
) -> None:
    room = RoomId("!room:example.org")
    good = KeptAnswer(EventId("$good"), "hash", room, accepted=True, at_ms=NOW)
    bad = KeptAnswer(EventId("$bad"), "hash", room, accepted=False, at_ms=NOW, errcode="M_FORBIDDEN", text="No.")
    keys = load_keys(deployment / FOLDER)
    store = PolicyStore.open(deployment, NOW)
    try:  # it runs on while the backup is made
        asyncio.run(keep(store, good, bad))
        (note,) = PolicySpool(deployment).refusals_after(0)
        assert backed_up(answerable)["problems"] == 0
    finally:
        store.close()
    shutil.rmtree(deployment)
    assert answerable("restore", "backup.zip").code == 0
    assert stat.S_IMODE((deployment / FOLDER).stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (deployment / FOLDER).iterdir()} == {0o600}
    again = load_keys(deployment / FOLDER)
    assert (again.events.seed, again.server.seed) == (keys.events.seed, keys.server.seed)
    assert PolicySpool(deployment).refusals_after(0) == (note,)
    other = replace(good, event_id=EventId("$other"), accepted=False)
    store = PolicyStore.open(deployment, NOW + 1)
    try:
        assert asyncio.run(keep(store, replace(good, accepted=False), replace(bad, accepted=True), other)) == [
            good,
            bad,
            other,
        ]
    finally:
        store.close()
    assert PolicySpool(deployment).refusals_after(note.seq)[0].seq == note.seq + 1


async def keep(store: PolicyStore, *answers: KeptAnswer) -> list[KeptAnswer]:
    return [await store.keep(each, None if each.accepted else "a note") for each in answers]


def test_a_backup_says_what_is_in_it_and_what_to_keep_apart(deployment: Path, answerable: Answerable) -> None:
    assert deployment.is_dir()
    said = answerable("backup", ".").out
    assert "can read what members wrote, and sign in the log's name" in said
    assert "the recovery key for encrypted rooms" in said


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("config.toml", "already exists"),
        ("data/records", "would be lost together with it"),
        ("data/backup.zip", "would be lost together with it"),
        ("nowhere/backup.zip", "does not exist or is not writable"),
    ],
)
def test_a_backup_into_a_harmful_place_is_refused(deployment: Path, answerable: Answerable, to: str, said: str) -> None:
    before = names(deployment)
    done = answerable("backup", to)
    assert (done.code, said in done.err, names(deployment)) == (1, True, before)


def test_nothing_of_a_copy_is_left_behind(deployment: Path, answerable: Answerable) -> None:
    backed_up(answerable)
    assert ".backup" not in names(deployment)


def test_a_damaged_log_is_backed_up_and_reported(deployment: Path, answerable: Answerable) -> None:
    (deployment / "records" / "checkpoints" / "2026-01-01.ckpt").write_text("no checkpoint")
    done = answerable("backup", "backup.zip", "--json")
    assert (done.code, done.json["problems"]) == (1, 1)
    shutil.rmtree(deployment)
    refused = answerable("restore", "backup.zip")
    assert (refused.code, "the first is signature in checkpoints/2026-01-01.ckpt" in refused.err) == (1, True)
    assert answerable("restore", "backup.zip", "--damaged").code == 0


def test_restoring_overwrites_nothing(deployment: Path, answerable: Answerable) -> None:
    backed_up(answerable)
    before = (deployment / STATE).read_bytes()
    done = answerable("restore", "backup.zip")
    assert (done.code, "is not empty (it contains: " in done.err) == (1, True)
    assert (deployment / STATE).read_bytes() == before


def test_the_configuration_is_restored_only_if_missing(
    deployment: Path, answerable: Answerable, config_file: Path
) -> None:
    backed_up(answerable)
    shutil.rmtree(deployment)
    config_file.unlink()
    assert answerable("restore", "backup.zip").code == 0
    assert config_file.read_text() == HEAD


def test_a_backup_of_another_account_is_refused(deployment: Path, answerable: Answerable, config_file: Path) -> None:
    backed_up(answerable)
    shutil.rmtree(deployment)
    config_file.write_text(HEAD.replace("@answerable", "@other"))
    done = answerable("restore", "backup.zip")
    assert (done.code, "This is a backup of @answerable:example.org" in done.err) == (1, True)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_not_a_backup_is_refused_and_named(
    config_file: Path, answerable: Answerable, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "backup.zip").write_bytes(content)
    done = answerable("restore", "backup.zip")
    assert (done.code, "backup.zip cannot be restored" in done.err) == (1, True)
    assert answerable("restore", "missing.zip").code == 1
    assert config_file.exists()


def test_a_restore_cut_short_leaves_no_key_so_that_no_other_log_is_begun(
    deployment: Path, answerable: Answerable, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(answerable)
    shutil.rmtree(deployment)
    rename = Path.rename

    def cut_off(path: Path, target: Path) -> Path:
        if path.name == restore._LAST:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", cut_off)
        with pytest.raises(SystemExit):
            run(["restore", "backup.zip"])
    assert {"records", STATE} <= names(deployment)
    assert "keys" not in names(deployment)
    keys = PersonKeys.open(DatabasePlace(deployment))
    with pytest.raises(Exception, match="Put the key back from a backup"):
        Journal.open(deployment, "example.org/answerable", keys, NOW)
    keys.close()


def test_new_cases_are_numbered_beyond_the_lost_time(deployment: Path, answerable: Answerable) -> None:
    backed_up(answerable)
    shutil.rmtree(deployment)
    answerable("restore", "backup.zip")

    async def next_case() -> int:
        database = await Database.open(DatabasePlace(deployment), read_only=True)
        async with database.read() as db:
            found = await queries.next_case(db)
        await database.close()
        return found

    assert asyncio.run(next_case()) == 1100


def joint(deployment: Path, closing: Checkpoint) -> str:
    """Return the joint checkpoint of one shard of several, with this closing checkpoint."""
    return countersigned(JointCheckpoint.of("example.org", "2026-11-24", [closing], ["two"]), load(deployment))


def test_a_joint_checkpoint_of_other_shards_is_refused(deployment: Path, answerable: Answerable) -> None:
    backed_up(answerable)
    other = Signer.generate("example.org/two")
    covered = JointCheckpoint.of("example.org", "2026-11-24", [Checkpoint(other.name, 3, bytes(32))], ["answerable"])
    shutil.rmtree(deployment)
    Path("kept").write_text(countersigned(covered, other))
    done = answerable("restore", "backup.zip", "--against", "kept")
    assert (done.code, "a desk of another shard" in " ".join(done.err.split())) == (1, True), done


@pytest.mark.parametrize(
    ("against", "said"),
    [
        ("same", "covers 2 records, and all of them are here. Up to 256 more may have been recorded later"),
        ("joint", "covers 2 records, and all of them are here. Up to 256 more may have been recorded later"),
        ("newer", "Lost of these: 2. Up to 256 more may have been recorded later without a signature"),
        (None, "except for up to 256 that may not have been signed yet"),
    ],
)
def test_what_may_be_lost_includes_records_without_a_signature(
    deployment: Path, answerable: Answerable, against: str | None, said: str
) -> None:
    backed_up(answerable)
    if against == "newer":
        keys, later = PersonKeys.open(DatabasePlace(deployment)), now_ms()
        with Journal.open(deployment, "example.org/answerable", keys, later) as journal:
            journal.append([Draft("start", later, fields={"version": "1"})] * 2)
            journal.checkpoint(later)
            newest = (deployment / "records" / "checkpoint").read_text()
            journal.close(later)
        keys.close()
    else:
        newest = (deployment / "records" / "checkpoint").read_text()
    if against == "joint":
        newest = joint(deployment, Checkpoint.of_note(newest))
    shutil.rmtree(deployment)
    Path("kept").write_text(newest)
    done = answerable("restore", "backup.zip", *(("--against", "kept") if against else ()))
    assert (done.code, " ".join(done.out.split()).count(said)) == (0, 1), done
