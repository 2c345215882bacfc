"""Pages of the site that stand elsewhere in the clone, and links between all of them.

The pages are written to be read in the clone, where `docs/` is one folder among others. `ELSEWHERE` says where the rest
stands on the site; links are turned accordingly.
"""

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

CLONE = Path(__file__).parents[2]
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "bench/README.md": "measuring.md",
    "config.example.toml": "settings.md",
}
_SOURCE = {site: clone for clone, site in ELSEWHERE.items()}
_LINK = re.compile(r"(\]\()([^)#:]+)((?:#[^)]*)?\))")


def on_files(files: Files, config: Mapping[str, Any]) -> Files:
    """Add the pages that stand elsewhere."""
    for clone, site in ELSEWHERE.items():
        text = (CLONE / clone).read_text("utf-8")
        if clone.endswith(".toml"):
            text = f"# Every setting\n\n`{clone}`:\n\n```toml\n{text}```\n"
        files.append(File.generated(config, site, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_more: object) -> str:
    """Turn the links of a page."""
    site = page.file.src_uri
    source = _SOURCE.get(site, f"docs/{site}")
    turned = _LINK.sub(lambda found: found[1] + _turned(source, site, found[2]) + found[3], markdown)
    return turned.replace("`<![`", "<code>&lt;![</code>")  # which mkdocs would read as the beginning of markup


def _turned(source: str, site: str, target: str) -> str:
    """Return the link from a page to `target`, which it names relative to its place in the clone."""
    clone = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    there = ELSEWHERE.get(clone, clone.removeprefix("docs/"))
    return posixpath.relpath(there, posixpath.dirname(site) or ".")
