"""The export: a zip that a stranger can read without Matrix and check without us.

Rules kept here:
- The newest signed checkpoint is read first and nothing beyond it is exported.
- The zip appears complete or not at all, readable by its owner only, and never replaces another file.
- Before it appears it is checked by the same program that is in it.
- Memory does not grow with the number of records.
- Once all readable files are written, the log records what they are (`record`), and this record is added with the
  proofs, by the checkpoint that covers it; without `record` the export says that it has none.
- Before it appears the caller is told its SHA-256 and the number of records (`announce`). If `record` or `announce`
  fails there is no zip.

Left to others: which records (`choose.py`), which parts (`selection.py`), the words (`words.py`), who may (`bot/cli`).
"""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import BinaryIO, Literal, cast

import orjson

from moderation.values.errors import Invalid, Refused
from moderation.values.events import Json
from storage.journal import disk
from storage.journal.canonical import plain
from storage.journal.line_format import time_text
from storage.journal.transparency.checkpoint import Checkpoint, open_checkpoint
from storage.journal.transparency.log_key import read_verifier
from storage.journal.transparency.signed_note import MAX_NOTE_BYTES, NoteVerifier

from . import verify
from .bundle import Bundle
from .choose import Chosen, choose, lines_below
from .contents import NAME as RECORD
from .contents import Recorder, contents, record_line
from .media import Media, add_media, media_named
from .of_case import records_of_cases
from .page import About, Cases, Line, page
from .proofs import add_proofs
from .selection import Selection, with_parts_shown
from .words import Words

FORMAT = 2  # 1: without the log's own record of what is in it

