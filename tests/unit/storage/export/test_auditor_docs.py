"""docs/for-auditors.md: every command in it is run unchanged, against a real export.

If a step is given twice, with `jq` and with Python alone, both are run; on a machine without `jq` only the Python one
is run, and it must exist.
"""

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from storage.export.selection import Selection

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "for-auditors.md"
TWO_EQUAL = ("1. The key", "4. From the hash", "5. A part", "Many records")


class Block(NamedTuple):
    """A block of commands and its heading."""

    heading: str
    text: str


def blocks() -> list[Block]:
    found: list[Block] = []
    heading = ""
    for part in re.finditer(r"^(#+ [^\n]*)$|^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S):
        if part[1]:
            heading = part[1].lstrip("# ")
        else:
            found.append(Block(heading, part[2]))
    return found


BLOCKS = blocks()


@pytest.fixture(scope="module")
def places(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Provide the folders where an auditor works: unpacked exports, with the zip and the key next to them.

    True: an export of many records.
    """
    found = {}
    story = tools.build(tmp_path_factory.mktemp("recording") / "data")
    for many in (False, True):
        beside = tmp_path_factory.mktemp("auditor")
        with pytest.MonkeyPatch.context() as patch:
            if many:
                patch.setattr("storage.export.proofs.MAX_SINGLE", 3)
            selection = Selection(kinds=frozenset({"message", "case", "media"})) if many else Selection()
            out = story.export(selection, beside / "export.zip", media=story.media, record=story.record)
        shutil.copy(story.folder / "log.vkey", beside / "key-from-the-room.txt")
        found[many] = beside / "export"
        shutil.unpack_archive(out, found[many])
    return found


def run(block: Block, places: dict[bool, Path]) -> str:
    many = block.heading == "Many records"
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "SOURCE": str(ROOT), "LANG": "C.UTF-8"}
    ran = subprocess.run(command, cwd=places[many], env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr.strip() in ("", "Signature Verified Successfully")) == (0, True), ran
    return ran.stdout


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=[f"{b.heading}-{n}" for n, b in enumerate(BLOCKS)])
def test_a_block_of_commands_does_what_the_page_says(number: int, places: dict[bool, Path]) -> None:
    block = BLOCKS[number]
    if re.search(r"\bjq\b", block.text) and not shutil.which("jq"):
        block = BLOCKS[number + 1]
        assert block.heading == BLOCKS[number].heading
        assert block.text.startswith("python3 - <<")
    out = run(block, places)
    assert out
    if block.heading.startswith(TWO_EQUAL):
        one, two = out.splitlines()
        assert one == two
    if "verify.py" in block.text and "vkey" in block.text:
        assert "Nothing is wrong" in out
    if block.heading == "2. The signature":
        assert "Signature Verified Successfully" in out
    if block.heading == "6. Files":
        assert out.endswith("is right\n")
    if block.heading.startswith("7. What was left out"):
        assert out.startswith("nothing was altered\n0-25\n")


def test_the_page_has_commands_for_every_step() -> None:
    assert len(BLOCKS) >= 14
    assert {block.heading for block in BLOCKS} >= {
        "2. The signature",
        "6. Files",
        "7. What was left out, altered or added",
        "Many records",
    }


def test_both_ways_give_the_same(places: dict[bool, Path]) -> None:
    pairs = [(a, b) for a, b in pairwise(BLOCKS) if a.heading == b.heading and "jq" in a.text]
    assert [a.heading[:2] for a, _ in pairs] == ["3.", "4.", "5.", "7."]
    for with_jq, with_python in pairs:
        if shutil.which("jq"):
            assert run(with_jq, places) == run(with_python, places)
        assert run(with_python, places)


@pytest.mark.skipif(
    not shutil.which("jq"), reason="README.txt gives the way with jq only, and names this page for the other"
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_commands_in_the_readme_give_what_the_record_says(
    story: Any, tools: Any, tmp_path: Path, language: str
) -> None:
    out = story.export(out=tmp_path / "x.zip", words=tools.words(language))
    shutil.unpack_archive(out, tmp_path / "x")
    commands = re.findall(r"^  (grep .*)$", tools.text(out, "README.txt"), re.M)
    given = {True: tmp_path / "x", False: tmp_path / "x"}
    leaf, part = (run(Block("", command), given).split()[0] for command in commands)
    record = tools.lines(out)[17]
    assert part == record["c"][0]
    assert leaf == run(next(block for block in BLOCKS if block.heading.startswith("3.")), given).strip()


def test_a_change_is_seen_by_hand(places: dict[bool, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(places[False], tmp_path / "export")
    text = (copy / "records.jsonl").read_text("utf-8")
    (copy / "records.jsonl").write_text(re.sub(r'(\n\{"i":17,"t":"....)', r"\g<1>X", text)[:-1] + "\n", "utf-8")
    for block in BLOCKS:
        if block.heading.startswith("4.") and (shutil.which("jq") or "jq" not in block.text):
            one, two = run(block, {False: copy}).splitlines()
            assert one != two
