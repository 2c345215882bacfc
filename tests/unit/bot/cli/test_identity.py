"""`answerable identity` while the bot does not run: the key, reading by people, and its records."""

import asyncio
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.app import records_only
from bot.config.config import load_config
from bot.config.identity_key import CREDENTIAL, CREDENTIALS, VARIABLE
from bot.effects.record_readers import Own, readers_of
from moderation.model.facts import CaseOpened, RoomEntered
from moderation.values.durations import DAY_MS
from moderation.values.ids import GroupCode, PersonId, RoomId, UserId
from storage.database.place import DatabasePlace
from storage.identity.store import IdentityStore, Kek, NewClaim
from storage.journal.reader import Log
from tests.unit.bot.cli.conftest import ANNA, BEN, GARDEN, HEAD, NOW, Answerable

NAME, ADDRESS = "Ben Musterfrau", "ben.musterfrau@example.net"
CLAIM = NewClaim(
    person=PersonId(BEN),
    method="email",
    issuer="",
    identifier=ADDRESS,
    fields={"email": ADDRESS, "name": NAME},
    created_ms=NOW,
    expires_ms=NOW + DAY_MS,
)
Finding = Callable[[], tuple[str, str]]


def configure(config_file: Path, key_file: Path | str | None) -> None:
    """Write the configuration with this key file."""
    config_file.write_text(HEAD + (f'[identity]\nkey_file = "{key_file}"\n' if key_file else ""))


@pytest.fixture
def key_file(config_file: Path, answerable: Answerable) -> Path:
    """Provide a key file next to the configuration, which names it."""
    path = config_file.parent / "keys" / "identity.key"
    assert answerable("identity", "new-key", str(path)).code == 0
    configure(config_file, path)
    return path


@pytest.fixture
def kek(key_file: Path) -> Kek:
    return Kek.parse(key_file.read_text())


@pytest.fixture
def data(config_file: Path, kek: Kek) -> Path:
    """Provide one group, a case about Ben, and what Ben proved."""

    async def write() -> None:
        async with records_only(load_config(config_file)) as operations:
            entered = RoomEntered(code=GroupCode("G-7F3K"), purpose="group", room_id=GARDEN)
            await operations._pipeline.commit((entered,))
            case = CaseOpened(
                room=RoomId(GARDEN), n=1, rule="calm", grade="minor", decide="manager", state="open", due=NOW + DAY_MS,
                subject=UserId(BEN),
            )  # fmt: skip
            await operations._pipeline.commit((case,))

    folder = config_file.parent / "data"
    folder.mkdir(mode=0o700)
    asyncio.run(write())
    add(folder, kek, CLAIM)
    return folder


def add(folder: Path, kek: Kek, claim: NewClaim) -> None:
    store = IdentityStore.open(DatabasePlace(folder), kek)
    store.add_claim(claim)
    store.close()


@pytest.fixture
def finding(answerable: Answerable) -> Finding:
    """Provide a function that returns the finding of `answerable check` about identities: state and key."""

    def look() -> tuple[str, str]:
        found = [each for each in answerable("check", "--json").json if each["check"] == "identity"]
        ((state, key),) = [(each["state"], each["key"]) for each in found]
        return state, key

    return look


class TestNewKey:
    def test_is_made_for_its_owner_alone_and_never_shown(self, answerable: Answerable, config_file: Path) -> None:
        path = config_file.parent / "sub" / "identity.key"
        made = answerable("identity", "new-key", str(path), "--json")
        kek = Kek.parse(path.read_text())
        assert made.json == {"file": str(path), "key": kek.id}
        assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
        told = answerable("identity", "new-key", str(config_file.parent / "two.key"))
        assert "Keep a copy" in told.out
        assert Kek.parse((config_file.parent / "two.key").read_text()).text not in told.out + told.err

    def test_replaces_nothing(self, answerable: Answerable, config_file: Path) -> None:
        path = config_file.parent / "identity.key"
        path.write_text("mine")
        refused = answerable("identity", "new-key", str(path))
        assert (refused.code, path.read_text()) == (1, "mine")
        assert "was not changed" in refused.err

    @pytest.mark.usefixtures("empty")
    def test_is_not_put_into_the_data_directory(self, answerable: Answerable, config_file: Path) -> None:
        (config_file.parent / "link").symlink_to(config_file.parent / "data")
        for folder in ("data", "data/keys", "link"):
            refused = answerable("identity", "new-key", str(config_file.parent / folder / "identity.key"))
            assert (refused.code, "is in the data directory" in refused.err) == (1, True)
        assert not (config_file.parent / "data" / "identity.key").exists()

    def test_needs_no_configuration_yet(self, answerable: Answerable, config_file: Path) -> None:
        config_file.unlink()
        assert answerable("identity", "new-key", str(config_file.parent / "identity.key")).code == 0


