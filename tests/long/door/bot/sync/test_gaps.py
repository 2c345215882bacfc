"""Killed after each page of a gap, the bot loses and doubles nothing."""

# ruff: noqa: F401 - a fixture is imported, and given by its name

from moderation.model.facts import CaseOpened
from tests.door.bot.sync.test_gaps import MESSAGES, all_in_order, away, lost, short_pages, talk
from tests.fakes.bad_line import BadLine
from tests.theatre.scene import Theatre
from tests.theatre.served import ServedBot


async def test_killed_after_each_page_the_bot_goes_on_where_it_was(theatre: Theatre, line: BadLine) -> None:
    scene = await away(theatre)
    said = await talk(scene)
    bot, kills = scene.bot, 0
    page = line.silence(MESSAGES)

    def is_further(where: object) -> bool:
        nonlocal page
        if _where(bot) == where and page.met:  # let this page through, and keep the next one back
            line.clear()
            page = line.silence(MESSAGES)
        return _where(bot) != where

    bot.start()
    await bot.until(lambda: _where(bot), "the gap")
    while where := _where(bot):
        await bot.until(lambda where=where: is_further(where), "another page")  # type: ignore[misc]
        await bot.crash()
        bot.start()
        kills += 1
    line.clear()
    assert kills > 8  # on the way back and on the way forth
    await all_in_order(scene, said)
    assert lost(bot) == []
    assert [fact.subject for fact in bot.facts(CaseOpened)] == [scene.members[0].user]


def _where(bot: ServedBot) -> list[tuple[object, ...]]:
    """Return how far the reading of gaps has come; empty if nothing is left to read."""
    there = "FROM gap_pages p WHERE p.room = g.room"
    return bot.rows(f"SELECT room, bottom, (SELECT max(n) {there}), (SELECT count(*) {there}) FROM gaps g")
