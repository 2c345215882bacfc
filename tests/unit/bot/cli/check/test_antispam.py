"""The findings of `answerable check` about the antispam callbacks, with the real listening process."""

import asyncio
from pathlib import Path

import aiohttp
import orjson

from bot.admin.antispam import telling_of_questions
from bot.admin.control_socket import Control
from bot.antispam.front_process import CallbackAnswer, FrontProcess, FrontSettings
from bot.antispam.module_config import module_config
from bot.cli.check.antispam import antispam
from bot.cli.check.findings import Finding
from bot.cli.run import only_instance
from bot.config.antispam import ANTISPAM_TOKEN
from bot.config.config import Config, parse_config
from tests.fakes.ports import free_port

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'
TOKEN = "0123456789abcdef0123456789abcdef"


def config(folder: Path, listen: str = "", token: str = TOKEN) -> Config:
    text = f'[antispam]\nlisten = "{listen}"\n' if listen else ""
    made = parse_config(folder / "config.toml", HEAD + text, {ANTISPAM_TOKEN: token})
    made.data_dir.mkdir(exist_ok=True)
    return made


async def findings(config: Config) -> list[tuple[str, str]]:
    found: list[Finding] = await asyncio.to_thread(lambda: list(antispam(config)))
    for each in found:
        assert each.words
        assert TOKEN not in each.words + each.remedy + each.block
    return [(each.state, each.key) for each in found]


async def test_without_an_address_only_a_token_of_no_use_is_told(tmp_path: Path) -> None:
    assert await findings(config(tmp_path, token="")) == []
    assert await findings(config(tmp_path)) == [("warning", "antispam_token_unused")]


async def test_without_a_token_nothing_listens(tmp_path: Path) -> None:
    for token in ("", "short"):
        assert await findings(config(tmp_path, "127.0.0.1:8422", token)) == [("problem", "antispam_token")]


async def test_before_the_bot_runs_the_settings_of_the_module_are_shown(tmp_path: Path) -> None:
    settings = config(tmp_path, "127.0.0.1:8422")
    assert await findings(settings) == [("note", "antispam_later"), ("note", "antispam_module")]
    (*_, last) = antispam(settings)
    assert last.block == module_config(settings.antispam)


async def test_a_network_on_which_others_may_listen_is_told(tmp_path: Path) -> None:
    assert ("warning", "antispam_in_clear") in await findings(config(tmp_path, "10.0.0.7:8422"))


async def test_a_bot_that_runs_is_asked_as_the_module_asks_it(tmp_path: Path) -> None:
    async def answer(_callback: str, body: bytes, _by_ms: int) -> CallbackAnswer:
        return CallbackAnswer(200, orjson.dumps({**orjson.loads(body), "status": "ok"}))

    port = free_port()
    settings = config(tmp_path, f"127.0.0.1:{port}")
    process = FrontProcess(FrontSettings("127.0.0.1", port, TOKEN, 100_000), answer)
    control = Control(settings.data_dir, telling_of_questions(process.counts))
    with only_instance(settings.data_dir):
        assert ("problem", "antispam_silent") in await findings(settings)
        running = [asyncio.create_task(part.run()) for part in (process, control)]
        await process.listening.wait()
        assert {("ok", "antispam"), ("note", "antispam_unasked")} <= set(await findings(settings))
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            await http.post(f"http://127.0.0.1:{port}/check_event_for_spam", json={})
        assert ("note", "antispam_unasked") not in await findings(settings)
        assert process.counts() == {"asked": 1, "refused": 0, "late": 0}
        other = config(tmp_path, f"127.0.0.1:{port}", TOKEN[::-1])
        assert ("problem", "antispam_silent") in await findings(other)
        for each in running:
            each.cancel()
        await asyncio.wait(running)
