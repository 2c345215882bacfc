"""Somebody restores an old copy of `data/crypto`: the bot treats its device as lost, and sends nothing with it."""

import json
import shutil
from pathlib import Path

from tests.long.faults.conftest import Opening
from tests.long.faults.people import again
from tests.long.faults.running import Running
from tests.long.faults.scene import Start, again_at
from tests.long.faults.stories.away import AWAY, Away


def logged(running: Running, event: str) -> int:
    """Return how often the bot has logged this."""
    lines = (running.folder / "stderr").read_text().splitlines()
    return sum(json.loads(line)["event"] == event for line in lines if line.startswith("{"))


def said(start: Start, running: Running) -> int:
    """Return how many events the bot has encrypted."""
    order = running.server.world.order
    return sum(e.raw["type"] == "m.room.encrypted" and e.raw["sender"] == start.session[0] for _, e in order)


async def test_old_keys_that_are_put_back_are_not_used(opening: Opening, tmp_path: Path) -> None:
    start, _ = await opening(AWAY, encrypted=True)
    async with again_at(start) as server:
        folder = tmp_path / "story"
        shutil.copytree(start.folder / "data", folder / "data")
        people = await again(server, start.people, folder / "people", start.accounts, start.tokens)
        running = start.running(folder, server)
        play = Away(running, people, start.room, start.desk)
        await running.start()
        await running.stop()
        assert logged(running, "keys_old") == 0

        shutil.rmtree(folder / "data" / "crypto")
        shutil.copytree(start.folder / "data" / "crypto", folder / "data" / "crypto")
        before, uploads = said(start, running), server.counts["keys/upload"]
        recorded, judged = "SELECT count(*) FROM events", "SELECT count(*) FROM cases"
        known = running.rows(recorded)[0][0]
        play.before(start.meanwhile)
        await running.start()
        # How much of it the old keys can read depends on how long the bot ran with the new ones.
        await running.until(lambda: running.rows(recorded)[0][0] > known, "what was said to be recorded")
        await running.until(lambda: logged(running, "keys_lost"), "the word in the log")
        await running.stop()
        assert logged(running, "keys_old") >= 1
        assert (said(start, running), server.counts["keys/upload"]) == (before, uploads)
        waiting = running.rows("SELECT count(*) FROM outbox")[0][0]
        assert waiting > 0 or running.rows(judged) == [(0,)]  # until there is another device
        await people.close()