class TestShow:
    def test_shows_identity_data_and_records_the_reading_for_the_person(
        self, answerable: Answerable, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SUDO_USER", "olga")
        shown = answerable("identity", "show", BEN, "--case", "1", "--reason", "the court asked", "--json").json
        assert shown["claims"] == [
            {
                "method": "email",
                "issuer": None,
                "fields": {"email": ADDRESS, "name": NAME},
                "created": NOW,
                "expires": NOW + DAY_MS,
                "record": None,
            }
        ]
        (record,) = [record for record in Log(data / "records").read() if record.kind == "access"]
        assert (shown["record"], record.fields) == (record.index, {"what": "identity", "n": 1})
        assert [{k: v for k, v in part.items() if k not in "ps"} for part in record.parts] == [
            {"as": "subject", "mxid": BEN},
            {"reader": "olga", "reason": "the court asked"},
        ]
        (seen,) = json.loads(readers_of(data / "records", Own(frozenset({UserId(BEN)}))))
        assert {name: seen[name] for name in ("record", "what", "case", "by", "reason", "persons")} == {
            "record": record.index,
            "what": "identity",
            "case": 1,
            "by": "olga",
            "reason": "the court asked",
            "persons": [BEN],
        }
        assert json.loads(readers_of(data / "records", Own(frozenset({UserId(ANNA)})))) == []

    @pytest.mark.usefixtures("data")
    def test_is_a_table_for_people(self, answerable: Answerable) -> None:
        shown = answerable("identity", "show", BEN, "--case", "1", "--reason", "an audit")
        assert (shown.code, NAME in shown.out, ADDRESS in shown.out, "!mydata" in shown.out) == (0, True, True, True)

    def test_needs_a_reason_and_a_case_about_that_person(self, answerable: Answerable, data: Path) -> None:
        attempts = [
            (2, "show", BEN, "--case", "1"),
            (2, "show", BEN, "--reason", "an audit"),
            (2, "show", BEN, "--case", "1", "--reason", " "),
            (2, "show", "ben", "--case", "1", "--reason", "an audit"),
            (1, "show", BEN, "--case", "2", "--reason", "an audit"),
            (1, "show", ANNA, "--case", "1", "--reason", "an audit"),
        ]
        for code, *arguments in attempts:
            refused = answerable("identity", *map(str, arguments))
            assert (refused.code, NAME in refused.out + refused.err) == (code, False), arguments
        assert [record.kind for record in Log(data / "records").read() if record.kind == "access"] == []

    def test_without_the_key_shows_and_records_nothing(
        self, answerable: Answerable, config_file: Path, data: Path
    ) -> None:
        configure(config_file, None)
        refused = answerable("identity", "show", BEN, "--case", "1", "--reason", "an audit")
        assert (refused.code, "answerable identity status" in refused.err) == (1, True)
        assert [record.kind for record in Log(data / "records").read() if record.kind == "access"] == []


class TestStatus:
    def test_before_the_first_start(self, answerable: Answerable, config_file: Path) -> None:
        status = answerable("identity", "status", "--json").json
        assert (status["source"], status["lock"], status["persons"]) == ("none", "no_key", 0)
        assert [path.name for path in config_file.parent.iterdir()] == ["config.toml"]

    @pytest.mark.usefixtures("data")
    def test_shows_the_key_and_the_amount_of_data(self, answerable: Answerable, key_file: Path, kek: Kek) -> None:
        assert answerable("identity", "status", "--json").json == {
            "source": "file",
            "file": str(key_file),
            "wrong": None,
            "lock": "open",
            "key": kek.id,
            "used": [kek.id],
            "changing_to": "",
            "left": 0,
            "persons": 1,
            "claims": 1,
            "forgotten": 0,
        }
        shown = answerable("identity", "status").out
        assert kek.id in shown
        assert NAME not in shown

    @pytest.mark.usefixtures("data")
    def test_the_environment_comes_before_a_credential_before_the_file(
        self, answerable: Answerable, config_file: Path, kek: Kek, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        configure(config_file, "missing.key")
        assert answerable("identity", "status", "--json").json["wrong"] == "missing"
        (config_file.parent / CREDENTIAL).write_text(kek.text)
        (config_file.parent / CREDENTIAL).chmod(0o440)  # as systemd leaves it, with an access list
        monkeypatch.setenv(CREDENTIALS, str(config_file.parent))
        status = answerable("identity", "status", "--json").json
        assert (status["source"], status["lock"]) == ("credential", "open")
        monkeypatch.setenv(VARIABLE, Kek.new().text)
        status = answerable("identity", "status", "--json").json
        assert (status["source"], status["lock"]) == ("environment", "other_key")
        monkeypatch.setenv(VARIABLE, "no key")
        status = answerable("identity", "status", "--json").json
        assert (status["source"], status["wrong"], status["lock"]) == ("environment", "not_a_key", "no_key")


class TestRotate:
    def test_lets_the_new_key_open_everything_and_says_what_to_change(
        self, answerable: Answerable, config_file: Path, data: Path, kek: Kek
    ) -> None:
        path = config_file.parent / "two.key"
        answerable("identity", "new-key", str(path))
        new = Kek.parse(path.read_text())
        done = answerable("identity", "rotate", "--new-key-file", str(path))
        assert (done.code, f'key_file = "{path}"' in done.out) == (0, True)
        assert answerable("identity", "status", "--json").json["lock"] == "other_key"
        configure(config_file, path)
        assert answerable("identity", "show", BEN, "--case", "1", "--reason", "an audit", "--json").json["claims"] != []
        changes = [record.fields for record in Log(data / "records").read() if record.kind == "identity"]
        assert changes == [{"step": step, "key": new.id, "was": kek.id} for step in ("begun", "done")]

    @pytest.mark.usefixtures("kek")
    def test_refuses_what_cannot_be_the_new_key_and_records_nothing(
        self, answerable: Answerable, config_file: Path, data: Path, key_file: Path
    ) -> None:
        folder = config_file.parent
        (folder / "open.key").write_text(Kek.new().text)
        (folder / "open.key").chmod(0o644)
        (folder / "bad.key").write_text("secret words")
        (data / "inside.key").write_text(Kek.new().text)
        for path in (folder / "bad.key", data / "inside.key"):
            path.chmod(0o600)
        told = {
            folder / "none.key": "is missing",
            folder / "open.key": "other users can read it",
            folder / "bad.key": "does not contain a key",
            data / "inside.key": "is in the data directory",
            key_file: "is already in use",
        }
        for path, words in told.items():
            refused = answerable("identity", "rotate", "--new-key-file", str(path))
            assert (refused.code, words in refused.err, "secret words" in refused.err) == (1, True, False), refused.err
        assert [record for record in Log(data / "records").read() if record.kind == "identity"] == []

    def test_continues_after_an_interruption_and_says_so(
        self, answerable: Answerable, config_file: Path, data: Path, kek: Kek, finding: Finding
    ) -> None:
        path = config_file.parent / "two.key"
        answerable("identity", "new-key", str(path))
        store = IdentityStore.open(DatabasePlace(data), kek)
        with store._whole():
            store._keyring.note_change(Kek.parse(path.read_text()))
        store.close()
        status = answerable("identity", "status", "--json").json
        assert (status["lock"], status["changing_to"]) == ("unfinished", Kek.parse(path.read_text()).id)
        assert "is not finished" in answerable("identity", "status").out
        assert finding() == ("problem", "identity_unfinished")
        assert answerable("identity", "rotate", "--new-key-file", str(path)).code == 0
        configure(config_file, path)
        assert finding() == ("ok", "identity")


class TestReset:
    def test_starts_again_only_after_the_key_is_lost(self, answerable: Answerable, data: Path, key_file: Path) -> None:
        refused = answerable("identity", "reset", "--reason", "an audit", "--yes")
        assert (refused.code, "nothing is lost" in refused.err) == (1, True)
        key_file.unlink()
        answerable("identity", "new-key", str(key_file))
        assert answerable("identity", "reset", "--reason", "lost", "--yes", "--json").json == {"claims": 1}
        status = answerable("identity", "status", "--json").json
        assert (status["lock"], status["claims"]) == ("open", 0)
        (told,) = [record for record in Log(data / "records").read() if record.kind == "identity"]
        assert (told.fields["step"], told.fields["count"]) == ("forgotten", 1)


class TestCheck:
    def test_says_that_there_is_no_key(self, finding: Finding) -> None:
        assert finding() == ("note", "identity_none")

    @pytest.mark.usefixtures("data")
    def test_says_that_a_key_is_in_order(self, finding: Finding) -> None:
        assert finding() == ("ok", "identity")

    def test_says_what_is_wrong_with_a_key(
        self, finding: Finding, config_file: Path, data: Path, key_file: Path, kek: Kek
    ) -> None:
        key_file.chmod(0o640)
        assert finding() == ("problem", "identity_open")
        key_file.chmod(0o600)
        key_file.write_text("no key")
        assert finding() == ("problem", "identity_not_a_key")
        key_file.write_text(Kek.new().text)
        assert finding() == ("problem", "identity_other_key")
        key_file.unlink()
        assert finding() == ("problem", "identity_missing")
        (data / "identity.key").write_text(kek.text)
        configure(config_file, "data/identity.key")
        assert finding() == ("problem", "identity_inside")
        configure(config_file, None)
        assert finding() == ("warning", "identity_elsewhere")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
    @pytest.mark.usefixtures("data")
    def test_says_that_a_key_cannot_be_read(self, finding: Finding, key_file: Path) -> None:
        key_file.chmod(0)
        assert finding() == ("problem", "identity_unreadable")

    @pytest.mark.usefixtures("data")
    def test_says_that_older_backups_still_have_somebody(self, finding: Finding, answerable: Answerable) -> None:
        answerable("erase", BEN, "--reason", "an audit", "--yes")
        assert finding() == ("note", "identity_forgotten")

    def test_says_that_the_database_is_open_to_others(self, answerable: Answerable, data: Path) -> None:
        (data / "identity.sqlite3").chmod(0o644)
        keys = {each["key"]: each["state"] for each in answerable("check", "--json").json}
        assert keys["key_open"] == "problem"


class TestErase:
    def test_erases_identity_data_and_records_it_first(self, answerable: Answerable, data: Path, kek: Kek) -> None:
        would = answerable("erase", BEN, "--reason", "by letter", "--dry-run", "--json").json
        assert would["identity"] == {"claims": 1, "marks": False, "held": None}
        done = answerable("erase", BEN, "--reason", "by letter", "--yes", "--json").json
        assert done["identity"] == would["identity"]
        store = IdentityStore.open(DatabasePlace(data), kek)
        assert (store.claims_of(PersonId(BEN)), store.state().claims) == ((), 0)
        store.close()
        told = [r for r in Log(data / "records").read() if r.kind in ("identity", "erase")]
        assert [(r.kind, r.fields.get("step"), r.fields.get("count")) for r in told] == [
            ("identity", "forgotten", 1),
            ("erase", None, None),
        ]

    @pytest.mark.usefixtures("data")
    def test_is_told_to_people(self, answerable: Answerable) -> None:
        assert "is destroyed (claims: 1)" in answerable("erase", BEN, "--reason", "an audit", "--yes").out

    def test_leaves_what_a_hold_covers(self, answerable: Answerable, data: Path, kek: Kek) -> None:
        placed = answerable(
            "logs", "hold", "place", "--duty", "court order", "--person", BEN, "--until", "2036-01-01", "--json"
        )
        assert placed.code == 0, placed.err
        done = answerable("erase", BEN, "--reason", "an audit", "--yes", "--json").json
        assert (done["identity"]["claims"], done["identity"]["held"]["duty"]) == (0, "court order")
        store = IdentityStore.open(DatabasePlace(data), kek)
        assert [claim.fields["name"] for claim in store.claims_of(PersonId(BEN))] == [NAME]
        store.close()

    def test_works_without_the_key(self, answerable: Answerable, config_file: Path, data: Path, kek: Kek) -> None:
        configure(config_file, None)
        assert answerable("erase", BEN, "--reason", "an audit", "--yes", "--json").json["identity"]["claims"] == 1
        store = IdentityStore.open(DatabasePlace(data), kek)
        assert store.state().claims == 0
        store.close()
