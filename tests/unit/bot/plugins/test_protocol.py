"""Plug-ins that answer, and those that do anything else: none holds a question up, and none is believed too much."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config.plugins import PluginSettings
from bot.plugins.plugins import FAILURES, REST_S, Plugins
from bot.plugins.protocol import LONGEST_ANSWER, MOST_LABELS, NoLabels, labels_for, labels_in, labels_offered
from moderation.rules.labels import LABEL
from tests.fakes.plugin import SOCKET, plugin, says

PICTURE = b"\x89PNG" + bytes(1_000_000)  # more than a socket takes at once
SOON_S, LONG_S = 0.05, 30.0


async def why(socket: Path, within_s: float = LONG_S) -> str:
    with pytest.raises(NoLabels) as error:
        await labels_for(socket, within_s, kind="image", mimetype="image/png", data=PICTURE)
    return error.value.why


async def test_a_plugin_gets_the_file_and_nothing_about_the_person(tmp_path: Path) -> None:
    seen: list[Any] = []
    async with plugin(tmp_path, says(b'{"labels": {"huge": 930, "dull": 0}}\n', seen)) as socket:
        found = await labels_for(socket, LONG_S, kind="image", mimetype="image/png", data=PICTURE)
    assert found == {"huge": 930, "dull": 0}
    question = {"version": 1, "kind": "image", "mimetype": "image/png", "size": len(PICTURE)}
    assert seen == [(question, PICTURE)]


async def test_a_plugin_is_asked_what_it_offers(tmp_path: Path) -> None:
    async with plugin(tmp_path, says(b'{"offers": ["huge", "dull"]}\n')) as socket:
        assert await labels_offered(socket, LONG_S) == ("huge", "dull")
    async with plugin(tmp_path, says(b'{"offers": ["\\u0000"]}\n')) as socket:
        with pytest.raises(NoLabels):
            await labels_offered(socket, LONG_S)


_NAMES = st.sampled_from(("huge", "nsfw.a", "dull"))
LIES = (
    b"",
    b"\n",
    b"huge\n",
    b"[]\n",
    b"{}\n",
    b'{"labels": []}\n',
    b'{"labels": {"huge": 0.9}}\n',
    b'{"labels": {"huge": true}}\n',
    b'{"labels": {"huge": 1001}}\n',
    b'{"labels": {"huge": -1}}\n',
    b'{"labels": {"huge": 1e400}}\n',
    b'{"labels": {"huge": 99999999999999999999999999}}\n',
    b'{"labels": {"Huge!": 5}}\n',
    b'{"labels": {"' + b"a" * 41 + b'": 5}}\n',
    b'{"labels": {"\xff": 5}}\n',
    json.dumps({"labels": {f"label-{n}": 5 for n in range(MOST_LABELS + 1)}}).encode() + b"\n",
    b"[" * 10_000 + b"\n",
    b'{"labels": {}}',  # no end of the line: the answer was cut off
)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie[:30].decode("latin-1").strip() or "nothing")
async def test_what_does_not_read_as_an_answer_is_none(tmp_path: Path, lie: bytes) -> None:
    async with plugin(tmp_path, says(lie)) as socket:
        assert await why(socket) == ("wrong" if lie.endswith(b"\n") else "gone")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5) | _NAMES, inner, max_size=5),
    max_leaves=10,
)


@given(st.binary(max_size=200) | _json.map(lambda value: json.dumps({"labels": value}).encode()))
def test_whatever_is_said_is_labels_with_scores_or_no_answer(line: bytes) -> None:
    try:
        labels = labels_in(line)
    except NoLabels:
        return
    assert all(LABEL.match(name) and isinstance(score, int) and 0 <= score <= 1000 for name, score in labels.items())


async def test_a_plugin_that_floods_is_read_up_to_a_limit(tmp_path: Path) -> None:
    written = 0

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        while True:
            writer.write(b"x" * LONGEST_ANSWER)
            await writer.drain()
            written += LONGEST_ANSWER

    async with plugin(tmp_path, flood) as socket:
        assert await why(socket) == "wrong"
    assert written < 100 * LONGEST_ANSWER


async def test_a_silent_plugin_a_slow_one_and_one_that_does_not_read_take_no_longer_than_they_may(
    tmp_path: Path,
) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        while True:
            writer.write(b" ")
            await asyncio.sleep(SOON_S / 5)

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await asyncio.Event().wait()

    async def deaf(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    for behaviour in (drip, silent, deaf):
        async with plugin(tmp_path, behaviour) as socket:
            assert await why(socket, SOON_S) == "late"


async def test_a_plugin_that_crashes_or_is_not_there_is_gone(tmp_path: Path) -> None:
    async def crash(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    async with plugin(tmp_path, crash) as socket:
        assert await why(socket) == "gone"
    (tmp_path / "file").touch()
    assert [await why(tmp_path / name) for name in ("nothing", "file", "x" * 200)] == ["gone"] * 3


async def test_an_answer_counts_though_the_plugin_did_not_read_to_the_end(tmp_path: Path) -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"labels": {"huge": 900}}\n')
        await writer.drain()
        await asyncio.Event().wait()

    async with plugin(tmp_path, hasty) as socket:
        found = await labels_for(socket, LONG_S, kind="image", mimetype=None, data=PICTURE)
    assert found == {"huge": 900}


async def test_a_plugin_that_fails_again_and_again_is_left_alone_for_a_time(tmp_path: Path) -> None:
    now = 1000.0
    plugins = Plugins([PluginSettings(name="pictures", socket=Path(SOCKET))], tmp_path, lambda: now)

    async def ask(name: str = "pictures") -> dict[str, int]:
        return await plugins.labels(name, kind="image", mimetype=None, data=b"")

    for _ in range(FAILURES):
        assert not plugins.rests("pictures")
        with pytest.raises(NoLabels):
            await ask()
    seen: list[Any] = []
    async with plugin(tmp_path, says(b'{"labels": {}}\n', seen)):
        assert plugins.rests("pictures")
        with pytest.raises(NoLabels):
            await ask()
        assert seen == []
        now += REST_S
        assert await ask() == {}
    with pytest.raises(NoLabels):  # one failure after an answer is no reason
        await ask()
    assert not plugins.rests("pictures")
    with pytest.raises(NoLabels):
        await ask("unknown")
