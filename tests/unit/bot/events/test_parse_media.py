"""Every file that a client may fetch and show is found, wherever it stands in an event."""

from typing import Any

import pytest

from bot.events.parse_event import receive
from moderation.values.events import Event, Json, Media
from moderation.values.ids import RoomId

ENVELOPE = {"event_id": "$event", "sender": "@ann:example.org", "origin_server_ts": 1_795_511_540_740}
A, B, C, D = (f"mxc://example.org/{name}" for name in "abcd")
SEALED: dict[str, Json] = {"url": B, "key": {"k": "AA"}, "iv": "AA", "hashes": {"sha256": "AA"}, "v": "v2"}
EDITS = {"rel_type": "m.replace", "event_id": "$earlier"}


def media(type_: str = "m.room.message", key: str | None = None, /, **content: Any) -> tuple[Media, ...]:
    state = {} if key is None else {"state_key": key}
    event = receive({**ENVELOPE, "type": type_, "content": content, **state}, RoomId("!room:example.org"), 0)
    assert isinstance(event, Event), event
    return event.media


def shown(*files: Media) -> list[tuple[str, str | None]]:
    return [(file.kind, file.url) for file in files]


def test_a_gallery_has_all_its_files_with_their_thumbnails() -> None:
    items = [
        {"itemtype": "m.image", "body": "a.png", "url": A, "info": {"size": 5, "thumbnail_url": C}},
        {"itemtype": "m.video", "body": "b.mp4", "file": SEALED, "info": {"thumbnail_file": {**SEALED, "url": D}}},
        {"itemtype": "m.audio", "body": "c", "url": "mxc://example.org/e", "org.matrix.msc3245.voice": {}},
    ]
    found = media(msgtype="dm.filament.gallery", body="see", itemtypes=items)
    assert found == (
        Media("image", size=5, url=A),
        Media("video", url=B, sealed=SEALED),
        Media("voice", url="mxc://example.org/e"),
        Media("preview", url=C),
        Media("preview", url=D, sealed={**SEALED, "url": D}),
    )


@pytest.mark.parametrize(
    ("html", "kind"),
    [
        (f'<img src="{A}">', "image"),
        (f"<b><IMG data-mx-emoticon SRC='{A}'></b>", "sticker"),
        ('<img src=" &#109;XC://example.org/a ">', "image"),
        (f"<p>one</p><img src={A}><img src={A}>", "image"),
    ],
    ids=["plain", "small", "disguised", "twice"],
)
def test_pictures_in_the_text_are_files(html: str, kind: str) -> None:
    assert shown(*media(msgtype="m.text", body="x", formatted_body=html)) == [(kind, A)]


def test_a_picture_in_the_quotation_of_a_reply_only_stands_for_another() -> None:
    html = f'<mx-reply><img src="{A}"></mx-reply><img src="{B}">yes'
    relates = {"m.in_reply_to": {"event_id": "$earlier"}}
    found = media(msgtype="m.text", body="yes", formatted_body=html, **{"m.relates_to": relates})
    assert shown(*found) == [("image", B), ("preview", A)]


def test_a_file_that_is_given_open_and_encrypted_is_two_files() -> None:
    found = media(msgtype="m.image", body="x", url=A, file=SEALED)
    assert found == (Media("image", url=A), Media("image", url=B, sealed=SEALED))


def test_an_edit_has_the_files_inside_and_outside_its_new_content() -> None:
    new = {"msgtype": "m.image", "body": "x", "file": SEALED}
    found = media(msgtype="m.video", body="* x", url=A, **{"m.new_content": new, "m.relates_to": EDITS})
    assert found == (Media("image", url=B, sealed=SEALED), Media("video", url=A))


@pytest.mark.parametrize("key", ["org.matrix.msc3245.voice", "m.voice", "org.matrix.msc3245.voice.v2"])
def test_a_voice_message_is_told_from_other_sound(key: str) -> None:
    assert shown(*media(msgtype="m.audio", body="v", url=A, **{key: {}})) == [("voice", A)]
    assert shown(*media(msgtype="m.audio", body="v", url=A)) == [("audio", A)]
    assert shown(*media(msgtype="m.file", body="v", url=A, **{key: {}})) == [("file", A)]


