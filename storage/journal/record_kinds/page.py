"""The table of kinds as a part of `docs/records.md`."""

from pathlib import Path

from .kind import Kind
from .table import KINDS

PAGE = Path(__file__).parents[3] / "docs" / "records.md"
_BEGIN = "<!-- kinds: made by `python -m storage.journal.record_kinds`, do not edit -->\n"
_END = "<!-- end of kinds -->\n"


def render(page: str) -> str:
    """Return the page with a new table of kinds; the prose around it stays. Raises `ValueError` without marks."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"docs/records.md: the marks {_BEGIN.strip()} and {_END.strip()} are missing")
    return before + begin + "\n" + "\n".join(_section(name, kind) for name, kind in KINDS.items()) + "\n" + end + after


def _section(name: str, kind: Kind) -> str:
    lines = [f"### `{name}`", "", kind.doc, ""]
    lines += [f"- `{field_name}` ({entry.type}): {entry.doc}" for field_name, entry in kind.fields.items()]
    lines += [f"- in a part, `{data_name}`: {doc}" for data_name, doc in kind.parts.items()]
    return "\n".join(lines).rstrip("\n") + "\n"
