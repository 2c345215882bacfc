"""Checks that every page must pass: anybody can use it (WCAG 2.2 AA), and it fits the screen."""

import json
from functools import cache

from playwright.async_api import Page

from tests.clients import packages
from tests.long.browser.chromium import HERE

_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa")
_OF_THE_SCREEN = ("color-contrast", "target-size", "scrollable-region-focusable")  # what may change with the screen
_LOADED = "typeof axe === 'object'"
_RUN = "only => axe.run(document, {runOnly: only, resultTypes: ['violations']})"
_SIDEWAYS = """() => {
  const width = document.documentElement.clientWidth
  const wide = element => element.getBoundingClientRect().right > width + 0.5
  if (document.documentElement.scrollWidth <= width) return []
  return [...document.body.querySelectorAll("*")].filter(wide).slice(0, 5).map(each => each.outerHTML.slice(0, 200))
}"""


async def barriers(page: Page, *, again: bool = False) -> list[str]:
    """Return what axe finds on the page that keeps somebody from using it: rule and element.

    `again`: only what may be otherwise because the screen is, with the same elements on it.
    """
    if not await page.evaluate(_LOADED):
        await page.evaluate(_axe())
    only = {"type": "rule", "values": _OF_THE_SCREEN} if again else {"type": "tag", "values": _TAGS}
    found = await page.evaluate(_RUN, only)
    return [
        f"{violation['id']}: {node['html'][:200]} ({json.dumps(node['failureSummary'])[:300]})"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


async def sideways(page: Page) -> list[str]:
    """Return the first elements that make the page wider than the screen."""
    found: list[str] = await page.evaluate(_SIDEWAYS)
    return found


@cache
def _axe() -> str:
    return (packages.installed(HERE) / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
