"""Settings of plug-ins: what is refused, and what the check finds."""

import asyncio
import json
from pathlib import Path

import pytest

from bot.cli.check.findings import Finding
from bot.cli.check.plugins import plugins
from bot.config.config import Config, parse_config
from bot.config.errors import ConfigError

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'
PLUGIN = '[[plugins]]\nname = "pictures"\nsocket = "p.sock"\nwithin = "30s"\n'
RULE = '[[rules]]\nname = "huge"\nkind = "labels"\nplugin = "pictures"\nlabels = { huge = 900 }\n'


def config(text: str, folder: Path = Path("/nowhere")) -> Config:
    return parse_config(folder / "config.toml", HEAD + text, {})


def test_people_decide_about_labels_unless_the_operator_says_otherwise() -> None:
    assert [rule.decide for rule in config(PLUGIN + RULE).rules] == ["manager"]
    assert [rule.decide for rule in config(PLUGIN + RULE + 'decide = "auto"\n').rules] == ["auto"]


@pytest.mark.parametrize(
    ("text", "key"),
    (
        (RULE, "plugin_missing"),
        (PLUGIN + RULE.replace('"pictures"', '"picture"'), "plugin_missing"),
        (PLUGIN + PLUGIN + RULE, "plugin_twice"),
        (PLUGIN.replace("30s", "61s") + RULE, "expected.plugin_within"),
        (PLUGIN.replace("30s", "0s") + RULE, "expected.duration"),
        (PLUGIN.replace('"pictures"', '"Pictures!"'), "expected.plugin_name"),
        (PLUGIN + "kinds = []\n", "expected.more_entries"),
        (PLUGIN + 'kinds = ["location"]\n', "expected.one_of"),
        (PLUGIN + RULE.replace("huge = 900", "huge = 1001"), "expected.at_most"),
        (PLUGIN + RULE.replace("huge = 900", '"Huge!" = 900'), "expected.label"),
        (PLUGIN + RULE.replace("{ huge = 900 }", "{}"), "expected.more_entries"),
    ),
)
def test_what_is_refused(text: str, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(text)
    assert [problem.key for problem in error.value.problems] == [key]


async def found(folder: Path, text: str, answer: bytes) -> list[Finding]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert json.loads(await reader.readline())["kind"] == "hello"
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, folder / "p.sock"):
        return await asyncio.to_thread(lambda: list(plugins(config(text, folder))))


def states(findings: list[Finding]) -> list[tuple[str, str]]:
    assert all(finding.words and (finding.remedy or finding.state == "ok") for finding in findings)
    return [(finding.state, finding.key) for finding in findings]


async def test_the_check_says_whether_a_plugin_answers(tmp_path: Path) -> None:
    assert states(list(plugins(config("")))) == []
    offers = b'{"offers": ["huge", "dull"]}\n'
    assert states(await found(tmp_path, PLUGIN + RULE, offers)) == [("ok", "plugin")]
    unused = [("note", "plugin_unused"), ("ok", "plugin")]
    assert states(await found(tmp_path, PLUGIN, offers)) == unused
    assert states(await found(tmp_path, PLUGIN + RULE, b'{"offers": []}\n')) == [("warning", "plugin_labels")]
    (wrong,) = await found(tmp_path, PLUGIN + RULE, b"yes\n")
    assert (wrong.state, wrong.fields["why"]) == ("problem", "the answer does not follow the protocol")
    (gone,) = await asyncio.to_thread(lambda: list(plugins(config(PLUGIN + RULE, tmp_path / "elsewhere"))))
    assert (gone.state, gone.fields["why"]) == ("problem", "nothing listens there, or the connection ended")
