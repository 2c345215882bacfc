"""Cosignatures against the text of C2SP tlog-cosignature and keys published by others."""

import base64
import hashlib
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from moderation.values.errors import Invalid
from storage.journal.transparency.checkpoint import open_checkpoint
from storage.journal.transparency.cosignature import Cosigner, cosigned, lines_of, with_lines
from storage.journal.transparency.signed_note import Signer
from tests.proofs import cosign

# github.com/transparency-dev/formats, note/note_cosigv1_test.go: a key of type 4, and one of type 1.
WITNESS_VKEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
NOTE_VKEY = "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6"
# C2SP tlog-cosignature, the example: its time line says 1679315147.
EXAMPLE = "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="

LOG = Signer.generate("example.org/log")
SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
WITNESS = Cosigner("witness.example.net/w1", PUBLIC)
TEXT = f"example.org/log\n740\n{base64.b64encode(bytes(32)).decode()}\n"
NOTE = LOG.sign(TEXT)
LINE = cosign(WITNESS.name, SEED, TEXT, 1_679_315_147)


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
    assert lines_of(note, WITNESS) == [LINE]
    assert with_lines(note, [LINE]) == note


def test_of_several_times_the_newest_counts() -> None:
    assert cosigned(with_lines(NOTE, [cosign(WITNESS.name, SEED, TEXT, 1), LINE]), WITNESS) == 1_679_315_147


def test_lines_of_others_are_ignored() -> None:
    other = cosign("other.example.net/w", bytes(32), "something else\n", 5)
    same_name = cosign(WITNESS.name, bytes(32), "something else\n", 5)
    note = with_lines(NOTE, [other, same_name])
    assert cosigned(note, WITNESS) is None
    assert lines_of(note, WITNESS) == []


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
