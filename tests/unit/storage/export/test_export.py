"""An export contains the right parts of the right records, in a zip that appears complete or not at all."""

import json
import resource
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.values.errors import Broken, Refused
from storage.export.selection import Selection
from storage.journal.verify.verify import verify as verify_log
from tests.examples import tried
from tests.proofs import check_record

FILES = [
    "README.txt",
    "SHA256SUMS",
    "checkpoint",
    "export.json",
    "index.html",
    "log.vkey",
    "records.csv",
    "records.jsonl",
    "verify.py",
]


def numbers(log: Any, *names: str) -> list[int]:
    return sorted(log.at[name] for name in names)


class TestEverything:
    def test_is_all_records_as_they_stand_in_the_log(self, story: Any, whole: Path, tools: Any) -> None:
        assert [line["i"] for line in tools.lines(whole)] == list(range(len(story.at) + 1))
        days = sorted((story.folder / "day").glob("2026-11-25.jsonl"))
        assert tools.text(whole, "records.jsonl").splitlines()[-1] == days[0].read_text("utf-8").strip()

    def test_has_a_proof_for_each(self, whole: Path, tools: Any) -> None:
        names = zipfile.ZipFile(whole).namelist()
        proofs = [f"proofs/{line['i']}.tlog-proof" for line in tools.lines(whole)]
        assert sorted(names) == sorted([*FILES, *proofs, f"media/{tools.digest}"])

    def test_checks(self, whole: Path, folder: Path, tools: Any) -> None:
        zipped, loose = tools.run_verify(whole), tools.run_verify(script=folder / "verify.py")
        assert (zipped.code, zipped.err, loose.code, loose.err) == (0, "", 0, "")
        assert "Nothing is wrong" in zipped.out
        assert "1 parts were erased" in zipped.out

    def test_says_what_was_asked_for(self, story: Any, tools: Any) -> None:
        out = story.export(Selection(cases=frozenset({1}), since_ms=tools.noon))
        said = json.loads(tools.text(out, "export.json"))
        assert said["asked"] == {"cases": [1], "since": tools.noon}
        assert (said["by"], said["reason"], said["made"]) == ("root", "case 12", "2026-11-26T12:00:00.000Z")
        assert (said["records"], said["size"]) == (story.summary.records, story.summary.size)

    def test_agrees_with_the_check_of_the_log(self, story: Any) -> None:
        assert verify_log(story.folder).ok
        story.export()
        assert story.summary.problems == ()

    def test_is_what_the_product_itself_takes_for_proved(self, story: Any, unpacked: Path) -> None:
        vkey = (story.folder / "log.vkey").read_text("utf-8")
        for line in (unpacked / "records.jsonl").read_bytes().splitlines():
            index = json.loads(line)["i"]
            proof = (unpacked / "proofs" / f"{index}.tlog-proof").read_text("utf-8")
            assert check_record(line, proof, vkey).index == index

    @settings(max_examples=tried(40), deadline=None)
    @given(data=st.data())
    def test_checks_just_if_the_log_does(self, one_day: Any, data: st.DataObject) -> None:
        """Any byte of the day is changed: `verify` of the log and `verify.py` of its export say the same."""
        (day,) = (one_day.folder / "day").iterdir()
        original = day.read_bytes()
        place = data.draw(st.integers(0, len(original) - 1))
        value = data.draw(st.integers(33, 126))
        day.write_bytes(original[:place] + bytes([value]) + original[place + 1 :])
        try:
            sound = verify_log(one_day.folder).ok
            out = one_day.data_dir.parent / "x.zip"
            try:
                one_day.export(out=out)
                assert (one_day.summary.problems == ()) is sound
            except Broken:
                assert not sound
            finally:
                out.unlink(missing_ok=True)
        finally:
            day.write_bytes(original)


