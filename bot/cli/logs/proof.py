"""`answerable logs proof N`: prove that record N is in the signed log, to anybody with the log's key (C2SP tlog-proof).

A proof holds hashes and a checkpoint, nothing of the record; so no reason is needed. ``--json``: an object with the
keys `index`, `size`, `origin`, `leaf` (the leaf hash), `hashes` (base64, the leaf's sibling first), `root`,
`checkpoint` (the signed note) and `proof` (the proof file).

Left to others: making it (`storage/journal/transparency/tlog_proof.py`).
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.access.access_reason import DataDir, data_dir_of
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile
from bot.cli.terminal.output import as_json, tell, text
from moderation.values.errors import Invalid, Refused


def proof(
    number: Annotated[int, typer.Argument(metavar="N", min=0, help=text("cli.logs.option.number"))],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help=text("cli.logs.option.out"))] = None,
    json: AsJson = False,
    data_dir: DataDir = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Prove a record."""
    from storage.journal.transparency.tlog_proof import described

    folder = data_dir_of(data_dir, config_file) / "records"
    made = _make(folder, number)
    if out is not None:
        _write(out, made)
        tell("cli.logs.proof_written", file=out, number=str(number))
    if json:
        as_json(described(folder, made))
    elif out is None:
        sys.stdout.write(made)


def _make(folder: Path, number: int) -> str:
    from storage.journal.transparency.tlog_proof import prove

    try:
        return prove(folder, number)
    except FileNotFoundError as error:
        raise Refused("cli.logs.proof_unsigned") from error
    except LookupError as error:  # the tile of a purged record is gone, too
        raise Refused("cli.logs.proof_gone", number=str(number)) from error
    except Invalid as error:
        raise Invalid(text("cli.logs.proof_none", number=str(number), why=error)) from error


def _write(out: Path, made: str) -> None:
    try:
        with out.open("x", encoding="utf-8", newline="\n") as file:
            file.write(made)
    except FileExistsError:
        raise Invalid(text("cli.logs.out_exists", file=out)) from None
    except OSError as error:
        raise Refused("cli.logs.out_failed", file=out, why=error.strerror or str(error)) from error