def test_a_message_of_an_unknown_type_has_its_file() -> None:
    assert shown(*media(msgtype="org.example.image", body="x", url=A)) == [("image", A)]
    assert shown(*media(msgtype="org.example.thing", body="x", file=SEALED)) == [("file", B)]


def test_a_message_is_not_what_an_item_of_a_gallery_would_be() -> None:
    assert shown(*media(msgtype="m.image", body="x", itemtype="m.file", url=A)) == [("image", A)]


def test_the_type_of_an_event_counts_more_than_what_it_says_of_itself() -> None:
    assert shown(*media("m.sticker", msgtype="m.file", body="x", url=A)) == [("sticker", A)]
    assert shown(*media("m.image", msgtype="m.file", url=A)) == [("image", A)]


def test_a_message_inside_another_ones_content_is_not_shown_as_a_file() -> None:
    inner = {"msgtype": "m.image", "body": "quoted", "url": A}
    assert shown(*media(msgtype="m.text", body="x", **{"org.example.quoted": inner})) == [("preview", A)]


def test_faces_and_previews_that_come_with_a_message_stand_for_something_else() -> None:
    found = media(
        msgtype="m.text",
        body="see example.org",
        **{
            "com.beeper.per_message_profile": {"displayname": "Bob", "avatar_url": A},
            "com.beeper.linkpreviews": [
                {"og:title": "x", "og:image": B, "beeper:image:encryption": {**SEALED, "url": C}}
            ],
        },
    )
    assert shown(*found) == [("avatar", A), ("preview", B), ("preview", C)]


def test_the_same_file_under_an_older_name_is_one() -> None:
    content = {"org.matrix.msc1767.file": {"url": A, "name": "a"}, "org.matrix.msc1767.image": {}}
    assert shown(*media(msgtype="m.image", body="a", url=A, **content)) == [("image", A)]


@pytest.mark.parametrize(
    ("type_", "kind"), [("m.image", "image"), ("org.matrix.msc1767.video", "video"), ("x.y", "file")]
)
def test_an_event_of_another_type_has_its_files(type_: str, kind: str) -> None:
    assert shown(*media(type_, **{"m.text": [{"body": "x"}], "m.file": {"url": A}})) == [(kind, A)]
    assert shown(*media(type_, url=A)) == [(kind, A)]


def test_a_reaction_that_is_a_picture_is_a_sticker() -> None:
    relates = {"rel_type": "m.annotation", "event_id": "$earlier", "key": A}
    assert media("m.reaction", **{"m.relates_to": relates}) == (Media("sticker", url=A),)
    assert media("m.reaction", **{"m.relates_to": {**relates, "key": "👍"}}) == ()


def test_state_has_its_pictures() -> None:
    assert shown(*media("m.room.avatar", "", url=A, info={"thumbnail_url": B})) == [("avatar", A), ("preview", B)]
    assert shown(*media("im.ponies.room_emotes", "", images={"x": {"url": A}})) == [("preview", A)]
    assert shown(*media("im.vector.modular.widgets", "w", avatar_url=A)) == [("avatar", A)]
    assert media("m.room.power_levels", "", url=A) == ()


def test_somebody_s_face_comes_with_their_own_join() -> None:
    face = {"membership": "join", "avatar_url": A}
    assert shown(*media("m.room.member", "@ann:example.org", **face)) == [("avatar", A)]
    assert media("m.room.member", "@bob:example.org", **face) == ()
    assert media("m.room.member", "@ann:example.org", membership="leave", avatar_url=A) == ()


@pytest.mark.parametrize("url", ["https://example.org/a", "mxc:/a", 7, None, {"": A}, "mxc://" + "a" * 600])
def test_what_is_no_address_on_a_homeserver_is_none(url: object) -> None:
    assert media(msgtype="m.image", body="x", url=url, info={"thumbnail_url": "mxc"})[0] == Media("image")
