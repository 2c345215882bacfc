"""The tests' witness and time stamping authority follow the specifications, as checked by independent means."""

import base64
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from storage.journal.transparency.signed_note import Signer
from tests.fakes.tsa import FakeTsa
from tests.fakes.witness import FakeWitness, Refused, is_consistent

KEY = Signer.generate("example.org/log")
LEAVES = [hashlib.sha256(b"\x00" + bytes([n])).digest() for n in range(20)]


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root exactly as RFC 6962, 2.1, defines it."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256().digest()
    at = split(len(leaves))
    return hashlib.sha256(b"\x01" + root(leaves[:at]) + root(leaves[at:])).digest()


def proof(old: int, leaves: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """Return the proof exactly as RFC 6962, 2.1.2, defines it."""
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    at = split(len(leaves))
    if old <= at:
        return [*proof(old, leaves[:at], whole=whole), root(leaves[at:])]
    return [*proof(old - at, leaves[at:], whole=False), root(leaves[:at])]


def split(width: int) -> int:
    return 1 << ((width - 1).bit_length() - 1)


def note(size: int, key: Signer = KEY, leaves: Sequence[bytes] = LEAVES) -> str:
    return key.sign(f"{key.name}\n{size}\n{base64.b64encode(root(leaves[:size])).decode()}\n")


def body(old: int, size: int, hashes: Sequence[bytes] | None = None, signed: str = "") -> str:
    given = hashes if hashes is not None else proof(old, LEAVES[:size]) if old else []
    lines = [f"old {old}", *(base64.b64encode(each).decode() for each in given)]
    return "\n".join(lines) + f"\n\n{signed or note(size)}"


class TestWitness:
    def test_accepts_every_right_proof_and_rejects_every_wrong_one(self) -> None:
        for new in range(1, 20):
            for old in range(1, new + 1):
                hashes = proof(old, LEAVES[:new])
                before, after = root(LEAVES[:old]), root(LEAVES[:new])
                assert is_consistent(old, new, list(hashes), before, after)
                assert not is_consistent(old, new, [*hashes, after], before, after)
                if hashes:
                    assert not is_consistent(old, new, hashes[1:], before, after)
                    assert not is_consistent(old, new, list(hashes), bytes(32), after)
                    assert not is_consistent(old, new, list(hashes), before, bytes(32))

    def test_cosigns_a_log_that_grows_and_remembers_how_far(self) -> None:
        witness = FakeWitness(KEY.verifier.text)
        for old, new in ((0, 3), (3, 7), (7, 7), (7, 20)):
            assert witness.add_checkpoint(body(old, new)).startswith("— witness.example.net/w1 ")
        assert witness.seen == {"example.org/log": (20, root(LEAVES))}

    @pytest.mark.parametrize(
        ("request_", "status"),
        [
            (body(5, 3, []), 400),
            ("old 07\n\n" + note(9), 400),
            ("old 7\n" + note(9), 400),
            (body(0, 9, [bytes(32)] * 64), 400),
            (body(7, 9, [bytes(31)]), 400),
            (body(0, 9), 409),
            (body(3, 9), 409),
            (body(8, 9), 409),
            (body(7, 7, signed=note(7, leaves=LEAVES[::-1])), 409),
            (body(7, 9, []), 422),
            (body(7, 9, [bytes(32)]), 422),
            (body(7, 9, signed=note(9, leaves=LEAVES[::-1])), 422),
            (body(7, 9, signed=note(9, Signer.generate("example.org/other"))), 404),
            (body(7, 9, signed=note(9, Signer.generate("example.org/log"))), 403),
        ],
    )
    def test_refuses_as_the_specification_says_and_forgets_nothing(self, request_: str, status: int) -> None:
        witness = FakeWitness(KEY.verifier.text)
        witness.add_checkpoint(body(0, 7))
        with pytest.raises(Refused) as refused:
            witness.add_checkpoint(request_)
        assert refused.value.status == status
        assert witness.seen == {"example.org/log": (7, root(LEAVES[:7]))}

    def test_a_rollback_is_answered_with_the_size_it_knows(self) -> None:
        witness = FakeWitness(KEY.verifier.text)
        witness.add_checkpoint(body(0, 7))
        with pytest.raises(Refused) as refused:
            witness.add_checkpoint(body(0, 3))
        assert (refused.value.text, refused.value.mimetype) == ("7\n", "text/x.tlog.size")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the second opinion is openssl's")
def test_a_stamp_holds_before_openssl(tmp_path: Path) -> None:
    tsa = FakeTsa()
    asked = TimestampRequestBuilder().data(b"said").hash_algorithm(HashAlgorithm.SHA256).build()
    for name, data in (
        ("said", b"said"),
        ("else", b"else"),
        ("r.tsr", tsa.respond(asked.as_bytes())),
        ("ca.pem", tsa.pem),
        ("q.tsq", asked.as_bytes()),
    ):
        (tmp_path / name).write_bytes(data)
    at = ["-in", "r.tsr", "-CAfile", "ca.pem", "-attime", "1795600000"]

    def verified(*what: str) -> bool:
        command = ["openssl", "ts", "-verify", *what, *at]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0

    assert verified("-data", "said")
    assert verified("-queryfile", "q.tsq")
    assert not verified("-data", "else")
