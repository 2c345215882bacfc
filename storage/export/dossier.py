"""The statement in a file on a person: who, what, when and decisions, for readers who know nothing of Matrix.

Rules kept here:
- Nobody is named except the person whom the file is about.
- Every entry names the record of the export by which it can be checked.
- What somebody wrote is shown as they wrote it.

Left to others: gathering it (`bot/admin/dossier_text.py`), escaping (`markup.py`), the records and their proofs
(`export.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .markup import FOOT, escaped, facts, head, paragraph, person, quote
from .page import moment
from .words import Words

NAME = "statement.html"


@dataclass(frozen=True, slots=True)
class Happened:
    """One entry of the timeline, in words. `record` -1: it has no record of its own."""

    at_ms: int
    text: str
    record: int = -1
    quoted: str = ""  # what the person wrote


@dataclass(frozen=True, slots=True)
class Stated:
    """The statements of reasons of one case, each as paragraphs."""

    n: int
    statements: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class DossierEntry:
    """Somebody's step in preparing the file."""

    at_ms: int
    reader: str
    reason: str


@dataclass(frozen=True, slots=True)
class File:
    """Content of the statement; values are plain text."""

    number: int
    accounts: tuple[str, ...]
    names: tuple[str, ...]  # shown in groups
    verified: str
    rooms: tuple[tuple[str, str], ...]  # code, name
    made_at_ms: int
    by: str
    reason: str
    begun: DossierEntry
    approvals: tuple[DossierEntry, ...]
    cases: tuple[int, ...]
    timeline: tuple[Happened, ...]
    stated: tuple[Stated, ...]


def statement(words: Words, file: File) -> bytes:
    """Return the page."""
    return "".join(_page(words, file)).encode("utf-8", "replace")


def _page(words: Words, file: File) -> Iterator[str]:
    text = words.text
    yield head(words.language, text("dossier.page.title", n=str(file.number)))
    yield paragraph(text("dossier.page.about"))
    yield facts(_made(words, file))
    yield f"<h2>{escaped(text('dossier.page.who'))}</h2>\n"
    yield facts(_who(words, file))
    yield f"<h2>{escaped(text('dossier.page.timeline'))}</h2>\n"
    for each in sorted(file.timeline, key=lambda each: (each.at_ms, each.record)):
        yield _entry(words, each)
    for stated in file.stated:
        yield f"<h2>{escaped(text('dossier.page.reasons', n=str(stated.n)))}</h2>\n"
        for paragraphs in stated.statements:
            yield "<article>" + "".join(paragraph(each) for each in paragraphs) + "</article>\n"
    yield f"<h2>{escaped(text('dossier.page.check'))}</h2>\n"
    yield paragraph(text("dossier.page.how_to_check"))
    yield paragraph(text("dossier.page.others"))
    yield FOOT


def _made(words: Words, file: File) -> list[tuple[str, str]]:
    text = words.text
    rows = [
        (text("export.page.made"), escaped(moment(file.made_at_ms))),
        (text("export.page.by"), escaped(file.by)),
        (text("export.page.reason"), escaped(file.reason)),
        (text("dossier.page.begun"), _step(file.begun)),
    ]
    return [*rows, (text("dossier.page.approved"), "<br>".join(_step(each) for each in file.approvals))]


def _step(step: DossierEntry) -> str:
    return f"{escaped(step.reader)}, {escaped(moment(step.at_ms))}: {escaped(step.reason)}"


def _who(words: Words, file: File) -> list[tuple[str, str]]:
    text = words.text
    return [
        (text("dossier.page.accounts"), "<br>".join(person(each) for each in file.accounts)),
        (text("dossier.page.names"), "<br>".join(f"<bdi>{escaped(each)}</bdi>" for each in file.names)),
        (text("dossier.page.verified"), escaped(file.verified)),
        (
            text("dossier.page.groups"),
            "<br>".join(f"{escaped(c)} <bdi>{escaped(name)}</bdi>" for c, name in file.rooms),
        ),
        (text("dossier.page.cases"), escaped(", ".join(map(str, file.cases)))),
    ]


def _entry(words: Words, each: Happened) -> str:
    see = words.text("export.page.see", index=str(each.record)) if each.record >= 0 else ""
    top = f'<p class="head"><b>{escaped(moment(each.at_ms))}</b> {escaped(each.text)}'
    top += f' <span class="no">{escaped(see)}</span></p>\n'
    return f"<article>{top}{quote(each.quoted) if each.quoted else ''}</article>\n"
