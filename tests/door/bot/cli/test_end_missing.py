"""An end of the log that was cut off is reported as such, although nothing of it was signed."""

import asyncio
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from moderation.model.facts import NotSeen
from moderation.values.errors import Refused
from tests.door.offline import ANNA, offline


async def killed(folder: Path, cut: int, copy: Path) -> int:
    """Kill a bot with records that are not signed yet, and remove the last `cut` of them."""
    async with offline(folder) as bot:
        await bot.pipeline.journal.checkpoint()
        for word in ("hello", "are you there?", "forbidden"):
            await bot.say(ANNA, word)
        assert bot.stores.journal.size - bot.stores.journal.signed > cut
        size = bot.stores.journal.size
        shutil.copytree(folder / "data", copy / "data")
    (day,) = (copy / "data" / "records" / "day").glob("*.jsonl")
    day.write_bytes(b"".join(day.read_bytes().splitlines(keepends=True)[:-cut]))
    return size - cut


@pytest.mark.parametrize("cut", [1, 2, 3])
async def test_the_bot_refuses_to_start_on_a_cut_log_and_says_what_is_missing(tmp_path: Path, cut: int) -> None:
    copy = tmp_path / "copy"
    size = await killed(tmp_path, cut, copy)
    for _ in range(2):  # and nothing was written that would hide it
        with pytest.raises(Refused) as refused:
            async with offline(copy):
                pass
        assert (refused.value.key, refused.value.fields["count"]) == ("cli.run.end_missing", cut)
        assert refused.value.fields["last"] == str(size - 1)


@pytest.mark.parametrize("cut", [1, 3])
async def test_verify_reports_a_missing_end(tmp_path: Path, cut: int) -> None:
    copy = tmp_path / "copy"
    await killed(tmp_path, cut, copy)
    ran = CliRunner().invoke(app, ["logs", "verify", "--data-dir", str(copy / "data")])
    assert ran.exit_code == 1
    assert f"(by the database: {cut})" in ran.output


async def test_rebuilding_the_database_accepts_a_missing_end_and_records_it_once(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    size = await killed(tmp_path, 2, copy)
    ran = await asyncio.to_thread(CliRunner().invoke, app, ["logs", "rebuild-db", "--data-dir", str(copy / "data")])
    assert f"2 records after #{size - 1}" in ran.output
    for _ in range(2):
        async with offline(copy) as bot:
            assert [(fact.what, fact.count) for fact in bot.facts(NotSeen)] == [("cut", 2)]


async def test_an_intact_log_is_not_reported(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "forbidden")
    ran = CliRunner().invoke(app, ["logs", "verify", "--data-dir", str(tmp_path / "data")])
    assert ran.exit_code == 0
