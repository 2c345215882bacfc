"""Two shards of one deployment, on PostgreSQL: what happens in a room of one has its effect in a room of the other."""

from pathlib import Path

import psycopg
import pytest

from bot.config.config import parse_config
from bot.config.shards import of_shard
from moderation.model.facts import Learnt, SanctionStarted, ShardPinned
from tests.theatre.scene import Theatre, ask, direct_room, open_direct
from tests.theatre.served import HEAD, RULES, ServedBot, like
from tests.theatre.stage import PASSWORD, unique

NAMES = ("one", "two")
DAY_MS = 86_400_000


async def two_shards(theatre: Theatre, folder: Path, url: str, more: str = "") -> tuple[ServedBot, ServedBot]:
    """Start the shards of a deployment, each in this process, at noon."""
    theatre.begin_at_noon()
    accounts = {name: await theatre.stage.server.register(unique(name), PASSWORD) for name in NAMES}
    tables = "".join(f'[[shards]]\nname = "{name}"\naccount = "{accounts[name].user}"\n' for name in NAMES)
    shared = f'[database]\nurl = "{url}"\n[records]\norigin = "localhost/answerable"\n'
    text = HEAD.format(url=theatre.url, user="@answerable:localhost", bot="") + shared + tables + more + RULES
    bots = []
    for name in NAMES:
        bot = ServedBot(accounts[name], theatre.url, folder / name, text, theatre.stage.clock)
        (folder / name / "config.toml").write_text(text)
        bot.use(of_shard(parse_config(folder / name / "config.toml", text, {}), name))
        theatre.bots.append(bot)
        bot.ahead_ms = theatre.ahead_ms
        bot.start()
        bots.append(bot)
    return bots[0], bots[1]


def demoted(bot: ServedBot) -> list[str]:
    return [fact.subject for fact in bot.facts(SanctionStarted) if fact.kind == "demote"]


@pytest.mark.usefixtures("short_waits")
async def test_a_violation_in_a_room_of_one_takes_rights_in_a_room_of_the_other(
    theatre: Theatre, tmp_path: Path, postgres_url: str
) -> None:
    one, two = await two_shards(theatre, tmp_path, postgres_url)
    olga, ben, max_ = await theatre.people("olga", "ben", "max")
    here = await theatre.room(one, olga, [max_], [ben])
    there = await theatre.room(two, olga, [ben, max_])
    await ben.send_text(here, "a volcano")
    await one.until(lambda: one.rows("SELECT 1 FROM credit"), "the first charge")
    one.ahead_ms = two.ahead_ms = one.ahead_ms + DAY_MS
    await ben.send_text(here, "a volcano")
    await two.until(lambda: demoted(two) == [ben.user], "the demotion")
    assert demoted(one) == []
    assert {fact.what for fact in two.facts(Learnt)} == {"entry"}
    assert [fact.origin for fact in two.facts(ShardPinned)] == ["localhost/answerable/one"]
    await ben.wait_state(
        there, "m.room.power_levels", lambda content: content.get("users", {}).get(ben.user, 0) == 0, what="his level"
    )


COMMUNITY = '[[communities.named]]\nname = "garden"\nrooms = ["!*"]\n'


async def test_a_room_of_a_community_that_another_shard_has_is_declined_and_its_owner_told(
    theatre: Theatre, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.exchange.communities._LOOK_EVERY_S", 0.05)
    one, two = await two_shards(theatre, tmp_path, postgres_url, COMMUNITY)
    [olga] = await theatre.people("olga")
    await theatre.room(one, olga)
    await one.until(lambda: _claims(postgres_url) == [("garden", "one")], "the community to be known")
    other = await theatre.room(two, olga, opened=False)
    invite = await olga.wait_for(lambda seen: seen.kind == "invite" and seen.sender == two.user)
    await olga.join(str(invite.room))
    words = like("joining.other-shard", account=one.user)
    await olga.wait_event(str(invite.room), lambda seen: bool(words.search(str(seen.content.get("body")))))
    assert (await olga.members(other)).get(two.user) == "leave"


async def test_a_community_moves_to_another_shard_as_the_runbook_says(
    theatre: Theatre, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.exchange.communities._LOOK_EVERY_S", 0.05)
    one, two = await two_shards(theatre, tmp_path, postgres_url, COMMUNITY)
    [olga] = await theatre.people("olga")
    room = await theatre.room(one, olga)
    await one.until(lambda: _claims(postgres_url) == [("garden", "one")], "the community to be known")
    said = await ask(olga, one, await open_direct(olga, one), "!leave")
    number = said.rsplit("!leave ", 1)[1].split("`")[0].split()[0].rstrip(".,")
    await ask(olga, one, await direct_room(olga, one), f"!leave {number}")
    await one.until_condition(room, "left")
    await one.until(lambda: _claims(postgres_url) == [], "the community to be free")
    await olga.set_power(room, {two.user: 100})
    await olga.invite(room, two.user)
    await two.until_condition(room, "protected")
    await two.until(lambda: _claims(postgres_url) == [("garden", "two")], "the other shard to have it")


def _claims(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as db:
        return [
            (str(name), str(shard))
            for name, shard in db.execute("SELECT name, shard FROM answerable_shared.communities")
        ]
