"""The command `answerable logs`: its output, its readers, and its reports of problems."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.cli.main import run
from bot.texts.catalog import LANGUAGES, Catalog, fields_of

NOON, DAY_MS = 1_795_521_600_000, 86_400_000
SOURCES = Path(__file__).parents[4] / "storage" / "journal"


@pytest.fixture
def log(place: Any, tools: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ANSWERABLE_LANG", "en")
    with place.open() as journal:
        journal.append([tools.message("hello\x1b[31m"), tools.message("no", person="@ben:example.org"), tools.start()])
        journal.append([tools.message("tomorrow", NOON + DAY_MS)])
        journal.close(NOON)
    return place


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def logs(log: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            run(["logs", *arguments, "--data-dir", str(log.data_dir)])
        code = ended.value.code
        captured = capsys.readouterr()
        return Ran(code if isinstance(code, int) else 0, captured.out, captured.err)

    return call


def notes(log: Any) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in (log.data_dir / "spool").glob("access-*.json")]


def test_without_a_reason_only_skeletons_are_shown(log: Any, logs: Any) -> None:
    for arguments in (["show"], ["show", "--json"]):
        ran = logs(*arguments)
        assert ran.code == 0
        assert "message" in ran.out
        assert not re.search("hello|@anna|@ben|tomorrow", ran.out)
    assert "--reason" in logs("show").err
    assert notes(log) == []


def test_a_reason_shows_all_and_leaves_a_note(log: Any, logs: Any) -> None:
    ran = logs("show", "--reason", "case 12", "--room", "g-7f3k", "--last", "2", "--raw")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == [
        "2",
        "mxid=@ben:example.org",
        "4",
        "mxid=@anna:example.org",
    ]
    (note,) = notes(log)
    assert (note["reason"], note["filters"]) == ("case 12", {"room": "g-7f3k", "last": 2})
    assert note["by"]
    assert abs(note["at_ms"] / 1000 - Path(log.data_dir / "spool").stat().st_mtime) < 60
    (file,) = (log.data_dir / "spool").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_is_shown_if_the_note_cannot_be_kept(log: Any, logs: Any) -> None:
    (log.data_dir / "spool").write_text("in the way")
    ran = logs("show", "--reason", "case 12")
    assert (ran.code, ran.out) == (1, "")
    assert "Nothing is shown" in ran.err


def test_user_text_cannot_control_the_terminal(logs: Any) -> None:
    out = logs("show", "--reason", "case 12").out
    assert "hello[31m" in out
    assert "\x1b" not in out


def test_json_with_a_reason_is_the_lines_as_they_stand(log: Any, logs: Any) -> None:
    out = logs("show", "--json", "--reason", "case 12", "--last", "1").out
    assert out == log.day("2026-11-25").read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [0, 1, 2, 3, 4]),
        (["--last", "2"], [3, 4]),
        (["--last", "0"], [0, 1, 2, 3, 4]),
        (["--kind", "start", "--kind", "genesis"], [0, 3]),
        (["--person", "@ben:example.org", "--reason", "case 12"], [2]),
        (["--since", "2026-11-25"], [4]),
        (["--until", "2026-11-24T13:00"], [0, 1, 2, 3]),
        (["--until", "2026-11-24T13:00+02:00"], []),
        (["--since", "1s"], []),
    ],
)
def test_filters(logs: Any, arguments: list[str], expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.cli.logs.command.now_ms", lambda: NOON + 30 * DAY_MS)
    out = logs("show", "--json", *arguments).out
    assert [json.loads(line)["i"] for line in out.splitlines()] == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "--kind", "mesage"], "Did you mean message?"),
        (["show", "--kind", "zzzzzz"], "Choose from: access"),
        (["show", "--person", "anna"], "@anna:example.org"),
        (["show", "--room", "!nowhere:example.org"], "G-7F3K"),
        (["show", "--room", "kitchen"], "G-7F3K"),
        (["show", "--since", "yesterday"], "2026-11-24T09:30"),
        (["show", "--reason", " "], "appeal in case 12"),
        (["show", "--person", "@anna:example.org", "--kind", "message"], "so --reason is needed"),
        (["show", "--last", "-1"], "--last"),
        (["verify", "--against", "/nowhere/checkpoint"], "/nowhere/checkpoint"),
        (["show", "--data-dir", "/nowhere"], "no records"),
    ],
)
def test_a_wrong_use_is_told_with_the_right_one(logs: Any, arguments: list[str], said: str) -> None:
    ran = logs(*arguments) if "--data-dir" not in arguments else refused(arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def refused(arguments: list[str]) -> Ran:
    command = [sys.executable, "-m", "bot.cli.main", "logs", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def test_a_sound_log(log: Any, logs: Any) -> None:
    kept = log.folder / "checkpoints/2026-11-24.ckpt"
    ran = logs("verify", "--against", str(kept))
    assert ran.code == 0
    assert ran.out.startswith("Nothing is wrong: 5 records, root ")
    report = json.loads(logs("verify", "--json").out)
    assert (report["ok"], report["records"], report["signed"], report["unsigned"]) == (True, 5, 5, 0)
    assert report["root"] in ran.out


def test_records_not_signed_yet_are_mentioned(log: Any, logs: Any, tools: Any) -> None:
    with log.open(NOON + DAY_MS) as journal:
        journal.append([tools.start(NOON + DAY_MS)] * 3)
    ran = logs("verify")
    assert (ran.code, "The last 3 of them are not signed yet" in ran.out) == (0, True)


def test_the_first_line_that_is_wrong_is_named(log: Any, logs: Any) -> None:
    log.change("day/2026-11-25.jsonl", b"tomorrow", b"someday!")
    ran = logs("verify")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "Something is wrong (1):",
        "- day/2026-11-25.jsonl, line 1 (record 4): part 1 is not what was recorded; it was changed or removed.",
    ]
    (problem,) = json.loads(logs("verify", "--json").out)["problems"]
    assert problem == {"code": "part", "file": "day/2026-11-25.jsonl", "line": 1, "index": 4, "part": 1}


def test_chinese(log: Any, logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", "zh")
    assert logs("verify").out.startswith("一切正常：共 5 条记录")


def test_every_problem_has_a_text_that_its_fields_fill() -> None:
    source = "".join(path.read_text("utf-8") for path in SOURCES.rglob("*.py"))
    codes = set(re.findall(r'\.add\(\s*"(\w+)"', source))
    codes |= set(re.findall(r'\._add\(\s*"(\w+)"', source)) | set(re.findall(r'Fault\([^,]+, "(\w+)"', source))
    codes |= set(re.findall(r'\bProblem\("(\w+)"', source))
    codes |= {f"day_{code}" for code in re.findall(r'DamagedDay\("(\w+)"', source)}
    codes |= {f"line_{code}" for code in re.findall(r'BadLine\("(\w+)"', source)}
    catalog = Catalog.load()
    told = {key.rpartition(".")[2] for key in catalog.keys("en") if key.startswith("cli.logs.problem.")}
    assert codes == told
    for language in LANGUAGES:
        for key in (f"cli.logs.problem.{code}" for code in codes):
            assert fields_of(catalog.template(language, key)) == fields_of(catalog.template("en", key))
