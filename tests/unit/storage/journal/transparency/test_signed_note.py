"""Signed notes and checkpoints against the examples of the specifications and of Go's sumdb."""

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.values.errors import Broken, Invalid
from storage.journal.transparency.checkpoint import Checkpoint, open_checkpoint
from storage.journal.transparency.log_key import load_or_create, read_verifier
from storage.journal.transparency.signed_note import NoteVerifier, Signer, open_note

# C2SP signed-note, "Example".
C2SP_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ER"
    "YNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# golang.org/x/mod/sumdb/note, the example of its documentation.
GO_SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = GO_TEXT + (
    "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
KEY = Signer.generate("example.org/log")
ROOT = bytes(range(32))


def test_the_example_of_the_specification() -> None:
    assert open_note(C2SP_NOTE, [NoteVerifier.parse(C2SP_VKEY)]) == "This is an example message.\n"
    assert NoteVerifier.parse(C2SP_VKEY).text == C2SP_VKEY


def test_the_same_key_and_text_give_the_bytes_that_go_gives() -> None:
    signer = Signer.parse(GO_SKEY)
    assert (signer.text, signer.verifier.text, signer.sign(GO_TEXT)) == (GO_SKEY, GO_VKEY, GO_NOTE)


def test_empty_lines_belong_to_the_text_up_to_the_last() -> None:
    note = KEY.sign("one\n\ntwo\n")
    assert open_note(note, [KEY.verifier]) == "one\n\ntwo\n"


def test_signatures_of_strangers_are_ignored_but_do_not_suffice() -> None:
    other = Signer.generate("example.org/witness")
    both = KEY.sign("text\n") + other.sign("text\n").partition("\n\n")[2]
    assert open_note(both, [KEY.verifier]) == "text\n"
    assert open_note(both, [KEY.verifier, other.verifier]) == "text\n"
    with pytest.raises(Invalid, match="none of its signatures"):
        open_note(both, [Signer.generate("example.org/log").verifier])


def test_a_bad_signature_of_a_known_key_rejects_a_note_with_a_good_one() -> None:
    good = KEY.sign("text\n")
    bad = KEY.sign("else\n").partition("\n\n")[2]
    with pytest.raises(Invalid, match="does not hold"):
        open_note(good + bad, [KEY.verifier])


@given(st.integers(0, len(GO_NOTE.encode()) - 1), st.integers(1, 255))
def test_no_changed_byte_passes(at: int, change: int) -> None:
    data = bytearray(GO_NOTE.encode())
    data[at] ^= change
    with pytest.raises((Invalid, UnicodeDecodeError)):
        open_note(data.decode(), [NoteVerifier.parse(GO_VKEY)])


@given(st.text(max_size=200))
def test_any_text_is_judged_without_an_accident(text: str) -> None:
    for judge in (
        lambda: open_note(text, [KEY.verifier]),
        lambda: NoteVerifier.parse(text),
        lambda: Checkpoint.parse(text),
    ):
        with pytest.raises(Invalid):
            judge()


@pytest.mark.parametrize("at", range(len(GO_VKEY)))
def test_no_altered_verifier_key_is_accepted(at: int) -> None:
    altered = GO_VKEY[:at] + chr(ord(GO_VKEY[at]) + 1) + GO_VKEY[at + 1 :]
    with pytest.raises(Invalid):
        NoteVerifier.parse(altered)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb"])
def test_names_a_key_cannot_have(name: str) -> None:
    with pytest.raises(Invalid):
        Signer.generate(name)


def test_a_key_is_not_shown() -> None:
    assert base64.b64encode(KEY.seed).decode() not in repr(KEY)
    assert repr(KEY.seed) not in repr(KEY)


def test_a_checkpoint_there_and_back() -> None:
    checkpoint = Checkpoint("example.org/log", 740, ROOT)
    assert checkpoint.text == "example.org/log\n740\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert open_checkpoint(checkpoint.signed(KEY), [KEY.verifier]) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "example.org/log\n0740\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "example.org/log\n-1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "example.org/log\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n",
        "example.org/log\n1\nAAEC\n",
        "\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "example.org/log\n9999999999999999\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    ],
)
def test_texts_that_are_no_checkpoint(text: str) -> None:
    with pytest.raises(Invalid):
        Checkpoint.parse(text)


def test_extension_lines_are_ignored() -> None:
    text = Checkpoint("example.org/log", 1, ROOT).text + "an extension\n"
    assert Checkpoint.parse(text) == Checkpoint("example.org/log", 1, ROOT)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(Invalid, match="other"):
        open_checkpoint(Checkpoint("other", 1, ROOT).signed(KEY), [KEY.verifier])


def test_the_key_is_made_once_and_kept_secret(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    signer = load_or_create(tmp_path, folder, "example.org/log")
    assert load_or_create(tmp_path, folder, "another.name") == signer
    assert read_verifier(folder) == signer.verifier
    assert stat.S_IMODE((tmp_path / "keys/log.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_lost_or_exchanged_key_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    load_or_create(tmp_path, folder, "example.org/log")
    (folder / "log.vkey").write_text(GO_VKEY + "\n")
    with pytest.raises(Broken, match=r"log\.vkey"):
        load_or_create(tmp_path, folder, "example.org/log")
    (tmp_path / "keys/log.key").unlink()
    with pytest.raises(Broken, match=r"log\.key"):
        load_or_create(tmp_path, folder, "example.org/log")
