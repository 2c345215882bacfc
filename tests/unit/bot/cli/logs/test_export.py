"""`answerable logs export`: a file that passes its check and a note about it; without both there is nothing."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bot.cli.run import only_instance
from moderation.model.facts import CaseOpened, RoomEntered
from moderation.values.ids import GroupCode, PersonId, UserId
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.reader import Log
from storage.journal.record import Draft, Part, Record
from storage.journal.record_keys import PersonKeys
from storage.journal.verify.verify import verify
from storage.record_mapping import draft_of_fact
from tests.unit.bot.cli.conftest import Answerable, Result

NOON = 1_795_521_600_000
ANNA, BEN, CLEO = "@anna:example.org", "@ben:example.org", "@cleo:example.org"


@pytest.fixture
def log(config_file: Path) -> Path:
    data = config_file.parent / "data"
    keys = PersonKeys.open(DatabasePlace(data))
    with Journal.open(data, "example.org/log", keys, NOON) as journal:
        kitchen = GroupCode("G-2222")
        entered = RoomEntered(code=kitchen, purpose="group", room_id="!kitchen:example.org", subject=UserId(CLEO))
        journal.append([draft_of_fact(entered, NOON, kitchen, PersonId)])
        journal.append([_message(ANNA, "G-7F3K"), _message(BEN, "G-2222")])
        case = CaseOpened(
            on=3, n=1, rule="calm", grade="minor", decide="auto", state="decided", due=0, subject=UserId(BEN)
        )
        journal.append([draft_of_fact(case, NOON, kitchen, PersonId)])
        journal.close(NOON)
    keys.close()
    return data


def _message(user: str, group: str) -> Draft:
    return Draft("message", NOON, group, parts=(Part(PersonId(user), {"mxid": user, "body": f"from {user}"}),))


def notes(data: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in (data / "spool").glob("access-*.json")]


def records(out: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(out) as file:
        return [json.loads(line) for line in file.read("records.jsonl").splitlines()]


@pytest.fixture
def export(log: Path, answerable: Answerable, tmp_path: Path) -> Any:
    def call(*arguments: str, reason: str = "case 12") -> Result:
        return answerable("logs", "export", "--out", str(tmp_path / "x.zip"), "--reason", reason, *arguments)

    return call


def checked(out: Path, tmp_path: Path) -> str:
    """Run the checker in the zip on it; it must succeed. Returns its output."""
    with zipfile.ZipFile(out) as file:
        file.extractall(tmp_path / "unpacked")
    command = [sys.executable, "-I", "-S", str(tmp_path / "unpacked" / "verify.py")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def exported(log: Path) -> list[Record]:
    """Return the records of exports in the log."""
    return [record for record in Log(log / "records").read() if record.kind == "export"]


def test_is_made_recorded_and_checks(log: Path, export: Any, tmp_path: Path) -> None:
    result, out = export(), tmp_path / "x.zip"
    assert result.code == 0
    assert f"{out} contains 5 records; 0 of them" in result.out
    assert f"SHA-256: {hashlib.sha256(out.read_bytes()).hexdigest()}" in result.out
    (record,) = exported(log)
    assert f"Record {record.index} of the log lists the records and files in it" in result.out
    listed, said = record.parts
    assert (record.fields["count"], listed["records"], said["reason"]) == (5, "0-4", "case 12")
    assert json.loads(str(said["filters"])) == {"what": "export", "file": "x.zip", "records": 5, "persons": 0}
    with zipfile.ZipFile(out) as file:
        sums = [f"{hashlib.sha256(file.read(name)).hexdigest()}  {name}" for name in ("index.html", "export.json")]
        assert set(sums) <= set(str(said["contents"]).splitlines())
        assert json.loads(file.read("export-record.jsonl"))["i"] == record.index
    assert notes(log) == []
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert f"Record {record.index} of the log names these records and files" in checked(out, tmp_path)
    assert verify(log / "records").ok


def test_without_a_record_of_the_log_says_so_and_leaves_a_note(log: Path, export: Any, tmp_path: Path) -> None:
    result, out = export("--unsigned"), tmp_path / "x.zip"
    assert result.code == 0
    assert "nobody who gets it can tell whether something was left out" in result.out
    (note,) = notes(log)
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    asked = {"what": "export", "file": "x.zip", "records": 5, "sha256": digest}
    assert (note["reason"], note["filters"], exported(log)) == ("case 12", asked, [])
    assert "cannot be told whether records were left out" in checked(out, tmp_path)


def test_of_a_copy_is_made_only_if_it_may_lack_the_record(log: Path, export: Any, tmp_path: Path) -> None:
    shutil.copytree(log, tmp_path / "copy")
    refused = export("--data-dir", str(tmp_path / "copy"))
    assert (refused.code, "use --unsigned to export without" in refused.err) == (1, True)
    assert not (tmp_path / "x.zip").exists()
    assert export("--data-dir", str(tmp_path / "copy"), "--unsigned").code == 0


def test_of_this_log_under_another_name_is_recorded(log: Path, export: Any, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(log)
    assert export("--data-dir", str(tmp_path / "elsewhere")).code == 0
    assert len(exported(log)) == 1


def test_that_cannot_be_recorded_is_not_made_and_leaves_no_note(log: Path, export: Any, tmp_path: Path) -> None:
    """Something runs on the data that has no door."""
    with only_instance(log):
        result = export()
    assert (result.code, "With --unsigned you can export" in result.err) == (1, True)
    assert (notes(log), exported(log), (tmp_path / "x.zip").exists()) == ([], [], False)


def test_as_json(log: Path, export: Any, tmp_path: Path) -> None:
    said = export("--person", BEN, "--json").json
    (record,) = exported(log)
    assert said["size"] > record.index
    assert said == {
        "file": str(tmp_path / "x.zip"), "sha256": hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest(),
        "records": 3, "supporting": 1, "withheld": 0, "erased": 0, "size": said["size"],
        "media": 0, "record": record.index, "problems": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--room", "g-7f3k"], [0, 2]),
        (["--room", "G-7F3K", "--room", "G-2222"], [0, 1, 2, 3, 4]),
        (["--case", "1"], [0, 3, 4]),
        (["--person", ANNA], [0, 2]),
        (["--kind", "case"], [0, 4]),
        (["--until", "2026-11-25", "--since", "2026-11-24", "--kind", "message"], [0, 2, 3]),
    ],
)
def test_filters(export: Any, tmp_path: Path, arguments: list[str], found: list[int]) -> None:
    assert export(*arguments).code == 0
    assert [record["i"] for record in records(tmp_path / "x.zip")] == found


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--case", "99"], 1, "No record matches"),
        (["--case", "0"], 2, "--case"),
        (["--person", "anna"], 2, "@anna:example.org"),
        (["--room", "kitchen"], 2, "G-7F3K"),
        (["--kind", "mesage"], 2, "Did you mean message?"),
        (["--lang", "tlh"], 2, "en, zh"),
        (["--reason", " "], 2, "appeal in case 12"),
        (["--out", "/nowhere/x.zip"], 1, "could not be written"),
    ],
)
def test_of_an_impossible_request_is_refused_and_leaves_nothing(
    log: Path, export: Any, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = export(*arguments)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert sorted(tmp_path.rglob("*")) == before


def test_needs_a_reason_and_a_file(log: Path, answerable: Answerable) -> None:
    assert "--reason" in answerable("logs", "export", "--out", "x.zip").err
    assert "--out" in answerable("logs", "export", "--reason", "an audit").err


def test_never_takes_the_place_of_another_file(export: Any, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("precious")
    result = export()
    assert (result.code, "already exists" in result.err) == (1, True)
    assert (tmp_path / "x.zip").read_text() == "precious"


def test_does_not_appear_without_the_note(log: Path, export: Any, tmp_path: Path) -> None:
    (log / "spool").write_text("in the way")
    result = export()
    assert (result.code, "Nothing is shown" in result.err) == (1, True)
    assert not (tmp_path / "x.zip").exists()


def test_of_a_damaged_log_is_made_and_told(log: Path, export: Any, tmp_path: Path) -> None:
    (day,) = (log / "records" / "day").glob("*.jsonl")
    day.write_bytes(day.read_bytes().replace(b"from @ben", b"FROM @ben"))
    result = export()
    assert result.code == 1
    assert "fails its own check, because the log itself is damaged" in result.out
    assert (tmp_path / "x.zip").exists()


def test_chinese(export: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", "zh")
    assert "含 5 条记录" in export().out
    with zipfile.ZipFile(tmp_path / "x.zip") as file:
        assert '<html lang="zh">' in file.read("index.html").decode()


def test_a_bar_is_drawn_on_stderr_only_for_a_terminal(log: Path, tmp_path: Path) -> None:
    """This is with a terminal; the output on stdout is the same."""
    at_once = "import sys, bot.cli.terminal.progress as p, bot.cli.main as m; p.AFTER_S = 0; m.run(sys.argv[1:])"
    command = [sys.executable, "-c", at_once, "logs", "search", "from", "--reason", "an audit", "--json"]
    command += ["--data-dir", str(log)]
    root = str(Path(__file__).parents[5])
    leader, follower = os.openpty()
    ran = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=follower,
        check=False,
        env={**os.environ, "PYTHONPATH": root, "TERM": "xterm"},
    )
    os.close(follower)
    drawn = os.read(leader, 65_536)
    os.close(leader)
    assert ran.returncode == 0, drawn
    assert [json.loads(line)["i"] for line in ran.stdout.splitlines()] == [2, 3]
    assert b"\x1b[" in drawn
