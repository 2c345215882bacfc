"""`verify.py` finds a change of any single byte of an export, and nothing makes it crash."""

import hashlib
import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.export import verify
from tests.examples import tried


class TestOneByte:
    """A change of any single byte is found, and nothing crashes."""

    @settings(max_examples=tried(150), deadline=None)
    @given(data=st.data())
    def test_of_a_file(self, unpacked: Path, data: st.DataObject) -> None:
        names = sorted(path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file())
        name = data.draw(st.sampled_from(names))
        original = (unpacked / name).read_bytes()
        place = data.draw(st.integers(0, len(original) - 1))
        value = data.draw(st.integers(0, 255).filter(lambda value: value != original[place]))
        with changed(unpacked / name, original[:place] + bytes([value]) + original[place + 1 :]):
            run = verify.check(unpacked)
        assert run.problems
        assert not any("any further" in problem for problem in run.problems)

    def test_of_a_checkpoint_that_becomes_what_some_call_an_end_of_line(self, unpacked: Path) -> None:
        original = (unpacked / "checkpoint").read_bytes()
        for place, byte in enumerate(original):
            look = verify.check if byte == ord("\n") else checkpoint_alone  # what follows is the same for all
            for value in (0x0B, 0x0C, 0x1C, 0x85):
                with changed(unpacked / "checkpoint", original[:place] + bytes([value]) + original[place + 1 :]):
                    run = look(unpacked)
                assert any(problem.startswith("checkpoint: ") for problem in run.problems)
                assert not any("any further" in problem for problem in run.problems)

    @settings(max_examples=tried(100), deadline=None)
    @given(data=st.data())
    def test_of_a_record_or_proof_whose_sum_fits(self, unpacked: Path, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(["records.jsonl", "proofs/9.tlog-proof", "checkpoint", "log.vkey"]))
        original, sums = (unpacked / name).read_bytes(), (unpacked / "SHA256SUMS").read_text()
        place = data.draw(st.integers(0, len(original) - 1))
        value = data.draw(st.integers(33, 126).filter(lambda value: value != original[place]))
        forged = original[:place] + bytes([value]) + original[place + 1 :]
        fitting = sums.replace(hashlib.sha256(original).hexdigest(), hashlib.sha256(forged).hexdigest())
        with changed(unpacked / name, forged), changed(unpacked / "SHA256SUMS", fitting.encode()):
            run = verify.check(unpacked)
        assert run.problems or same_meaning(original, forged)

    @settings(max_examples=tried(150), deadline=None)
    @given(data=st.data())
    def test_of_a_zip(self, whole: Path, scratch: Path, data: st.DataObject) -> None:
        original = bytearray(whole.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
        (scratch / "x.zip").write_bytes(original[: data.draw(st.integers(len(original) // 2, len(original)))])
        run = verify.check(scratch / "x.zip")  # some bytes of a zip mean nothing: times, flags, comments
        assert isinstance(run.problems, list)


def checkpoint_alone(folder: Path) -> verify.Check:
    """Check whether the checkpoint bears the log's signature, and nothing else."""
    run = verify.Check(verify.Folder(folder), None, None)
    run.look_at_names()
    run.look_at_key()
    run.look_at_checkpoint()
    return run


class changed:  # noqa: N801 - used as a statement
    """A file with other content, for a moment."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.content, self.before = path, content, path.read_bytes()

    def __enter__(self) -> None:
        self.path.write_bytes(self.content)

    def __exit__(self, *_: object) -> None:
        self.path.write_bytes(self.before)


def same_meaning(original: bytes, forged: bytes) -> bool:
    """Tell whether all lines have the same values: JSON has several spellings, such as \\u001B for \\u001b."""
    one, two = original.splitlines(), forged.splitlines()
    pairs = [(a, b) for a, b in zip(one, two, strict=False) if a != b]
    return len(one) == len(two) and all(json.loads(a) == json.loads(b) for a, b in pairs)
