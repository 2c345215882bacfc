"""`answerable logs verify` with a joint checkpoint from a desk: what it says of this shard and of the others."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from bot.cli.logs.joint import joint_report, note_of_root
from bot.cli.main import run
from moderation.values.errors import Refused
from storage.database.place import DatabasePlace
from storage.journal.joint_table import JointTable
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.daily_checkpoints import Closings
from storage.journal.transparency.joint_checkpoint import JointCheckpoint, countersigned, joint_in
from storage.journal.transparency.log_key import load
from storage.journal.transparency.signed_note import Signer
from storage.journal.verify.signed import KeptCheckpoint
from storage.journal.verify.verify import verify

DAY, BASE = "2026-11-24", "example.org/answerable"
Call = Callable[..., tuple[int, Any]]
Shards = dict[str, Any]


@pytest.fixture
def shards(tmp_path: Path, place_in: Callable[[Path, str], Any], tools: Any) -> Shards:
    """Provide the places of two shards of one machine, with the first day closed."""
    made = {name: place_in(tmp_path / "data" / name, f"{BASE}/{name}") for name in ("one", "two")}
    for name, place in made.items():
        with place.open() as journal:
            journal.append([tools.message(f"of {name}")])
            journal.close_day(tools.noon + tools.day_ms)
            journal.append([tools.message("later", at_ms=tools.noon + tools.day_ms)])
            journal.close(tools.noon + tools.day_ms)
    return made


def closing(place: Any) -> Checkpoint:
    return Checkpoint.of_note(Closings(place.folder).read(DAY).note)


def signed(shards: Shards, *by: str, closings: list[Checkpoint] | None = None, without: tuple[str, ...] = ()) -> str:
    """Return the joint checkpoint of the day, signed by these shards."""
    covered = closings if closings is not None else [closing(place) for place in shards.values()]
    joint, note = JointCheckpoint.of(BASE, DAY, covered, without), ""
    signers = [load(shards[name].data_dir) for name in by]
    for signer in signers:
        note = countersigned(joint, signer, note, [each.verifier for each in signers])
    return note


@pytest.fixture
def check(shards: Shards, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("ANSWERABLE_LANG", "en")

    def call(note: str, *options: str, shard: str = "one") -> tuple[int, Any]:
        kept = tmp_path / "kept.txt"
        kept.write_text(f"Joint checkpoint, please keep it.\n```\n{note}```")
        where = ["--data-dir", str(shards[shard].data_dir)]
        with pytest.raises(SystemExit) as ended:
            run(["logs", "verify", *where, "--against", str(kept), *options])
        out = capsys.readouterr().out
        code = ended.value.code
        return (code if isinstance(code, int) else 0), json.loads(out) if "--json" in options else out

    return call


def states(said: Any) -> dict[str, str]:
    return {each["shard"]: each["state"] for each in said["joint"]["shards"]}


def codes(said: Any) -> list[str]:
    return [each["code"] for each in said["problems"]]


@pytest.mark.parametrize("shard", ["one", "two"])
def test_each_shard_is_verified_against_it(shards: Shards, check: Call, shard: str) -> None:
    note = signed(shards, "two", "one")
    code, said = check(note, "--json", shard=shard)
    other = "two" if shard == "one" else "one"
    assert (code, said["ok"], said["joint"]["day"], said["joint"]["stored"]) == (0, True, DAY, "unasked")
    assert states(said) == {shard: "verified", other: "same"}
    assert said["joint"]["root"] == note.splitlines()[2]


def test_it_says_so_in_words(shards: Shards, check: Call) -> None:
    code, said = check(signed(shards, "one", closings=[closing(shards["one"])], without=("two",)))
    assert code == 0
    assert "not in it, and named as missing" in " ".join(said.split())
    assert "No database was asked" in said


def test_changed_records_show(shards: Shards, check: Call) -> None:
    lie = Checkpoint(f"{BASE}/one", closing(shards["one"]).size, bytes(32))
    code, said = check(signed(shards, "one", closings=[lie, closing(shards["two"])]), "--json")
    assert code == 1
    assert states(said) == {"one": "other", "two": "same"}
    assert "fork" in codes(said)


def test_another_shard_whose_day_ends_otherwise_shows(shards: Shards, check: Call) -> None:
    lie = Checkpoint(f"{BASE}/two", 9, bytes(32))
    code, said = check(signed(shards, "one", closings=[closing(shards["one"]), lie]), "--json")
    assert (code, said["ok"], states(said)) == (1, True, {"one": "verified", "two": "other"})


def test_a_closing_checkpoint_that_is_gone_shows(shards: Shards, check: Call) -> None:
    note = signed(shards, "one")
    (shards["two"].folder / "checkpoints" / f"{DAY}.ckpt").unlink()
    code, said = check(note, "--json")
    assert (code, states(said)) == (1, {"one": "verified", "two": "gone"})


def test_a_shard_of_another_machine_is_no_problem(shards: Shards, check: Call) -> None:
    note = signed(shards, "one")
    shutil.rmtree(shards["two"].data_dir)
    assert states(check(note, "--json")[1]) == {"one": "verified", "two": "elsewhere"}


def test_a_copy_of_the_data_directory_may_have_any_name(shards: Shards, check: Call, tmp_path: Path) -> None:
    note = signed(shards, "one")
    shutil.copytree(shards["one"].data_dir, tmp_path / "given")
    shards["copy"] = SimpleNamespace(data_dir=tmp_path / "given")
    assert states(check(note, "--json", shard="copy")[1]) == {"one": "verified", "two": "elsewhere"}


def test_one_that_does_not_cover_this_log_proves_nothing_of_it(shards: Shards, check: Call) -> None:
    note = signed(shards, "two", closings=[closing(shards["two"])], without=("one",))
    code, said = check(note, "--json")
    assert (code, codes(said), states(said)) == (1, ["joint_without"], {"two": "same", "one": "without"})


def test_what_was_purged_is_not_said_to_be_changed(shards: Shards, check: Call, tools: Any) -> None:
    later_ms, now_ms = tools.noon + 2 * tools.day_ms, tools.noon + 400 * tools.day_ms
    with shards["one"].open(later_ms) as journal:
        journal.append([tools.message(f"m{n}", at_ms=later_ms) for n in range(1_200)])
        journal.close(later_ms)
    with shards["one"].open(now_ms) as journal:
        journal.append([tools.message("new", at_ms=now_ms)])
        note, below = signed(shards, "one"), journal.size - 1
        [by] = journal.append([tools.purge(below, now_ms)])
        journal.purge(below, by)
        journal.close(now_ms)
    code, said = check(note, "--json")
    assert (code, codes(said), states(said)) == (1, ["against_purged"], {"one": "purged", "two": "same"})


def test_a_shard_that_was_added_later_is_no_problem(shards: Shards) -> None:
    """Else each line that was kept before would fail for ever."""
    note = signed(shards, "one")
    settings = [SimpleNamespace(name=name, vkey=None) for name in ("one", "two", "three")]
    place, report = DatabasePlace(shards["one"].data_dir), verify(shards["one"].folder, against=note)
    found = joint_report(place, cast(Any, SimpleNamespace(shards=settings)), KeptCheckpoint(note), report)
    assert found is not None
    assert [(each.shard, each.state) for each in found.shards][-1] == ("three", "unnamed")
    assert found.ok


def test_an_altered_one_is_refused(shards: Shards, check: Call) -> None:
    note = signed(shards, "one").replace("closing two 2 ", "closing two 3 ")
    code, said = check(note, "--json")
    assert (code, codes(said), "joint" in said) == (1, ["joint_signature"], False)


def test_one_of_a_log_whose_key_is_not_here_is_refused(shards: Shards) -> None:
    """Without the keys of other shards, only what this log has signed counts."""
    folder = shards["one"].folder
    assert [each.code for each in verify(folder, against=signed(shards, "two")).problems] == ["joint_signature"]
    assert verify(folder, against=signed(shards, "two", "one")).problems == ()
    stranger = Signer.generate(f"{BASE}/two")
    forged = JointCheckpoint.of(BASE, DAY, [closing(shards["one"]), closing(shards["two"])], [])
    assert verify(folder, against=countersigned(forged, stranger)).problems


def test_a_root_does_not_prove_day_and_missing_shards(
    shards: Shards, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer of the database can show them otherwise under the root that somebody kept."""
    monkeypatch.setenv("ANSWERABLE_LANG", "en")
    true = signed(shards, "one", closings=[closing(shards["one"])])
    false = JointCheckpoint.of(BASE, "2031-01-01", [closing(shards["one"])], ["two"])
    forged = countersigned(false, Signer.generate(f"{BASE}/one"))
    for note, is_signed in ((true, True), (forged, False)):
        assert joint_in(note).root == false.root
        monkeypatch.setattr("bot.cli.logs.command.note_of_root", lambda *_, note=note: note)
        said = []
        for options in ([], ["--json"]):
            where = ["--data-dir", str(shards["one"].data_dir)]
            with pytest.raises(SystemExit) as ended:
                run(["logs", "verify", *where, "--against", false.root_text, *options])
            assert not ended.value.code
            said.append(capsys.readouterr().out)
        assert ("only what the database says" in " ".join(said[0].split())) == (not is_signed)
        assert json.loads(said[1])["joint"]["signed"] is is_signed


def test_a_root_that_the_database_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JointTable, "of_root", lambda *_: None)
    place = DatabasePlace(Path("/nowhere"), SecretStr("postgresql://127.0.0.1:1/none"), "one")
    with pytest.raises(Refused) as refused:
        note_of_root(place, "A" * 43 + "=")
    assert refused.value.key == "cli.logs.joint.no_root"


def test_a_root_is_refused_without_a_database_with_what_to_do(
    shards: Shards, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", "en")
    with pytest.raises(SystemExit) as ended:
        run(["logs", "verify", "--data-dir", str(shards["one"].data_dir), "--against", "A" * 43 + "="])
    assert ended.value.code == 1
    assert "none is used here. Save the whole message" in " ".join(capsys.readouterr().err.split())
