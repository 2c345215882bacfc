"""`answerable images`: hashes of pictures, for the lists of rules of kind `images`.

``hash --json``: a list of `file`, `sha256` and `hashes` (PDQ; [] if it is no picture, or has too little in it).

Left to others: the hashing (`bot/effects/picture_hash.py`), the comparing (`moderation/rules/images.py`).
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from moderation.values.errors import Refused

from .terminal.options import AsJson, new_app
from .terminal.output import FAILED, as_json, say, tell, text

app = new_app("cli.images.help")


@app.callback()
def images() -> None:
    """Hold the commands."""


@app.command("hash", help=text("cli.images.hash_help"), epilog=text("cli.images.hash_epilog"))
def hash_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False, readable=True)],
    sha256: Annotated[bool, typer.Option("--sha256", help=text("cli.images.sha256"))] = False,
    json: AsJson = False,
) -> None:
    """Print the hashes of files, one on each line."""
    if not sha256 and find_spec("PIL") is None:
        raise Refused("cli.images.extra")
    found = [_hashes(file, pictures=not sha256) for file in files]
    if json:
        as_json(found)
    else:
        for each in found:
            for value in [each["sha256"]] if sha256 else each["hashes"]:
                say("cli.images.line", hash=value, file=each["file"])
    without = [] if sha256 else [each["file"] for each in found if not each["hashes"]]
    for file in without:
        tell("cli.images.none", file=file)
    if without:
        raise typer.Exit(FAILED)


def _hashes(file: Path, *, pictures: bool) -> dict[str, Any]:
    from bot.effects.picture_hash import pdq_of

    data = file.read_bytes()
    hashes = list(pdq_of(data)) if pictures else []
    return {"file": str(file), "sha256": hashlib.sha256(data).hexdigest(), "hashes": hashes}
