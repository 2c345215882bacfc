"""The proof of a record: the hashes that lead from it to the signed root, drawn, and computed again.

A manager sees the proofs of the records of their own cases; no words are in them.
"""

import asyncio
import base64
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.console.draw.path import PathStep, draw_path
from bot.console.draw.svg import DrawingWords
from bot.console.visit import Bad, NoPage, Route, Visit
from moderation.values.errors import Broken, Invalid
from storage import queries
from storage.journal.reader import Log
from storage.journal.retention.purge import read_min_index
from storage.journal.transparency.checkpoint import open_checkpoint
from storage.journal.transparency.log_key import read_verifier
from storage.journal.transparency.proof import AuditStep, Prover, climb
from storage.journal.transparency.tiles import Tiles
from storage.journal.transparency.tlog_proof import TlogProof, described, prove

from .record import line_of


async def proof(visit: Visit) -> web.StreamResponse:
    """Show the proof of a record."""
    index = visit.number("index")
    await _check_rights(visit, index)
    made = await asyncio.to_thread(_proved, visit.site.log, index)
    if visit.wants_json:
        return visit.page("proof.html", json=made["json"])
    words = DrawingWords(visit.site.catalog, visit.language)
    title = words.text("console.proof.title", index=str(index))
    steps = [PathStep(each.side, each.start, each.stop, each.hash.hex()) for each in made["steps"]]
    way: list[bytes] = made["way"]
    drawn = draw_path(index, made["size"], way[0].hex(), steps, way[-1].hex(), title, words)
    return visit.page("proof.html", section="records", index=index, drawn=drawn, **made)


async def file(visit: Visit) -> web.Response:
    """Hand over the proof as a file, as `logs proof --out` writes it."""
    index = visit.number("index")
    await _check_rights(visit, index)
    made = await asyncio.to_thread(_proved, visit.site.log, index)
    name = f'attachment; filename="{index}.tlog-proof"'
    return web.Response(text=made["json"]["proof"], content_type="text/plain", headers={"Content-Disposition": name})


async def _check_rights(visit: Visit, index: int) -> None:
    """Let managers see the records of their own cases. Raises `NoPage`."""
    if visit.visitor.kind == "operator":
        return
    n = await asyncio.to_thread(_case_of, visit.site.log, index)
    case = await queries.case_view(visit.db, n) if n else None
    if case is None or not visit.rights.may_see(case.room):
        raise NoPage


def _case_of(log: Log, index: int) -> int:
    try:
        n = line_of(log, index).skeleton.get("n", 0)
    except (LookupError, Broken):
        return 0
    return n if type(n) is int else 0


def _proved(log: Log, index: int) -> dict[str, Any]:
    """Return the proof of a record, and what it comes to. Raises `NoPage`, or `Bad` with what is in the way."""
    folder = log.folder
    try:
        text = prove(folder, index)
        shown = described(folder, text)
        leaf, note = base64.b64decode(str(shown["leaf"])), TlogProof.parse(text).note
        size, root = int(str(shown["size"])), base64.b64decode(str(shown["root"]))
        steps: list[AuditStep] = Prover(Tiles(folder / "tile")).path(index, size)
    except FileNotFoundError:
        raise Bad("console.proof.unsigned", 409) from None
    except LookupError:
        below = read_min_index(folder) or 0
        if index < below:
            raise Bad("console.record.purged", 410, first=str(below)) from None
        raise Bad("console.proof.no_tiles", 503) from None
    except Invalid:  # the newest checkpoint does not cover it
        if _leaf_of(log, index):
            raise Bad("console.proof.not_yet", 409) from None
        raise NoPage from None
    way = climb(leaf, steps)
    return {
        "json": shown,
        "size": size,
        "steps": steps,
        "way": way,
        "leads": way[-1] == root,
        "is_ours": leaf == _leaf_of(log, index),
        "signed_by": _signed_by(folder, note),
        "note": note,
    }


def _leaf_of(log: Log, index: int) -> bytes:
    """Return the hash of the record as it stands in the log; b"" if it cannot be read."""
    try:
        return line_of(log, index).leaf
    except (LookupError, Broken):
        return b""


def _signed_by(folder: Path, note: str) -> str:
    """Return the name of the key that signed the checkpoint; "" if the signature does not hold."""
    try:
        verifier = read_verifier(folder)
        open_checkpoint(note, [verifier])
    except (Invalid, OSError):
        return ""
    return verifier.text


ROUTES = (
    Route("GET", "/records/{index}/proof", proof),
    Route("GET", "/records/{index}/proof.txt", file),
)
