"""With low credit, links and files wait: shown in the desk, posted as a quotation on a manager's order, or dropped."""

from typing import Any

import pytest

from moderation.model.facts import CaseOpened, CreditChanged
from moderation.values.ids import RoomId
from tests.people.client import Client, Seen
from tests.theatre.scene import Scene, Theatre, told
from tests.theatre.served import like

LOW = "[credit]\nstart = 59\n"
PICTURE = {"msgtype": "m.image", "url": "mxc://localhost/abc", "info": {"mimetype": "image/png", "size": 10}}


async def said_by_bot(scene: Scene, who: Client, room: RoomId, words: str) -> Seen:
    return await who.wait_event(
        room, lambda seen: seen.sender == scene.bot.user and words in seen.body and seen.type == "m.room.message"
    )


async def test_a_waiting_link_is_posted_or_left_out_as_a_manager_decides(theatre: Theatre) -> None:
    scene = await theatre.scene(LOW, members=2)
    bot, room, owner, (manager,), (ann, ben) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    link = await ann.send_text(room, "!ban them, see elephants.example.org/<b>")
    card = await scene.card(manager, 1)
    assert "elephants[.]example[.]org" in card.body
    assert like("card.hint.waits").search(card.body)
    word = await told(ann, bot, like("notice.waits", n="1"))
    assert await ann.is_redacted(room, link)
    await manager.react(scene.desk, card.id, "✅")
    quoted = await said_by_bot(scene, owner, room, "elephants.example.org")
    assert quoted.body == f"{ann.user} wrote: “!ban them, see elephants.example.org/<b>”"
    assert (quoted.content["msgtype"], quoted.content["m.mentions"]) == ("m.notice", {})
    assert "&lt;b&gt;" in quoted.content["formatted_body"]
    await told(ann, bot, like("notice.waited.dismissed", by=manager.user))

    hidden = '<a href="https://giraffes.example.org">here</a>'
    await ben.send_text(room, "look here", format="org.matrix.custom.html", formatted_body=f"look {hidden}")
    card = await scene.card(manager, 2)
    await said_by_bot(
        scene, manager, scene.desk, "https[:]//giraffes[.]example[.]org"
    )  # the thread shows where it leads
    await manager.react(scene.desk, card.id, "❌")
    await told(ben, bot, like("notice.waited.upheld", by=manager.user))
    await bot.idle()
    messages = [event["content"] for event in await owner.messages(room, 200)]
    assert not any("giraffes" in str(content) or "look" in str(content) for content in messages)
    assert [(f.n, f.rule, f.state) for f in bot.facts(CaseOpened)] == [
        (1, "tier_links", "open"),
        (2, "tier_links", "open"),
    ]
    assert bot.facts(CreditChanged) == []
    assert word.content["msgtype"] == "m.text"


@pytest.mark.long
async def test_a_waiting_picture_is_shown_in_the_desk_and_posted_from_there(
    theatre: Theatre,
) -> None:
    scene = await theatre.scene(LOW)
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    sent = [
        await ann.send(room, "m.room.message", {**PICTURE, "body": "cat.png"}),
        await ann.send_text(room, "from https://cats.example.org"),
    ]
    await bot.has(*sent)
    card = await scene.card(manager, 1)
    shown = await said_by_bot(scene, manager, scene.desk, "wrote: “cat[.]png”")
    assert _file(shown.content) == {**PICTURE, "filename": "cat.png"}
    assert shown.content["m.relates_to"]["event_id"] == card.id
    await said_by_bot(scene, manager, scene.desk, "https[:]//cats[.]example[.]org”")
    await manager.react(scene.desk, card.id, "✅")
    quoted = await said_by_bot(scene, owner, room, "wrote: “cat.png”")
    assert _file(quoted.content) == {**PICTURE, "filename": "cat.png"}
    await said_by_bot(scene, owner, room, "https://cats.example.org”")
    await bot.idle()
    assert [await ann.is_redacted(room, event) for event in sent] == [True, True]
    assert len(bot.facts(CaseOpened)) == 1


@pytest.mark.long
async def test_with_metadata_only_nothing_waits(theatre: Theatre) -> None:
    scene = await theatre.scene(LOW + '[records]\ncontent = "metadata"\n')
    (ann,) = scene.members
    link = await ann.send_text(scene.room, "see https://elephants.example.org")
    await told(ann, scene.bot, like("notice.held.tier_links"))
    await scene.bot.idle()
    assert await ann.is_redacted(scene.room, link)
    assert scene.bot.facts(CaseOpened) == []


def _file(content: dict[str, Any]) -> dict[str, Any]:
    return {name: content[name] for name in ("msgtype", "url", "info", "filename") if name in content}
