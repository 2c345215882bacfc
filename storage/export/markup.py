"""HTML from values: the only file that puts text between tags.

Rules kept here:
- All text that is not ours is escaped.
- Characters that control or hide text are shown by their number, since this is evidence.
- The page has no script, loads nothing, sends nothing and has no links, and its content security policy forbids all of
  that.

Left to others: what is on the page (`page.py`).
"""

import base64
import hashlib
import html
import re

STYLE = """
@page { size: A4; margin: 18mm 15mm; }
:root { color-scheme: light; }
body { font: 10.5pt/1.45 "Noto Sans", "Noto Sans CJK SC", "Microsoft YaHei", system-ui, sans-serif; color: #111;
  background: #fff; max-width: 190mm; margin: 2em auto; padding: 0 1em; overflow-wrap: anywhere; }
h1 { font-size: 17pt; margin: 0 0 .3em; }
h2 { font-size: 13pt; margin: 1.6em 0 .4em; border-bottom: 1px solid #999; break-after: avoid; }
h3 { font-size: 11pt; margin: 1.2em 0 .3em; break-after: avoid; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: start; vertical-align: top; padding: .25em .6em .25em 0; border-bottom: 1px solid #ddd; }
th { width: 26%; font-weight: 600; }
article { border-top: 1px solid #bbb; padding: .45em 0; break-inside: avoid; }
article.supports { color: #555; }
p { margin: .2em 0; }
.head b { margin-inline-end: .6em; }
.no, .small { color: #555; font-size: 8.5pt; }
.quote { white-space: pre-wrap; border-inline-start: 3px solid #bbb; padding-inline-start: .7em; margin: .3em 0; }
.gone { color: #555; font-style: italic; }
.code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 8.5pt; }
.char { border: 1px solid #999; border-radius: 2px; font-size: 7pt; padding: 0 .2em; }
section.case { break-before: page; }
section.records { break-before: page; }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 9.5pt; } }
"""

# Controls, and characters that rearrange or hide text; tabs and line breaks are kept.
_HIDE = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff"
    r"\ufeff\ufff9-\ufffb"
)
HIDDEN = re.compile(f"[{_HIDE}]")
_SPECIAL = re.compile(f"[{_HIDE}&<>\"']")


def escaped(text: object) -> str:
    """Return text as text, never markup; invisible characters are made visible."""
    plain = str(text)
    if not _SPECIAL.search(plain):
        return plain
    return HIDDEN.sub(lambda found: f'<span class="char">U+{ord(found[0]):04X}</span>', html.escape(plain))


def person(mxid: object) -> str:
    """Return a Matrix id, isolated from the direction of the text around it."""
    return f"<bdi>{escaped(mxid)}</bdi>"


def head(language: str, title: str) -> str:
    """Return everything up to the content."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        f'<!DOCTYPE html>\n<html lang="{escaped(language)}"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style></head><body>\n<h1>{escaped(title)}</h1>\n"
    )


FOOT = "</body></html>\n"


def facts(rows: list[tuple[str, str]]) -> str:
    """Return a table of two columns; names are escaped here, values are already markup."""
    cells = "".join(f'<tr><th scope="row">{escaped(name)}</th><td>{value}</td></tr>\n' for name, value in rows if value)
    return f"<table>{cells}</table>\n"


def paragraph(text: object, style: str = "") -> str:
    """Return a paragraph of escaped text."""
    attribute = f' class="{style}"' if style else ""
    return f"<p{attribute}>{escaped(text)}</p>\n"


def quote(text: str) -> str:
    """Return what somebody wrote, as they wrote it."""
    return f'<div class="quote" dir="auto">{escaped(text)}</div>\n'
