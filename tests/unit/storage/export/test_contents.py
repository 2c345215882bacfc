"""The log's own record of an export: later omissions, changes or additions are named; its absence is reported."""

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.values.errors import Broken, Refused
from storage.export import verify
from storage.export.contents import Contents
from storage.export.selection import Selection
from storage.journal.verify.verify import verify as verify_log
from tests.examples import tried

RECORD = "export-record.jsonl"
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def recording(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Provide a log to which its exports write."""
    return tools.build(tmp_path_factory.mktemp("recording") / "data")


def unpack(out: Path, folder: Path) -> Path:
    with zipfile.ZipFile(out) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def recorded(recording: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide an export that the log recorded, as a folder which no test changes."""
    out = recording.export(media=recording.media, record=recording.record)
    return unpack(out, tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    return shutil.copytree(recorded, tmp_path / "export")


def resum(folder: Path) -> None:
    """Make SHA256SUMS fit again."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = (
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files
    )
    (folder / "SHA256SUMS").write_text("".join(sums))


def in_text(name: str, old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), "utf-8", newline="")

    return change


def dropped(numbers: Collection[int]) -> Change:
    """Leave records out as somebody would who knows the format of an export."""

    def change(folder: Path) -> None:
        lines = (folder / "records.jsonl").read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["i"] not in numbers]
        (folder / "records.jsonl").write_bytes(b"".join(kept))
        for number in numbers:
            (folder / "proofs" / f"{number}.tlog-proof").unlink()
        records = [json.loads(line) for line in kept]
        rows = (verify.table_rows({k: v for k, v in r.items() if k != "x"}, r["x"]) for r in records)
        (folder / "records.csv").write_bytes("".join([verify.table_head(), *rows]).encode())
        page = (folder / "index.html").read_text("utf-8")
        (folder / "index.html").write_text(page.replace("hello", ""), "utf-8")
        said = json.loads((folder / "export.json").read_text())
        (folder / "export.json").write_text(json.dumps({**said, "records": len(records)}))

    return change


def edited(edit: Callable[[dict[str, Any]], object]) -> Change:
    """Alter the log's record of the export."""

    def change(folder: Path) -> None:
        record = json.loads((folder / RECORD).read_bytes())
        edit(record)
        (folder / RECORD).write_text(json.dumps(record, separators=(",", ":")) + "\n")

    return change


def number_of(line: bytes) -> int:
    return int(json.loads(line)["i"])


def without_record(folder: Path) -> None:
    index = json.loads((folder / RECORD).read_bytes())["i"]
    (folder / RECORD).unlink()
    (folder / "proofs" / f"{index}.tlog-proof").unlink()


def test_an_export_that_the_log_recorded_is_complete_and_its_log_is_in_order(
    recording: Any, recorded: Path, tools: Any
) -> None:
    ran = tools.run_verify(script=recorded / "verify.py")
    assert (ran.code, ran.err) == (0, "")
    index = json.loads((recorded / RECORD).read_bytes())["i"]
    assert f"Record {index} of the log names these records and files: none is missing, altered or added." in ran.out
    assert verify_log(recording.folder).ok


def test_the_record_stands_there_as_in_the_log(recording: Any, recorded: Path) -> None:
    line = (recorded / RECORD).read_bytes()
    days = b"".join(path.read_bytes() for path in (recording.folder / "day").glob("*.jsonl"))
    assert line in days
    record = json.loads(line)
    listed, said = record["x"]
    assert (record["k"], record["count"]) == ("export", len(recording.at) + 1)
    assert listed["records"] == f"0-{len(recording.at)}"
    names = {each.partition("  ")[2] for each in said["contents"].splitlines()}
    assert names == {
        "README.txt", "export.json", "index.html", "log.vkey", "media/", "records.csv", "records.jsonl", "verify.py"
    }  # fmt: skip


ALTERED: dict[str, tuple[Change, str, str]] = {
    "a record, with its proof and rows": (dropped([10]), "records.jsonl", "record 10 was exported, but is not here"),
    "the last record": (dropped([25]), "records.jsonl", "record 25 was exported, but is not here"),
    "the count": (dropped([10]), RECORD, "says that 26 records were exported, but there are 25"),
    "the page": (in_text("index.html", "hello", "goodbye"), "index.html", "not as it was exported"),
    "the readme": (in_text("README.txt", "What is in here", "What is here"), "README.txt", "not as it was exported"),
    "the checker": (in_text("verify.py", "import sys", "import sys "), "verify.py", "not as it was exported"),
    "who made it": (in_text("export.json", '"root"', '"anna"'), "export.json", "not as it was exported"),
    "the page gone": (lambda folder: (folder / "index.html").unlink(), "index.html", "it is missing"),
    "a page more": (lambda folder: (folder / "statement.html").write_text("guilty"), "statement.html", "was added"),
    "a kept file gone": (lambda folder: shutil.rmtree(folder / "media"), "media/", "not as it was exported"),
    "the count in the record": (edited(lambda r: r.update(count=25)), "proofs/26", "not in the log that was signed"),
    "the list in the record": (edited(lambda r: r["x"][0].update(records="0-9")), RECORD, "not what was recorded"),
    "the files in the record": (edited(lambda r: r["x"][1].update(contents="")), RECORD, "not what was recorded"),
    "the list withheld": (edited(lambda r: r["x"].__setitem__(0, None)), RECORD, "not what was recorded"),
    "the record gone": (without_record, RECORD, "it is missing, though export.json says"),
    "the record twice": (
        lambda folder: (folder / RECORD).write_bytes((folder / RECORD).read_bytes() * 2),
        RECORD,
        "more stands in it than one record",
    ),
    "no record at all": (lambda folder: (folder / RECORD).write_text("hello\n"), RECORD, "not JSON"),
    "an empty record": (lambda folder: (folder / RECORD).write_text(""), RECORD, "not JSON"),
    "another id": (in_text("export.json", '"id": "id-', '"id": "xx-'), RECORD, "of another export, or export.json"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_file_is_named_even_if_all_else_fits(folder: Path, what: str) -> None:
    change, file, said = ALTERED[what]
    change(folder)
    resum(folder)
    problems = verify.check(folder).problems
    assert any(problem.startswith(file) and said in problem for problem in problems), problems


def test_a_record_that_was_left_out_is_the_only_record_that_is_named(folder: Path) -> None:
    dropped([10, 11])(folder)
    resum(folder)
    named = [each for each in verify.check(folder).problems if each.startswith("records.jsonl")]
    assert [re.findall("record [0-9]+", each) for each in named] == [["record 10"], ["record 11"], []]
    assert "not as it was exported" in named[-1]


def test_the_record_of_another_export_does_not_fit(recording: Any, folder: Path, tmp_path: Path) -> None:
    other = unpack(recording.export(Selection(kinds=frozenset({"message"})), record=recording.record), tmp_path / "o")
    without_record(folder)
    for path in (*other.glob("proofs/*"), other / RECORD, other / "checkpoint"):
        shutil.copy(path, folder / path.relative_to(other))
    for path in folder.glob("proofs/*"):  # by the newer checkpoint, as far as they are there
        if not (other / path.relative_to(folder)).exists():
            number = int(path.name.partition(".")[0])
            dropped([number])(folder)
    resum(folder)
    problems = verify.check(folder).problems
    assert [each for each in problems if "other" in each] == [
        f"{RECORD}: it is the record of another export, or export.json is of another one"
    ]


def test_a_record_that_was_not_exported_is_named(recording: Any, tmp_path: Path) -> None:
    """The record is from another export by the same checkpoint: it is proved, but was not in this export."""
    made: dict[str, Contents] = {}

    def record(contents: Contents) -> int:
        made["few"] = contents
        return int(recording.record(contents))

    few = unpack(recording.export(Selection(kinds=frozenset({"case"})), record=record), tmp_path / "few")
    all_of_it = unpack(recording.export(), tmp_path / "all")
    assert (few / "checkpoint").read_text() == (all_of_it / "checkpoint").read_text()
    lines = (few / "records.jsonl").read_bytes().splitlines(keepends=True)
    more = (all_of_it / "records.jsonl").read_bytes().splitlines(keepends=True)[7]
    forged = sorted([*lines, more], key=number_of)
    (few / "records.jsonl").write_bytes(b"".join(forged))
    shutil.copy(all_of_it / "proofs/7.tlog-proof", few / "proofs")
    resum(few)
    assert any("record 7 was not in this export when it was made" in each for each in verify.check(few).problems)
    assert made["few"].count == len(lines)


@pytest.mark.parametrize("form", [1, 2])
def test_an_export_without_such_a_record_is_in_order_and_says_what_cannot_be_told(
    story: Any, tmp_path: Path, tools: Any, form: int
) -> None:
    """Older versions made such exports, and they are still made on demand."""
    old = unpack(story.export(out=tmp_path / "x.zip"), tmp_path / "x")
    if form == 1:
        said = json.loads((old / "export.json").read_text())
        del said["recorded"]
        (old / "export.json").write_text(json.dumps({**said, "format": 1}))
    resum(old)
    ran = tools.run_verify(old)
    assert (ran.code, ran.err) == (0, "")
    assert (
        "It was made without the log's own record of it. So it cannot be told whether records were left out" in ran.out
    )
    assert "none is missing" not in ran.out


def test_one_omitted_record_of_many_is_named(recording: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.export.proofs.MAX_SINGLE", 3)
    many = unpack(recording.export(record=recording.record), tmp_path / "many")
    assert verify.check(many).problems == []
    lines = (many / "records.jsonl").read_bytes().splitlines(keepends=True)
    (many / "records.jsonl").write_bytes(b"".join(lines[:12] + lines[13:]))
    resum(many)
    assert "records.jsonl, line 13: record 12 was exported, but is not here" in verify.check(many).problems


@settings(max_examples=tried(150), deadline=None)
@given(data=st.data())
def test_any_byte_of_any_file_is_found_though_its_sum_is_made_to_fit(recorded: Path, data: st.DataObject) -> None:
    names = sorted(path.relative_to(recorded).as_posix() for path in recorded.rglob("*") if path.is_file())
    name = data.draw(st.sampled_from([each for each in names if each not in ("SHA256SUMS", RECORD)]))
    original, sums = (recorded / name).read_bytes(), (recorded / "SHA256SUMS").read_text()
    place = data.draw(st.integers(0, len(original) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != original[place]))
    forged = original[:place] + bytes([value]) + original[place + 1 :]
    try:
        (recorded / name).write_bytes(forged)
        fitting = sums.replace(hashlib.sha256(original).hexdigest(), hashlib.sha256(forged).hexdigest())
        (recorded / "SHA256SUMS").write_text(fitting)
        problems = verify.check(recorded).problems
    finally:
        (recorded / name).write_bytes(original)
        (recorded / "SHA256SUMS").write_text(sums)
    assert problems


class TestMakingOne:
    def test_that_cannot_be_recorded_leaves_nothing(self, story: Any, tmp_path: Path) -> None:
        def refuse(_: Contents) -> int:
            raise Refused("cli.logs.no_note", why="full")

        with pytest.raises(Refused, match="no_note"):
            story.export(out=tmp_path / "x.zip", record=refuse)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("number", [3, 999])
    def test_with_a_record_that_cannot_be_its_own_leaves_nothing(self, story: Any, tmp_path: Path, number: int) -> None:
        with pytest.raises(Broken, match="cannot be the signed record"):
            story.export(out=tmp_path / "x.zip", record=lambda _: number)
        assert list(tmp_path.iterdir()) == []

    def test_says_which_record_it_is(self, log: Any, tmp_path: Path) -> None:
        size = len(log.at) + 1
        log.export(out=tmp_path / "x.zip", record=log.record)
        assert (log.summary.record, log.summary.size, log.summary.problems) == (size, size + 1, ())
        log.export(out=tmp_path / "y.zip")
        assert log.summary.record is None
