"""`answerable logs verify` with a checkpoint that somebody copied from a chat, and with the key of a witness."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.cli.main import run
from storage.journal.transparency.cosignature import Cosigner
from storage.journal.transparency.daily_checkpoints import Closings
from storage.journal.transparency.signed_note import Signer
from tests.proofs import cosign

DAY = "2026-11-24"
SEED = bytes(range(32))
WITNESS = Cosigner("witness.example.net/w1", Signer("-", SEED).verifier.key)
CONFIG = """[homeserver]
url = "https://matrix.example.org"
user = "@answerable:example.org"
[anchors]
witness_url = "https://witness.example.net"
witness_vkey = "{vkey}"
"""
Call = Callable[..., tuple[int, str]]


@pytest.fixture
def note(place: Any, tools: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Provide the closing checkpoint of the log's first day."""
    monkeypatch.setenv("ANSWERABLE_LANG", "en")
    with place.open() as journal:
        journal.append([tools.message()])
        journal.close_day(tools.noon + tools.day_ms)
        journal.append([tools.message("later", at_ms=tools.noon + tools.day_ms)])
        journal.close(tools.noon + tools.day_ms)
    return Closings(place.folder).read(DAY).note


@pytest.fixture
def verify(place: Any, note: str, capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str, config: Path | None = None) -> tuple[int, str]:
        where = ["--config", str(config)] if config else ["--data-dir", str(place.data_dir)]
        with pytest.raises(SystemExit) as ended:
            run(["logs", "verify", *where, *arguments])
        code = ended.value.code
        said = capsys.readouterr()
        return (code if isinstance(code, int) else 0), " ".join((said.out + said.err).split())

    return call


@pytest.mark.parametrize(
    "copied",
    [
        lambda note: note,
        lambda note: note.rstrip("\n"),
        lambda note: f"\n  {note}\n\n",
        lambda note: note.replace("\n", "\r\n"),
        lambda note: f"Closing checkpoint of {DAY}: keep it.\n```\n{note}```",
    ],
)
def test_a_checkpoint_may_be_copied_as_clients_copy(
    tmp_path: Path, verify: Call, note: str, copied: Callable[[str], str]
) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_bytes(copied(note).encode())
    code, said = verify("--against", str(kept))
    assert (code, "continue" in said) == (0, True)


def test_a_checkpoint_of_another_history_shows(tmp_path: Path, verify: Call, note: str, place: Any) -> None:
    signer = Signer.parse((place.data_dir / "keys" / "log.key").read_text().strip())
    origin, size, _ = note.split("\n")[:3]
    kept = tmp_path / "kept.txt"
    kept.write_text(signer.sign(f"{origin}\n{size}\n{'A' * 43}=\n"))
    code, said = verify("--against", str(kept))
    assert (code, "another root" in said) == (1, True)


def test_a_damaged_cosignature_is_told_with_the_name_of_the_witness_once_its_key_is_known(
    verify: Call, place: Any
) -> None:
    Closings(place.folder).add_lines(DAY, [cosign(WITNESS.name, SEED, "another text\n", 5)])
    assert verify()[0] == 0
    code, said = verify("--witness", WITNESS.text)
    assert code == 1
    assert f"checkpoints/{DAY}.ckpt" in said
    assert "cosignature of the witness witness.example.net/w1 is not valid" in said
    config = place.data_dir.parent / "config.toml"
    config.write_text(CONFIG.format(vkey=WITNESS.text))
    assert verify(config=config)[0] == 1


def test_an_invalid_witness_key_is_reported(verify: Call) -> None:
    code, said = verify("--witness", "witness.example.net")
    assert (code, "witness" in said) == (2, True)