@pytest.fixture(scope="module")
def one_day(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tools.build(tmp_path_factory.mktemp("one") / "data", two_days=False)


class TestACase:
    WANTED = ("coins", "found", "media", "case", "more", "grew", "order", "decision", "credit", "mute", "unmute")

    def test_has_evidence_findings_decisions_measures_and_credit(self, story: Any, tools: Any) -> None:
        out = story.export(Selection(cases=frozenset({1})))
        supporting = [0, story.at["policy"]]
        assert [line["i"] for line in tools.lines(out)] == sorted([*supporting, *numbers(story, *self.WANTED)])
        assert story.summary.supporting == 2
        assert tools.run_verify(out).code == 0

    def test_does_not_disclose_the_policy_but_proves_which_it_was(self, story: Any, tools: Any) -> None:
        out = story.export(Selection(cases=frozenset({1})))
        (policy,) = [line for line in tools.lines(out) if line["k"] == "rules"]
        assert (policy["x"], policy["digest"]) == ([None], "0" * 32)
        out = story.export(Selection(cases=frozenset({1}), everything=True))
        (policy,) = [line for line in tools.lines(out) if line["k"] == "rules"]
        assert "no-coins" in policy["x"][0]["policy"]

    def test_that_does_not_exist_is_refused(self, story: Any) -> None:
        with pytest.raises(Refused, match=r"export\.nothing"):
            story.export(Selection(cases=frozenset({99})))


class TestAPerson:
    def test_gets_only_the_parts_that_concern_them(self, story: Any, tools: Any) -> None:
        out = story.export(Selection(persons=frozenset({tools.ben})))
        lines = {line["i"]: line for line in tools.lines(out)}
        decision = lines[story.at["decision"]]
        assert [part and part["mxid"] for part in decision["x"]] == [tools.ben, None]
        assert len(decision["c"]) == 2
        assert story.at["hello"] not in lines
        shown = [part["mxid"] for line in lines.values() for part in line["x"] if part and "mxid" in part]
        assert set(shown) == {tools.ben}
        assert "anna" not in tools.text(out, "records.jsonl")

    def test_with_all_parts_shows_parts_of_others(self, story: Any, tools: Any) -> None:
        out = story.export(Selection(persons=frozenset({tools.ben}), everything=True))
        (decision,) = [line for line in tools.lines(out) if line["i"] == story.at["decision"]]
        assert [part["mxid"] for part in decision["x"]] == [tools.ben, tools.anna]
        assert story.summary.withheld == 0

    def test_within_a_case_hides_who_decided(self, story: Any, tools: Any) -> None:
        out = story.export(Selection(persons=frozenset({tools.ben}), cases=frozenset({1})))
        assert story.at["order"] not in [line["i"] for line in tools.lines(out)]
        assert story.summary.withheld >= 2
        assert tools.run_verify(out).code == 0


class TestFilters:
    @pytest.mark.parametrize(
        ("selection", "names"),
        [
            (Selection(groups=frozenset({"G-2222"})), ["entered-G-2222", "formula", "regret", "tomorrow"]),
            (Selection(kinds=frozenset({"finding", "sanction"})), ["found", "mute", "unmute"]),
            (Selection(since_ms=1_795_521_600_000 + 86_400_000), ["tomorrow"]),
            (
                Selection(groups=frozenset({"G-2222"}), until_ms=1_795_600_000_000, kinds=frozenset({"message"})),
                ["formula", "regret"],
            ),
        ],
    )
    def test_choose(self, story: Any, tools: Any, selection: Selection, names: list[str]) -> None:
        out = story.export(selection)
        supporting = {0, story.at["policy"], story.at["erase"]}
        found = [line["i"] for line in tools.lines(out)]
        assert [index for index in found if index not in supporting] == numbers(story, *names)
        assert len(found) == story.summary.records
        assert tools.run_verify(out).code == 0

    def test_an_erased_part_brings_the_record_that_erased_it(self, story: Any, tools: Any) -> None:
        out = story.export(Selection(groups=frozenset({tools.kitchen})))
        lines = {line["i"]: line for line in tools.lines(out)}
        assert lines[story.at["regret"]]["x"] == [{"erased": "2026-11-24", "by": story.at["erase"]}]
        named, why = lines[story.at["erase"]]["x"]
        assert (named["records"], why) == (str(story.at["regret"]), None)  # its reason names a person
        assert story.summary.erased == 1

    def test_that_fit_nothing_are_refused_and_leave_nothing(self, story: Any, tmp_path: Path) -> None:
        with pytest.raises(Refused, match=r"export\.nothing"):
            story.export(Selection(persons=frozenset({"@nobody:example.org"})), tmp_path / "x.zip")
        assert list(tmp_path.iterdir()) == []


class TestTheFile:
    def test_is_for_its_owner_only_and_alone(self, story: Any, tmp_path: Path) -> None:
        out = story.export(out=tmp_path / "x.zip")
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [out]
        assert {info.external_attr >> 16 for info in zipfile.ZipFile(out).infolist()} == {0o100600}

    def test_never_takes_the_place_of_another(self, story: Any, tmp_path: Path) -> None:
        (tmp_path / "x.zip").write_text("precious")
        with pytest.raises(Refused, match=r"export\.exists"):
            story.export(out=tmp_path / "x.zip")
        assert (tmp_path / "x.zip").read_text() == "precious"

    def test_does_not_appear_if_the_note_fails(self, story: Any, tmp_path: Path) -> None:
        def fail(_: str, __: int) -> None:
            assert not (tmp_path / "x.zip").exists()
            raise Refused("cli.logs.no_note", why="full")

        with pytest.raises(Refused, match="no_note"):
            story.export(out=tmp_path / "x.zip", announce=fail)
        assert list(tmp_path.iterdir()) == []

    def test_has_the_announced_sum(self, story: Any, tmp_path: Path) -> None:
        said: list[tuple[str, int]] = []
        out = story.export(out=tmp_path / "x.zip", announce=lambda *each: said.append(each))
        summed = subprocess.run(["sha256sum", str(out)], capture_output=True, text=True, check=True).stdout.split()[0]
        assert said == [(summed, story.summary.records)]
        assert story.summary.sha256 == summed

    def test_is_the_same_for_the_same_request(self, story: Any, tmp_path: Path) -> None:
        one, two = story.export(out=tmp_path / "1.zip"), story.export(out=tmp_path / "2.zip")
        assert one.read_bytes() == two.read_bytes()

    def test_has_only_harmless_names(self, whole: Path) -> None:
        for name in zipfile.ZipFile(whole).namelist():
            assert not Path(name).is_absolute()
            assert ".." not in name
            assert name.count("/") <= 1

    def test_holds_a_kept_file_only_if_it_is_what_it_is_called(self, log: Any, tools: Any) -> None:
        (log.data_dir / "media" / tools.digest).write_bytes(b"something else")
        out = log.export(media=log.media)
        assert (log.summary.media, f"media/{tools.digest}" in zipfile.ZipFile(out).namelist()) == (0, False)

    def test_holds_no_kept_file_whose_record_is_not_shown(self, story: Any, tools: Any) -> None:
        story.export(Selection(persons=frozenset({tools.anna}), cases=frozenset({1})), media=story.media)
        assert story.summary.media == 0

    def test_chinese(self, story: Any, tools: Any) -> None:
        out = story.export(words=tools.words("zh"))
        assert "如何校验" in tools.text(out, "README.txt")
        assert '<html lang="zh">' in tools.text(out, "index.html")


class TestADamagedLog:
    def test_that_was_changed_is_exported_and_told(self, log: Any, tools: Any) -> None:
        day = log.folder / "day" / "2026-11-25.jsonl"
        day.write_bytes(day.read_bytes().replace(b"tomorrow", b"Tomorrow"))
        out = log.export()
        assert any("part 1: it is not what was recorded" in problem for problem in log.summary.problems)
        assert tools.run_verify(out).code == 1

    def test_whose_line_cannot_be_read_is_named(self, log: Any, tmp_path: Path) -> None:
        day = log.folder / "day" / "2026-11-25.jsonl"
        day.write_bytes(b"{" + day.read_bytes())
        with pytest.raises(Broken, match=r"2026-11-25\.jsonl, line 1"):
            log.export(out=tmp_path / "x.zip")
        assert not (tmp_path / "x.zip").exists()

    def test_without_a_checkpoint_proves_nothing(self, log: Any) -> None:
        (log.folder / "checkpoint").unlink()
        with pytest.raises(Refused, match=r"export\.unsigned"):
            log.export()

    def test_that_lacks_a_tile_says_so(self, log: Any) -> None:
        for tile in (log.folder / "tile" / "0").rglob("*"):
            if tile.is_file():
                tile.unlink()
        with pytest.raises(Broken, match="tile/0/000"):
            log.export()

    def test_unsigned_records_are_left_out(self, log: Any, tools: Any) -> None:
        day = log.folder / "day" / "2026-11-25.jsonl"
        size = len(log.at) + 1
        day.write_bytes(day.read_bytes() + day.read_bytes().replace(b'"i":%d' % (size - 1), b'"i":%d' % size))
        out = log.export()
        assert tools.lines(out)[-1]["i"] == size - 1
        assert log.summary.problems == ()


def test_a_log_that_was_purged_is_exported_from_where_it_begins(tmp_path: Path, tools: Any) -> None:
    log = tools.build(tmp_path / "data")
    log.grow([tools.noon + day * tools.day_ms for day in (2, 3) for _ in range(300)])
    for name in ("2026-11-24", "2026-11-25", "2026-11-26"):
        (log.folder / "day" / f"{name}.jsonl.zst").unlink()
    (log.folder / "tile" / "0" / "000").unlink()
    out = log.export()
    assert [line["i"] for line in tools.lines(out)] == list(range(len(log.at) + 301, len(log.at) + 601))
    assert log.summary.problems == ()


MANY = """
import sys, resource
from pathlib import Path
from moderation.values.ids import PersonId
from storage.journal.record_keys import PersonKeys
from storage.journal.record import Draft, Part
from storage.journal.journal import Journal
from storage.export.export import ExportRequest, export
from storage.export.selection import Selection
from bot.texts.catalog_words import CatalogWords
from tests.examples import tried
from storage.database.place import DatabasePlace

data, count, every = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
noon = 1_795_521_600_000
def message(i):
    user = "@u%d:example.org" % (i % 7)
    data = {"mxid": user, "ev": "$" + "e" * 43, "ts": noon, "body": "text %d " % i * 20}
    return Draft("message", noon + i, "G-7F3K", parts=(Part(PersonId(user), data),))
if not data.exists():
    with Journal.open(data, "example.org/log", PersonKeys.open(DatabasePlace(data)), noon) as journal:
        for at in range(0, count, 1000):
            journal.append([message(i) for i in range(at, at + 1000)])
        journal.close(noon)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
selection = Selection() if every == "all" else Selection(persons=frozenset({"@u3:example.org"}))
steps = []
request, out = ExportRequest(selection, noon, "me", "why"), data.parent / (every + ".zip")
summary = export(data / "records", out, request, CatalogWords("en"), progress=lambda *step: steps.append(step))
assert not summary.problems, summary.problems
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(summary.records, after - before, len({step[0] for step in steps}))
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("many") / "data"


@pytest.mark.long
class TestEightThousandRecords:
    @pytest.mark.parametrize(("which", "count"), [("all", 8_001), ("one", 1_144)])
    def test_are_exported_in_bounded_memory_and_check(self, many: Path, tools: Any, which: str, count: int) -> None:
        command = [sys.executable, "-c", MANY, str(many), "8000", which]
        root = str(Path(__file__).parents[4])
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
        assert ran.returncode == 0, ran.stderr
        records, grown_kib, stages = map(int, ran.stdout.split())
        assert (records, stages) == (count, 3)
        assert grown_kib < 3 * 8_000
        assert "proofs/tree.txt" in zipfile.ZipFile(many.parent / f"{which}.zip").namelist()
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        checked = tools.run_verify(many.parent / f"{which}.zip")
        assert checked.code == 0, checked.out
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(before, 100_000)