Stage = Literal["choose", "write", "check"]
Progress = Callable[[Stage, int, int], None]  # the stage, records done, all records


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A request for an export: what is asked for, by whom and why."""

    selection: Selection
    made_at_ms: int
    by: str
    reason: str
    foreword: str = ""  # above README.txt
    more: Mapping[str, bytes] = field(default_factory=dict)  # further files: name -> content
    id: str = ""  # names the export in the log's own record of it


@dataclass(frozen=True, slots=True)
class Summary:
    """Result of an export. `problems`: what its own check found, as texts; then the log itself is damaged."""

    records: int
    supporting: int  # of these, records that only support the others
    withheld: int  # parts left out
    erased: int
    size: int  # records the checkpoint covers
    media: int
    sha256: str
    record: int | None = None  # the log's record of this export
    problems: tuple[str, ...] = ()


def export(
    folder: Path,
    out: Path,
    request: ExportRequest,
    words: Words,
    *,
    media: Media | None = None,
    record: Recorder | None = None,
    announce: Callable[[str, int], None] = lambda *_: None,
    progress: Progress = lambda *_: None,
) -> Summary:
    """Export records from the log in `folder` to the zip `out`.

    Raises `Refused` if nothing fits or `out` exists, `Broken` if a record cannot be read, `OSError` if the disk fails.
    """
    if out.exists():
        raise Refused("export.exists", out=out)
    verifier, checkpoint, note = _signed(folder)
    chosen = _choose(folder, request.selection, checkpoint.size, progress)
    numbers = chosen.all()
    number: int | None = None
    draft = out.with_name(f".{out.name}.{secrets.token_hex(4)}.tmp")
    try:
        with disk.replacing(draft, disk.SECRET_MODE) as file, tempfile.TemporaryFile(dir=out.parent) as spool:
            maker = _Maker(folder, request, words, chosen, checkpoint, progress, record is not None)
            with Bundle(file, request.made_at_ms) as bundle:
                maker.write(bundle, spool, verifier, media)
                if record is not None:
                    number = record(contents(request.id, numbers, bundle.sums))
                    before, (verifier, checkpoint, note) = checkpoint.size, _signed(folder)
                    bundle.add(RECORD, record_line(folder, number, before, checkpoint.size))
                    add_proofs(bundle, folder, [number], checkpoint.size, note)
                add_proofs(bundle, folder, numbers, checkpoint.size, note)
                bundle.add("checkpoint", note.encode())
                sha256 = bundle.close()
        checked = verify.check(draft, verifier.text, lambda done: progress("check", done, maker.count))
        announce(sha256, maker.count)
        _appear(draft, out)
    finally:
        draft.unlink(missing_ok=True)
    return Summary(
        records=maker.count,
        supporting=len(chosen.supporting),
        withheld=checked.withheld,
        erased=checked.erased,
        size=checkpoint.size,
        media=maker.media,
        sha256=sha256,
        record=number,
        problems=(*checked.problems, *(("...",) if checked.more else ())),
    )


def _signed(folder: Path) -> tuple[NoteVerifier, Checkpoint, str]:
    """Return the newest checkpoint. Raises `Refused` if none is valid: without it nothing can be proved."""
    try:
        verifier = read_verifier(folder)
        with (folder / "checkpoint").open("rb") as file:
            note = file.read(MAX_NOTE_BYTES + 1).decode("utf-8", "replace")
        return verifier, open_checkpoint(note, [verifier]), note
    except (Invalid, FileNotFoundError) as error:
        raise Refused("export.unsigned", why=error) from error


def _choose(folder: Path, selection: Selection, size: int, progress: Progress) -> Chosen:
    def counted(done: int, total: int) -> None:
        progress("choose", done, total)

    of_cases = None
    if selection.cases:
        of_cases = records_of_cases(lines_below(folder, size, counted), selection.cases)
    chosen = choose(folder, selection, size, of_cases=of_cases, progress=counted)
    if not chosen.fitting:
        raise Refused("export.nothing")
    return chosen


def _appear(draft: Path, out: Path) -> None:
    """Give the zip its name, unless another file took it in the meantime."""
    try:
        os.link(draft, out)  # unlike a rename, a link refuses to replace
    except FileExistsError:
        raise Refused("export.exists", out=out) from None
    except OSError:  # a file system without links, such as on a USB stick
        draft.rename(out)
    with suppress(OSError):  # some network folders cannot be flushed
        disk.sync_directory(out.parent)


@dataclass(slots=True)
class _Maker:
    """Writer of one bundle."""

    folder: Path
    request: ExportRequest
    words: Words
    chosen: Chosen
    checkpoint: Checkpoint
    progress: Progress
    is_recorded: bool
    media: int = 0
    _written: int = 0
    _cases: Cases = field(default_factory=Cases)
    _files: set[str] = field(default_factory=set)  # media that the records name

    @property
    def count(self) -> int:
        """The number of records in it."""
        return len(self.chosen.fitting) + len(self.chosen.supporting)

    def write(self, bundle: Bundle, spool: BinaryIO, verifier: NoteVerifier, media: Media | None) -> None:
        """Write everything except the proofs."""
        readme = self.words.text("export.readme", origin=verifier.name, vkey=verifier.text)
        foreword = f"{self.request.foreword}\n\n" if self.request.foreword else ""
        bundle.add("README.txt", f"{foreword}{readme}\n".encode())
        for name, content in self.request.more.items():
            bundle.add(name, content)
        self._add_records(bundle, spool)
        with bundle.file("index.html") as file:
            for piece in page(self.words, self._about(verifier), self._cases, self._lines(spool)):
                file.write(piece.encode("utf-8", "replace"))
        with bundle.file("records.csv") as file:
            file.write(verify.table_head().encode())
            for skeleton, parts in self._lines(spool):
                file.write(verify.table_rows(dict(skeleton), parts).encode("utf-8", "replace"))
        bundle.add("log.vkey", f"{verifier.text}\n".encode())
        bundle.add("export.json", self._description(verifier))
        if media is not None:
            self.media = add_media(bundle, sorted(self._files), media)
        bundle.add("verify.py", (resources.files(__package__) / "verify.py").read_bytes())

    def _add_records(self, bundle: Bundle, spool: BinaryIO) -> None:
        """Write ``records.jsonl``, and the same lines to the spool, from which page and table are made."""
        with bundle.file("records.jsonl") as file:
            for raw, line in self._selected():
                file.write(raw + b"\n")
                spool.write(raw + b"\n")
                self._cases.note(line)
                self._files.update(media_named(line[1]))

    def _selected(self) -> Iterator[tuple[bytes, Line]]:
        """Yield the lines as they are exported, with their shown parts."""
        numbers, at = self.chosen.all(), 0
        selection, supporting = self.request.selection, self.chosen.supporting
        for raw, opened in lines_below(self.folder, numbers[-1] + 1):
            index = cast(int, opened.skeleton["i"])
            if index == numbers[at]:
                line, parts = with_parts_shown(raw, opened, selection, supports=index in supporting)
                yield line, (opened.skeleton, parts)
                at += 1
                self._step()

    def _about(self, verifier: NoteVerifier) -> About:
        return About(
            origin=verifier.name,
            size=self.checkpoint.size,
            vkey=verifier.text,
            made_at_ms=self.request.made_at_ms,
            by=self.request.by,
            reason=self.request.reason,
            asked=self.request.selection.described(),
            records=self.count,
            supporting=self.chosen.supporting,
            rooms={code: room for code, room in self.chosen.rooms.items() if code in self.chosen.groups},
            rules=self.chosen.rules,
        )

    def _description(self, verifier: NoteVerifier) -> bytes:
        said: dict[str, Json] = {
            "format": FORMAT,
            "origin": verifier.name,
            "size": self.checkpoint.size,
            "records": self.count,
            "supporting": len(self.chosen.supporting),
            "made": time_text(self.request.made_at_ms),
            "by": self.request.by,
            "reason": self.request.reason,
            "asked": self.request.selection.described(),
            "recorded": self.is_recorded,
            **({"id": self.request.id} if self.is_recorded else {}),
        }
        return orjson.dumps(plain(said), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def _lines(self, spool: BinaryIO) -> Iterator[Line]:
        """Yield the exported lines again."""
        spool.seek(0)
        for raw in spool:
            record = orjson.loads(raw)
            parts = record.pop("x")
            yield record, parts
            self._step()

    def _step(self) -> None:
        """Count one more record in one of the three files that hold them all."""
        self._written += 1
        if self._written % 1_000 == 0:
            self.progress("write", self._written // 3, self.count)
