"""`verify.py` finds every change to an export, names the file, and never crashes."""

import ast
import base64
import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage.export import verify
from storage.export.selection import Selection
from storage.journal.transparency.log_key import load_or_create
from storage.journal.transparency.signed_note import Signer

Change = Callable[[Path], object]


def in_text(name: str, old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), "utf-8")

    return change


def in_record(index: int, edit: Callable[[dict[str, Any]], None]) -> Change:
    def change(folder: Path) -> None:
        lines = (folder / "records.jsonl").read_text("utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        (place,) = [at for at, record in enumerate(records) if record["i"] == index]
        edit(records[place])
        lines[place] = json.dumps(records[place], ensure_ascii=False, separators=(",", ":"))
        (folder / "records.jsonl").write_text("\n".join(lines) + "\n", "utf-8")

    return change


def lines_changed(edit: Callable[[list[str]], list[str]]) -> Change:
    def change(folder: Path) -> None:
        lines = edit((folder / "records.jsonl").read_text("utf-8").splitlines())
        (folder / "records.jsonl").write_text("\n".join(lines) + "\n", "utf-8")

    return change


def removed(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def resum(folder: Path) -> None:
    """Make SHA256SUMS fit again, as an attacker would."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    sums = "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in names
        if name != "SHA256SUMS"
    )
    (folder / "SHA256SUMS").write_text(sums)


def in_records(folder: Path) -> list[str]:
    """Return the problems of the records, without the resulting differences of the table."""
    return [problem for problem in verify.check(folder).problems if problem.startswith("records.jsonl")]


def other_signature(folder: Path) -> None:
    text = (folder / "checkpoint").read_text("utf-8")
    (folder / "checkpoint").write_text(
        Signer.generate("example.org/log").sign(text.partition("\n\n")[0] + "\n"), "utf-8"
    )


def new_key(folder: Path) -> None:
    """Sign everything with another key, except the key named in the first record."""
    signer = Signer.generate("example.org/log")
    text = (folder / "checkpoint").read_text("utf-8")
    note = signer.sign(text.partition("\n\n")[0] + "\n")
    (folder / "checkpoint").write_text(note, "utf-8")
    (folder / "log.vkey").write_text(signer.verifier.text + "\n")
    for proof in (folder / "proofs").iterdir():
        head = proof.read_text("utf-8").partition("\n\n")[0]
        proof.write_text(f"{head}\n\n{note}", "utf-8")


def key_id_of_zeros(folder: Path) -> None:
    text = (folder / "log.vkey").read_text()
    (folder / "log.vkey").write_text(re.sub(r"\+[0-9a-f]{8}\+", "+00000000+", text))


def end_cut_off(folder: Path) -> None:
    (folder / "records.jsonl").write_bytes((folder / "records.jsonl").read_bytes()[:-9])


def in_table(old: str, new: str) -> Change:
    def change(folder: Path) -> None:
        data = (folder / "records.csv").read_bytes()
        assert old.encode() in data
        (folder / "records.csv").write_bytes(data.replace(old.encode(), new.encode(), 1))

    return change


def table_row_taken(folder: Path) -> None:
    text = (folder / "records.csv").read_bytes()
    (folder / "records.csv").write_bytes(text[: text.rindex(b'"25","')])


def table_row_added(folder: Path) -> None:
    text = (folder / "records.csv").read_bytes()
    (folder / "records.csv").write_bytes(text + text[text.rindex(b'"25","') :])


def wrong_part(record: dict[str, Any]) -> None:
    record["x"][0]["body"] = "sell coins"


def wrong_skeleton(record: dict[str, Any]) -> None:
    record["what"] = "dismissed"


def marked_erased(record: dict[str, Any]) -> None:
    record["x"][0] = {"erased": "2026-11-24", "by": 7}


# After each change SHA256SUMS is made to fit: findings come from the proofs alone.
BEYOND_SUMS: dict[str, tuple[Change, str, str]] = {
    "a part": (in_record(10, wrong_part), "records.jsonl", "part 1: it is not what was recorded"),
    "a skeleton": (in_record(19, wrong_skeleton), "proofs/19.tlog-proof", "not in the log that was signed"),
    "a time": (in_text("records.jsonl", "2026-11-24T12:00:10", "2026-11-24T12:00:11"), "proofs/", "not in the log"),
    "a name given twice": (
        in_text("records.jsonl", '"body":"hello', '"body":"x","body":"hello'),
        "records.jsonl",
        "not JSON",
    ),
    "a salt": (in_text("records.jsonl", '"s":"', '"s":"A'), "records.jsonl", "not what was recorded"),
    "a commitment": (
        in_record(10, lambda record: record["c"].reverse() or record["c"].append("x")),
        "records.jsonl",
        "commitments",
    ),
    "a fraction": (in_text("records.jsonl", '"i":3,', '"i":3.0,'), "records.jsonl", "not JSON"),
    "a number too large": (
        in_text("records.jsonl", '"i":3,', '"i":99999999999999999999,'),
        "records.jsonl",
        "not JSON",
    ),
    "a number beyond the log": (in_text("records.jsonl", '{"i":24,', '{"i":2400,'), "proofs/2400", "missing"),
    "an erasure that never was": (in_record(10, marked_erased), "records.jsonl", "stands before it"),
    "a second part erased by a record that erased one": (
        in_record(10, lambda record: record["x"].__setitem__(0, {"erased": "2026-11-24", "by": 23})),
        "records.jsonl",
        "erased",
    ),
    "a line taken away": (
        lines_changed(lambda lines: lines[:5] + lines[6:]),
        "proofs/5.tlog-proof",
        "proves no record",
    ),
    "a line twice": (lines_changed(lambda lines: [*lines[:5], lines[4], *lines[5:]]), "records.jsonl", "stands after"),
    "lines in another order": (
        lines_changed(lambda lines: [lines[1], lines[0], *lines[2:]]),
        "records.jsonl",
        "stands after",
    ),
    "no line at all": (lambda folder: (folder / "records.jsonl").write_bytes(b""), "records.jsonl", "no record"),
    "an end cut off": (end_cut_off, "records.jsonl", "not whole"),
    "a line that is no record": (in_text("records.jsonl", '{"i":4,', '{"j":4,'), "records.jsonl", "not a record"),
    "bytes that are no text": (
        lambda folder: (folder / "records.jsonl").write_bytes(b"\xff\xfe\n"),
        "records.jsonl",
        "not JSON",
    ),
    "deep nesting": (
        lambda folder: (folder / "records.jsonl").write_bytes(b"[" * 100_000 + b"\n"),
        "records.jsonl",
        "not JSON",
    ),
    "half a surrogate pair": (in_text("records.jsonl", "hello", "\\ud800"), "records.jsonl", "canonical"),
    "a proof": (
        in_text("proofs/3.tlog-proof", "=\n", "=\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"),
        "proofs/3.tlog-proof",
        "not in the log",
    ),
    "a proof's index": (
        in_text("proofs/3.tlog-proof", "index 3", "index 4"),
        "proofs/3.tlog-proof",
        "proof of record 4",
    ),
    "a proof's checkpoint": (
        in_text("proofs/3.tlog-proof", "example.org/log\n", "example.org/gol\n"),
        "proofs/3.tlog-proof",
        "not the one",
    ),
    "a proof that is none": (
        lambda folder: (folder / "proofs/3.tlog-proof").write_text("hello"),
        "proofs/3.tlog-proof",
        "not a proof",
    ),
    "a proof gone": (removed("proofs/3.tlog-proof"), "proofs/3.tlog-proof", "missing"),
    "the checkpoint's size": (in_text("checkpoint", "log\n", "log\n1"), "checkpoint", "signature does not hold"),
    "the checkpoint's signer": (other_signature, "checkpoint", "no signature by the key"),
    "the checkpoint's origin": (
        in_text("checkpoint", "example.org/log\n", "example.org/gol\n"),
        "checkpoint",
        "of the log example.org/gol",
    ),
    "the checkpoint's form": (
        lambda folder: (folder / "checkpoint").write_text("x"),
        "checkpoint",
        "not a signed checkpoint",
    ),
    "the key": (in_text("log.vkey", "+", "+0"), "log.vkey", "not a key"),
    "the key's id": (key_id_of_zeros, "log.vkey", "does not fit"),
    "key and signatures": (new_key, "log.vkey", "not the key that the first record"),
    "a kept file": (lambda folder: next((folder / "media").iterdir()).write_bytes(b"other"), "media/", "not its name"),
    "a file of no record": (
        lambda folder: (folder / "media" / ("0" * 64)).write_bytes(b""),
        "media/000",
        "no record that is shown",
    ),
    "what was asked for": (in_text("export.json", '"records": 26', '"records": 25'), "export.json", "25"),
    "the size that is told": (in_text("export.json", '"size": 26', '"size": 25'), "export.json", "25"),
    "a word in the table": (in_table("hello", "goodbye"), "records.csv", "differs from the records"),
    "a row taken from the table": (table_row_taken, "records.csv", "at record 25"),
    "a row added to the table": (table_row_added, "records.csv", "more than the records"),
    "a column of the table": (in_table('"time"', '"when"'), "records.csv", "columns"),
    "the table gone": (removed("records.csv"), "records.csv", "missing"),
    "a description that is none": (
        lambda folder: (folder / "export.json").write_text("[]"),
        "export.json",
        "does not describe",
    ),
}


@pytest.mark.parametrize("what", BEYOND_SUMS)
def test_a_change_is_found_even_if_the_sums_are_made_to_fit(folder: Path, what: str) -> None:
    change, file, said = BEYOND_SUMS[what]
    change(folder)
    resum(folder)
    run = verify.check(folder)
    assert any(problem.startswith(file) and said in problem for problem in run.problems), run.problems


def test_the_unchanged_folder_is_in_order(folder: Path) -> None:
    resum(folder)
    assert verify.check(folder).problems == []


@pytest.mark.parametrize(
    "name",
    [
        "README.txt",
        "index.html",
        "records.csv",
        "records.jsonl",
        "verify.py",
        "export.json",
        "checkpoint",
        "log.vkey",
        "proofs/7.tlog-proof",
    ],
)
def test_the_sums_find_a_change_in_each_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert any(problem.startswith(f"{name}: it was changed") for problem in verify.check(folder).problems)
    (folder / name).unlink()
    assert any(problem.startswith(f"{name}: it is missing") for problem in verify.check(folder).problems)


def test_a_file_that_was_added_is_found(folder: Path) -> None:
    (folder / "statement.html").write_text("<h1>guilty</h1>")
    (problem,) = verify.check(folder).problems
    assert problem.startswith("statement.html: it does not belong to the export")


def test_an_invalid_line_of_the_sums_is_found(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text("hello\n")
    assert any(problem.startswith("SHA256SUMS, line 1") for problem in verify.check(folder).problems)
    (folder / "SHA256SUMS").unlink()
    assert "SHA256SUMS: it is missing" in verify.check(folder).problems


def test_lines_of_witnesses_below_the_checkpoint_are_counted_and_left_alone(folder: Path, tools: Any) -> None:
    assert "signatures of others" not in tools.run_verify(folder).out
    tree = "\u2014 witness.example/w " + base64.b64encode(bytes(4 + 8 + 2420)).decode() + "\n"
    plain = "\u2014 witness.example/w " + base64.b64encode(bytes(4 + 8 + 64)).decode() + "\n"
    for file in (folder / "checkpoint", *(folder / "proofs").iterdir()):
        file.write_text(file.read_text("utf-8") + tree + plain, "utf-8")
    resum(folder)
    ran = tools.run_verify(folder)
    assert (ran.code, ran.err) == (0, "")
    assert "2 signatures of others (witnesses)" in ran.out


def test_an_empty_folder_and_what_is_no_zip(tmp_path: Path, tools: Any) -> None:
    (tmp_path / "empty").mkdir()
    assert verify.check(tmp_path / "empty").problems
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 not really")
    for path in (tmp_path / "x.zip", tmp_path / "nowhere.zip", tmp_path / "empty"):
        ran = tools.run_verify(path)
        assert (ran.code, ran.err) == (1, "")
        assert "Something is wrong" in ran.out


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil", "a/../../evil", "C:evil", "..\\evil", "evil\u202e", "evil/"]
)
def test_a_name_that_leaves_the_folder_is_told_and_nothing_is_unpacked(whole: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copy(whole, tmp_path / "x.zip"))
    with zipfile.ZipFile(copy, "a") as file:
        file.writestr(zipfile.ZipInfo(name), b"x")
    problems = verify.check(copy).problems
    assert problems
    assert all("\u202e" not in problem for problem in problems)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.zip"]


def test_a_name_given_twice_in_a_zip_is_told(whole: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(whole, tmp_path / "x.zip"))
    with zipfile.ZipFile(copy, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("records.jsonl", b"")
    assert "records.jsonl: it is there twice" in verify.check(copy).problems


class TestTheKeyFromElsewhere:
    def test_that_is_the_same_is_accepted_as_text_and_as_file(self, folder: Path, tools: Any) -> None:
        key = (folder / "log.vkey").read_text()
        for each in (key.strip(), folder / "log.vkey"):
            ran = tools.run_verify("--vkey", each, folder)
            assert (ran.code, "Compare it" in ran.out) == (0, False)

    def test_that_is_another_is_told(self, folder: Path, tools: Any) -> None:
        other = Signer.generate("example.org/log").verifier.text
        ran = tools.run_verify("--vkey", other, folder)
        assert (ran.code, ran.err) == (1, "")
        assert "not the key that you gave" in ran.out
        assert "checkpoint: it bears no signature" in ran.out
        assert tools.run_verify("--vkey", "nonsense", folder).code == 1

    def test_finds_a_log_that_was_signed_again(self, folder: Path, tools: Any, tmp_path: Path) -> None:
        """The log's keeper rewrites everything, the first record too: only a key from elsewhere shows it."""
        forged = tools.build(tmp_path / "forged")
        out = forged.export()
        assert tools.run_verify(out).code == 0
        assert tools.run_verify("--vkey", (folder / "log.vkey").read_text().strip(), out).code == 1


class TestManyRecords:
    """proofs/tree.txt instead of a proof each."""

    @pytest.fixture
    def many(self, story: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr("storage.export.proofs.MAX_SINGLE", 3)
        out = story.export(Selection(groups=frozenset({"G-2222"})), tmp_path / "many.zip")
        with zipfile.ZipFile(out) as file:
            file.extractall(tmp_path / "many")
        assert verify.check(tmp_path / "many").problems == []
        return tmp_path / "many"

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (in_text("records.jsonl", '"k":"message"', '"k":"edit"'), "not those that were signed"),
            (lines_changed(lambda lines: lines[:2] + lines[3:]), "not those that were signed|a hash is missing"),
            (in_text("proofs/tree.txt", "=\n", "=\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), "signed|needs"),
            (in_text("proofs/tree.txt", "answerable", "Answerable"), "first line"),
            (lambda folder: (folder / "proofs/tree.txt").write_text("answerable-tree-proof@v1\n"), "a hash is missing"),
            (lambda folder: (folder / "proofs/tree.txt").write_text("answerable-tree-proof@v1\nxyz\n"), "not a hash"),
            (lambda folder: (folder / "proofs/0.tlog-proof").write_text(""), "proves no record"),
        ],
    )
    def test_a_change_is_found(self, many: Path, change: Change, said: str) -> None:
        change(many)
        resum(many)
        assert any(re.search(said, problem) for problem in verify.check(many).problems)


def test_an_erasure_that_the_eraser_does_not_name_is_found(folder: Path, story: Any) -> None:
    mark = {"erased": "2026-11-24", "by": story.at["erase"]}
    in_record(story.at["regret"], lambda record: record.update(x=[None]))(folder)
    in_record(story.at["hello"], lambda record: record.update(x=[mark]))(folder)
    resum(folder)
    (problem,) = in_records(folder)
    assert "does not name it" in problem


MARKS: dict[str, tuple[str, str, str, str]] = {
    "of a record that is no erasure": ("hello", "mute", "2026-11-24", "erased nothing"),
    "of a redaction": ("hello", "takenback", "2026-11-24", "erased nothing"),
    "of an erasure that names another": ("hello", "erase", "2026-11-24", "does not name it"),
    "on another date": ("regret", "erase", "1999-01-01", "was written on 2026-11-24"),
    "of the list of an erasure": ("erase", "erase", "2026-11-24", "never are"),
}


@pytest.mark.parametrize("what", MARKS)
def test_a_mark_without_an_erasure_that_names_the_part_is_found(folder: Path, story: Any, what: str) -> None:
    name, by, date, said = MARKS[what]
    mark = {"erased": date, "by": story.at[by]}
    in_record(story.at[name], lambda record: record["x"].__setitem__(0, mark))(folder)
    resum(folder)
    assert any(said in problem for problem in verify.check(folder).problems), verify.check(folder).problems


def test_a_mark_of_an_erasure_whose_list_is_withheld_is_found(folder: Path, story: Any) -> None:
    in_record(story.at["erase"], lambda record: record["x"].__setitem__(0, None))(folder)
    resum(folder)
    (problem,) = in_records(folder)
    assert "does not show its list" in problem


def test_verify_py_needs_only_the_standard_library_and_python_3_8() -> None:
    source = Path(verify.__file__).read_text("utf-8")
    imported = set(re.findall(r"^(?:import|from) (\w+)", source, re.M))
    assert imported <= {
        "__future__",
        "argparse",
        "base64",
        "contextlib",
        "hashlib",
        "json",
        "re",
        "sys",
        "zipfile",
        "pathlib",
        "typing",
    }
    ast.parse(source, feature_version=(3, 8))


@pytest.mark.parametrize("python", ["3.8", "3.9", "3.13"])
def test_verify_py_runs_on_other_pythons_that_are_here(python: str, folder: Path, tools: Any) -> None:
    found = [path for path in Path.home().glob(f".pyenv/versions/{python}.*/bin/python") if path.exists()]
    if not found:
        pytest.skip(f"no Python {python} on this machine; its grammar is checked above")
    ran = tools.run_verify(folder, python=str(found[0]))
    assert (ran.code, ran.err) == (0, ""), ran.out


def test_the_signing_key_of_the_product_is_the_one_that_is_shown(story: Any, unpacked: Path) -> None:
    signer = load_or_create(story.data_dir, story.folder, "example.org/log")
    assert (unpacked / "log.vkey").read_text().strip() == signer.verifier.text
