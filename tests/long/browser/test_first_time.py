"""Somebody who has never seen the console: with what stands on its pages alone, they do what they came for.

Everything is found as a person finds it, by its role and its name. It goes without scripts, too.
"""

import datetime as dt
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from moderation.model.facts import CaseDecided
from tests.long.browser.visit import Screen, Visits
from tests.long.browser.world import World, world_in

WHY = "the board asked me to look through this week"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_somebody_decides_five_cases_proves_a_message_and_tells_what_was_missed(
    visits: Visits, tmp_path: Path, scripts: bool
) -> None:
    async with world_in(tmp_path) as world:
        page = await visits.open(Screen(scripts=scripts))
        await world.console.enter(page, world.operator.user)
        before = len(world.bot.facts(CaseDecided))
        decided = [await _decide_the_first(page, is_broken=number % 2 == 0) for number in range(5)]
        await _choose(page, "Cases")
        await expect(page.get_by_text("Nothing here.")).to_be_visible()
        told = [(fact.n, fact.what, fact.by) for fact in world.bot.facts(CaseDecided)[before:]]
        assert told == [(n, what, world.operator.user) for n, what in decided]
        await _find_and_prove(page, "forbidden 17", _day_of(world))
        assert await _gaps_of_a_week(page) >= 1  # the bot was restarted


async def _choose(page: Page, name: str) -> None:
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()


async def _decide_the_first(page: Page, *, is_broken: bool) -> tuple[int, str]:
    """Decide the case that is due first, after reading it; return its number and the decision."""
    await _choose(page, "Cases")
    await page.get_by_role("region", name="Cases").get_by_role("listitem").get_by_role("link").first.click()
    case = page.get_by_role("article")
    await case.get_by_label("Why do you need to read this?").fill(WHY)
    await case.get_by_role("button", name="Show").click()
    await expect(case.get_by_text(re.compile("forbidden|fools")).first).to_be_visible()
    heading = await case.get_by_role("heading", level=2).inner_text()
    await case.get_by_label("Reason (the person concerned is told)").fill("I read it twice")
    await case.get_by_role("button", name="Rule broken" if is_broken else "Not broken").click()
    await expect(page.get_by_text("I read it twice").first).to_be_visible()  # in what the person will be told
    await page.get_by_role("button", name="Yes, ").click()
    await expect(page.get_by_role("article").get_by_text("I read it twice").first).to_be_visible()
    number = re.search(r"\d+", heading)
    assert number is not None
    return int(number[0]), "upheld" if is_broken else "dismissed"


async def _find_and_prove(page: Page, words: str, day: str) -> None:
    """Find a message of a day by its words, and see that it is in the signed log."""
    await _choose(page, "Records")
    search = page.get_by_role("search")
    await search.get_by_label("Text").fill(words)
    await search.get_by_label("From day").fill(day)
    await search.get_by_label("To day").fill(day)
    await search.get_by_role("button", name="Find").click()
    await page.get_by_label("Why do you need to read this?").fill(WHY)
    await page.get_by_role("button", name="Show").click()
    await page.get_by_role("link", name="wrote a message").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Message")
    await page.get_by_role("link", name="Proof").click()
    await expect(page.get_by_role("status")).to_contain_text("The record is in the log")


async def _gaps_of_a_week(page: Page) -> int:
    """Return how often something was not recorded in the last seven days."""
    await _choose(page, "Records")
    await page.get_by_role("link", name="Not recorded").click()
    await page.get_by_role("link", name="7 days", exact=True).click()
    await page.wait_for_url("**/*days=7")
    main, gaps = page.get_by_role("main"), re.compile(r"Gaps: (\d+)")
    await expect(main).to_contain_text(gaps)  # the page comes again until they are counted
    said = gaps.search(await main.inner_text())
    assert said is not None
    return int(said[1])


def _day_of(world: World) -> str:
    (at_ms,) = [record.at_ms for record in world.bot.records() if int(record.index) == world.records["message"]]
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).strftime("%Y-%m-%d")
