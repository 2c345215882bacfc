"""A message that waited for a manager is posted with its files."""

from typing import Any

import pytest

from bot.effects.quote_message import _file
from bot.events.parse_event import receive
from moderation.values.events import MessagePosted
from moderation.values.ids import RoomId

A = "mxc://example.org/a"
SEALED = {"url": A, "key": {"k": "AA"}, "iv": "AA", "hashes": {"sha256": "AA"}, "v": "v2"}
INFO = {"mimetype": "image/png"}
ITEMS = [{"itemtype": "m.image", "body": "a.png", "url": A}, {"itemtype": "m.file", "body": "b", "file": SEALED}]
EDIT = {"m.relates_to": {"rel_type": "m.replace", "event_id": "$earlier"}}


@pytest.mark.parametrize(
    ("content", "posted"),
    [
        ({"msgtype": "m.text", "body": "x"}, {}),
        (
            {"msgtype": "m.image", "body": "a.png", "url": A, "info": INFO},
            {"msgtype": "m.image", "filename": "a.png", "url": A, "info": INFO},
        ),
        (
            {"msgtype": "m.audio", "body": "v", "file": SEALED, "org.matrix.msc3245.voice": {}},
            {"msgtype": "m.audio", "filename": "v", "file": SEALED},
        ),
        (
            {"msgtype": "dm.filament.gallery", "body": "x", "itemtypes": ITEMS},
            {"msgtype": "dm.filament.gallery", "itemtypes": ITEMS},
        ),
        (
            {"msgtype": "m.text", "body": "look", "formatted_body": f'<img src="{A}">'},
            {"msgtype": "m.image", "filename": "look", "url": A},
        ),
        (
            {
                "msgtype": "m.text",
                "body": "* x",
                "m.new_content": {"msgtype": "m.image", "body": "x", "file": SEALED},
                **EDIT,
            },
            {"msgtype": "m.image", "filename": "x", "file": SEALED},
        ),
    ],
    ids=["none", "one", "a voice message", "a gallery", "in the text", "in an edit"],
)
def test_the_files_of_a_message_are_posted_again(content: dict[str, Any], posted: dict[str, Any]) -> None:
    raw = {"event_id": "$e", "sender": "@a:example.org", "origin_server_ts": 1, "type": "m.room.message"}
    said = receive({**raw, "content": content}, RoomId("!r:example.org"), 0)
    assert isinstance(said, MessagePosted)
    assert _file(said) == posted
