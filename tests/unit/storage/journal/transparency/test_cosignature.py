"""Cosignatures against the text of C2SP tlog-cosignature and keys published by others."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from moderation.values.errors import Invalid
from storage.journal.transparency.checkpoint import open_checkpoint
from storage.journal.transparency.cosignature import ML_DSA_44, Cosigner, cosigned, lines_of, with_lines
from storage.journal.transparency.signed_note import Signer
from tests.proofs import cosign

# github.com/transparency-dev/formats, note/note_cosigv1_test.go: a key of type 4, and one of type 1.
WITNESS_VKEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
NOTE_VKEY = "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6"
# C2SP tlog-cosignature, the example: its time line says 1679315147.
EXAMPLE = "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="

VECTORS = Path(__file__).parent / "vectors"
# filippo.io/torchwood v0.10.0, cmd/litewitness/testdata/mldsa.txt: a log that signs its checkpoint with type 6, time 0.
TORCHWOOD_VKEY = (VECTORS / "torchwood.vkey").read_text("ascii").strip()
TORCHWOOD_NOTE = (VECTORS / "torchwood.ckpt").read_text("utf-8")

LOG = Signer.generate("example.org/log")
SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
WITNESS = Cosigner("witness.example.net/w1", PUBLIC)
TEXT = f"example.org/log\n740\n{base64.b64encode(bytes(32)).decode()}\n"
NOTE = LOG.sign(TEXT)
LINE = cosign(WITNESS.name, SEED, TEXT, 1_679_315_147)


TREE_KEY = MLDSA44PrivateKey.from_seed_bytes(SEED)
TREE_WITNESS = Cosigner(WITNESS.name, TREE_KEY.public_key().public_bytes_raw(), ML_DSA_44)


def vkey_of(name: str, key: bytes) -> str:
    stated = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex()
    return f"{name}+{stated}+{base64.b64encode(key).decode()}"


def tree_line(signed: bytes, at_s: int, cosigner: Cosigner = TREE_WITNESS) -> str:
    blob = cosigner.key_id + at_s.to_bytes(8) + TREE_KEY.sign(signed)
    return f"— {cosigner.name} {base64.b64encode(blob).decode()}\n"


def tree_message(
    *,
    label: bytes = b"subtree/v1\n\0",
    name: bytes = b"witness.example.net/w1",
    at_s: int = 1_679_315_147,
    origin: bytes = b"example.org/log",
    start: int = 0,
    end: int = 740,
    root: bytes = bytes(32),
) -> bytes:
    names = bytes([len(name)]) + name + at_s.to_bytes(8) + bytes([len(origin)]) + origin
    return label + names + start.to_bytes(8) + end.to_bytes(8) + root


def test_a_line_is_made_as_the_specification_says() -> None:
    message = f"cosignature/v1\ntime 1679315147\n{TEXT}".encode()
    key_id = hashlib.sha256(b"witness.example.net/w1\n\x04" + PUBLIC).digest()[:4]
    blob = key_id + bytes.fromhex("00000000641850cb") + Ed25519PrivateKey.from_private_bytes(SEED).sign(message)
    assert f"— witness.example.net/w1 {base64.b64encode(blob).decode()}\n" == LINE
    assert base64.b64decode(EXAMPLE)[4:12] == blob[4:12]


def test_a_published_key_is_read_and_written_back() -> None:
    assert Cosigner.parse(WITNESS_VKEY).text == WITNESS_VKEY
    assert Cosigner.parse(WITNESS.text) == WITNESS


def test_a_key_published_as_one_for_notes_is_taken_as_one_for_cosignatures() -> None:
    cosigner = Cosigner.parse(NOTE_VKEY)
    assert cosigner.text.split("+", 2)[2] == "BAcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6"
    assert Cosigner.parse(cosigner.text) == cosigner


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "witness",
        WITNESS_VKEY.replace("da77ade7", "da77ade8"),
        WITNESS_VKEY.replace("remora", "remore"),
        NOTE_VKEY.replace("TEST", "TSET"),
        f"w+12345678+{base64.b64encode(b'm' + bytes(1312)).decode()}",
        TORCHWOOD_VKEY.replace("b5df45c5", "b5df45c4"),
        TORCHWOOD_VKEY.replace("mldsa-log", "mldsa-lag"),
        vkey_of("w", b"\x06" + bytes(32)),
        vkey_of("w", b"\x04" + bytes(1312)),
        vkey_of("w", b"\x06" + bytes(1311)),
        vkey_of("w", b"\x05" + bytes(32)),
        WITNESS_VKEY + "\n",
    ],
)
def test_an_invalid_key_is_refused(vkey: str) -> None:
    with pytest.raises(Invalid):
        Cosigner.parse(vkey)


def test_a_cosigned_checkpoint_still_opens_and_tells_when_it_was_seen() -> None:
    note = with_lines(NOTE, [LINE])
    assert open_checkpoint(note, [LOG.verifier]).size == 740
    assert cosigned(note, WITNESS) == 1_679_315_147
    assert lines_of(note, [WITNESS]) == [LINE]
    assert with_lines(note, [LINE]) == note


def test_of_several_times_the_newest_counts() -> None:
    assert cosigned(with_lines(NOTE, [cosign(WITNESS.name, SEED, TEXT, 1), LINE]), WITNESS) == 1_679_315_147


def test_lines_of_others_are_ignored() -> None:
    other = cosign("other.example.net/w", bytes(32), "something else\n", 5)
    same_name = cosign(WITNESS.name, bytes(32), "something else\n", 5)
    note = with_lines(NOTE, [other, same_name])
    assert cosigned(note, WITNESS) is None
    assert lines_of(note, [WITNESS]) == []


@given(st.integers(4, 75), st.integers(1, 255))
def test_a_line_of_a_known_key_must_hold(at: int, flip: int) -> None:
    blob = bytearray(base64.b64decode(LINE.split(" ")[2]))
    blob[at] ^= flip
    damaged = f"— {WITNESS.name} {base64.b64encode(blob).decode()}\n"
    with pytest.raises(Invalid, match=re.escape(WITNESS.name)):
        cosigned(NOTE + damaged, WITNESS)


def test_a_line_for_another_text_does_not_hold() -> None:
    with pytest.raises(Invalid):
        cosigned(with_lines(LOG.sign(TEXT.replace("740", "741")), [LINE]), WITNESS)


def test_a_line_that_is_too_short_or_from_beyond_time_does_not_hold() -> None:
    blob = base64.b64decode(LINE.split(" ")[2])
    for wrong in (blob[:-1], blob + b"x", blob[:4] + b"\xff" + blob[5:]):
        with pytest.raises(Invalid):
            cosigned(f"{NOTE}— {WITNESS.name} {base64.b64encode(wrong).decode()}\n", WITNESS)


class TestMlDsa44:
    """C2SP tlog-cosignature, "ML-DSA-44 signed message"."""

    def test_a_checkpoint_signed_by_another_implementation_holds(self) -> None:
        cosigner = Cosigner.parse(TORCHWOOD_VKEY)
        assert (cosigner.algorithm, cosigner.text) == (ML_DSA_44, TORCHWOOD_VKEY)
        assert cosigned(TORCHWOOD_NOTE, cosigner) == 0
        assert len(lines_of(TORCHWOOD_NOTE, [cosigner])) == 1

    @pytest.mark.parametrize(
        ("stood", "put"), [("mldsa-log\n1\n", "mldsa-log\n2\n"), ("/mldsa-log\n1", "/mldsa-lag\n1"), ("+zoE", "+zoF")]
    )
    def test_an_altered_checkpoint_of_another_implementation_does_not(self, stood: str, put: str) -> None:
        assert stood in TORCHWOOD_NOTE
        with pytest.raises(Invalid):
            cosigned(TORCHWOOD_NOTE.replace(stood, put, 1), Cosigner.parse(TORCHWOOD_VKEY))

    def test_lines_of_both_kinds_tell_when_the_witness_saw_it(self) -> None:
        note = with_lines(NOTE, [LINE, tree_line(tree_message(at_s=1_679_315_150), 1_679_315_150)])
        assert open_checkpoint(note, [LOG.verifier]).size == 740
        assert (cosigned(note, WITNESS), cosigned(note, TREE_WITNESS)) == (1_679_315_147, 1_679_315_150)
        assert cosigned(note, WITNESS, TREE_WITNESS) == 1_679_315_150
        assert lines_of(note, [TREE_WITNESS, WITNESS]) == note.splitlines(keepends=True)[-2:]
        assert Cosigner.parse(TREE_WITNESS.text) == TREE_WITNESS

    @pytest.mark.parametrize(
        "signed",
        [
            tree_message(label=b"mtc-subtree/v1\n\0"),
            tree_message(name=b"witness.example.net/w2"),
            tree_message(at_s=1_679_315_148),
            tree_message(origin=b"example.org/lag"),
            tree_message(start=1),
            tree_message(end=741),
            tree_message(root=bytes(31) + b"x"),
            f"cosignature/v1\ntime 1679315147\n{TEXT}".encode(),
        ],
    )
    def test_a_signature_over_anything_else_does_not_hold(self, signed: bytes) -> None:
        with pytest.raises(Invalid, match=re.escape(WITNESS.name)):
            cosigned(NOTE + tree_line(signed, 1_679_315_147), TREE_WITNESS)

    def test_a_line_that_is_cut_or_of_the_other_kind_does_not_hold(self) -> None:
        blob = base64.b64decode(tree_line(tree_message(), 1_679_315_147).split(" ")[2])
        wrong = [blob[:-1], blob + b"x", blob[:12], blob[:5], blob[:4] + b"\xff" + blob[5:], blob[:76]]
        wrong.append(blob[:4] + base64.b64decode(LINE.split(" ")[2])[4:])
        for each in wrong:
            with pytest.raises(Invalid):
                cosigned(f"{NOTE}— {WITNESS.name} {base64.b64encode(each).decode()}\n", TREE_WITNESS)

    @given(st.integers(4, 2431), st.integers(1, 255))
    def test_a_line_of_a_known_key_must_hold(self, at: int, flip: int) -> None:
        blob = bytearray(base64.b64decode(tree_line(tree_message(), 1_679_315_147).split(" ")[2]))
        blob[at] ^= flip
        with pytest.raises(Invalid):
            cosigned(f"{NOTE}— {WITNESS.name} {base64.b64encode(blob).decode()}\n", TREE_WITNESS)

    def test_a_valid_line_does_not_excuse_an_invalid_one_of_the_same_witness(self) -> None:
        contradicting = tree_line(tree_message(root=bytes(31) + b"x"), 1_679_315_147)
        with pytest.raises(Invalid):
            cosigned(NOTE + LINE + contradicting, WITNESS, TREE_WITNESS)
        assert cosigned(NOTE + LINE + contradicting, WITNESS) == 1_679_315_147

    def test_the_longest_names_fit_and_longer_ones_do_not_hold(self) -> None:
        for length, holds in ((255, True), (256, False)):
            name = "w" * length
            cosigner = Cosigner(name, TREE_WITNESS.key, ML_DSA_44)
            line = tree_line(tree_message(name=b"w" * 255), 1_679_315_147, cosigner)
            assert (cosigner.time_in(TEXT, base64.b64decode(line.split(" ")[2])) is not None) == holds

    def test_a_text_that_is_no_checkpoint_cannot_be_cosigned(self) -> None:
        blob = base64.b64decode(tree_line(tree_message(), 1_679_315_147).split(" ")[2])
        assert TREE_WITNESS.time_in("This is an example message.\n", blob) is None
