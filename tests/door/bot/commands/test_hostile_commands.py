"""Wrong or malicious commands get a clear answer or none, do nothing, and are recorded."""

import json
from urllib.parse import quote

import aiohttp

from moderation.model.facts import LevelKept, SanctionStarted
from tests.people.client import Client
from tests.theatre.scene import Theatre, answer, ask, open_direct, told
from tests.theatre.served import RULES, like

BIDI = "\u202e\u2066\u200b"


async def test_a_wrong_command_is_explained_and_does_nothing(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
    commands = {
        "!mute": "error.missing.user",
        "!mute nobody": "error.user.nobody",
        "!mute @nobody": "error.user.nobody",
        "!mute @@:": "error.user.form",
        f"!mute {ann.user} 5x": "error.duration.form",
        f"!mute {ann.user} 99999999999999999999w": "error.duration.form",
        f"!mute {ann.user} 0s": "error.duration.form",
        f"!mute {ann.user} 1h " + "x" * 501: "error.reason.long",
        f"!unmute {ann.user} please": "error.superfluous",
        "!case": "error.missing.case",
        "!case one": "error.case.form",
        "!case -1": "error.case.form",
        "!case 99999999999999999999": "error.case.form",
        "!case ٣": "error.case.form",
        "!uphold 999999999": "error.case.none",
        "!redact": "error.redact.reply",
        "!lang": "error.missing.word",
        "!lang en fr": "error.superfluous",
        "!status G-2222": "error.group.unknown",
        "!creditt": "error.did-you-mean",
        "!MUTE": "error.missing.user",
        "!help frobnicate": "error.unknown",
        "!frobnicate": "error.unknown",
        "!mute " + "x" * 3000: "error.too-long",
        "!mute " + "y" * 60_000: "error.too-long",
        f"!ban {bot.user}": "error.target.bot",
        "!vouch <b>x</b>": "error.user.nobody",
        f"!warn {BIDI}{ann.user}": "error.user.nobody",
        "!case 1; !ban @all:localhost": "error.case.form",
    }
    wrong = {}
    said = {command: await manager.send_text(scene.desk, command) for command in commands}
    for command, key in commands.items():
        body = (await answer(manager, bot, scene.desk, said[command])).body
        if not like(key).match(body):
            wrong[command[:60]] = (key, body[:100])
    await bot.has(*said.values())
    assert wrong == {}
    assert {event: facts for event, facts in bot.followed(*said.values()).items() if facts} == {}
    assert (bot.facts(SanctionStarted), bot.facts(LevelKept)) == ([], [])
    assert set(said.values()) <= set(bot.recorded(scene.desk))


async def test_text_that_is_not_a_command_gets_no_answer(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    order = f"!mute {ann.user}"
    edited = await manager.send_text(room, "hello")
    said = [
        await manager.send_text(room, "!"),
        await manager.send_text(room, "!!"),
        await manager.send_text(room, "! mute"),
        await manager.send_text(room, "!5"),
        await manager.send_text(room, f" {order}"),
        await manager.send_text(room, f"please {order}"),
        await manager.send_text(room, "!frobnicate"),  # another bot's, perhaps
        await manager.send_text(room, "!" + "a" * 60_000),
        await manager.send_text(room, order, msgtype="m.notice"),
        await manager.send_text(room, "hello", formatted_body=order, format="org.matrix.custom.html"),
        await manager.edit(room, edited, order),
        await manager.send(room, "org.example.custom", {"msgtype": "m.text", "body": order}),
        await manager.send(
            room, "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": edited, "key": order}}
        ),
        await manager.redact(room, edited, order),
    ]
    last = await manager.send_text(room, "!status")
    await answer(manager, bot, room, last)  # in order, so all before it has been taken
    await bot.has(*said, last)
    await bot.idle()
    (notice,) = bot.rows("SELECT notice FROM rooms WHERE room = ?", room)[0]
    timeline = await manager.messages(room, 200)
    own = [e for e in timeline if e["sender"] == bot.user and e["type"] == "m.room.message"]
    assert [_answers(event) for event in own if event["event_id"] != notice] == [last]
    assert {event: facts for event, facts in bot.followed(*said).items() if facts} == {}
    assert await scene.levels() == {manager.user: 50, bot.user: 100}


async def test_markup_and_tricks_in_arguments_stay_text(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, (manager,), (ann,) = scene.bot, scene.managers, scene.members
    evil = f'<b onclick="x()">{BIDI}</b>&lt;i&gt; {{who}} %s {manager.user} @room\n!ban {manager.user}'
    order = await manager.send_text(scene.desk, f"!warn {ann.user} {evil}")
    reply = await answer(manager, bot, scene.desk, order)
    assert like("done.warn", who=ann.user).fullmatch(reply.body)
    word = await told(ann, bot, like("notice.command.warn"))
    html = word.content["formatted_body"]
    shown = f'<b onclick="x()"></b>&lt;i&gt; {{who}} %s {manager.user} @room !ban {manager.user}'
    assert f"Reason: {shown}" in word.body.splitlines()
    assert "<b onclick" not in html and "&lt;b onclick=&quot;x()&quot;&gt;" in html
    assert word.content["m.mentions"] == {"user_ids": [ann.user]}
    # What cannot be understood is quoted, harmlessly too.
    body = await ask(manager, bot, scene.desk, "!case <script>alert(1)</script>")
    assert body.startswith("“<script>alert(1)</script>” is not a case number.")
    await bot.idle()
    assert [(fact.kind, fact.subject) for fact in bot.facts(SanctionStarted)] == [("warn", ann.user)]
    assert await scene.levels() == {manager.user: 50, bot.user: 100}


async def test_a_name_pressed_in_a_client_stands_for_the_person_behind_it(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, (manager,), (ann, ben) = scene.bot, scene.managers, scene.members
    pill = f'<a href="https://matrix.to/#/{quote(ann.user)}">Ben &lt;3</a>'
    html = {"format": "org.matrix.custom.html", "formatted_body": f"!warn {pill} be kind"}
    copied = await ask(manager, bot, scene.desk, "!warn Ben <3 be kind", **html)
    assert like("error.user.pill", shown="Ben <3", user=ann.user).match(copied)
    await ann.request("PUT", "profile", ann.user, "displayname", json={"displayname": "Ben <3"})
    named = "SELECT 1 FROM members WHERE user = ? AND display_name = 'Ben <3'"
    await bot.until(lambda: bot.rows(named, ann.user), "her name")
    done = await ask(manager, bot, scene.desk, "!warn Ben <3 be kind", **html)
    assert like("done.warn", who=ann.user).fullmatch(done)
    typed = await ask(manager, bot, scene.desk, "!warn ben <3 be kind")
    assert like("named.person", given="ben <3", who=ann.user).match(typed)
    # A pill that names nobody, and broken HTML, are not orders.
    room = {
        "format": "org.matrix.custom.html",
        "formatted_body": '!warn <a href="https://matrix.to/#/#room:localhost">x</a>',
    }
    assert like("error.user.nobody").match(await ask(manager, bot, scene.desk, "!warn x", **room))
    broken = {"format": "org.matrix.custom.html", "formatted_body": "!warn <![x matrix.to/#/ &#" + "9" * 5000}
    assert like("error.user.nobody").match(await ask(manager, bot, scene.desk, "!warn x", **broken))
    assert [fact.subject for fact in bot.facts(SanctionStarted)] == [ann.user, ann.user]
    assert ben.user not in {fact.subject for fact in bot.facts(SanctionStarted)}


async def test_hostile_names_and_texts_reach_the_desk_and_the_lists_as_text(theatre: Theatre) -> None:
    scene = await theatre.scene(RULES)
    bot, room, owner, (manager,), (ann,) = scene.bot, scene.room, scene.owner, scene.managers, scene.members
    name = f"<h1>{BIDI}@room</h1>\n!ban"
    await owner.set_state(room, "m.room.name", {"name": name})
    await ann.request("PUT", "profile", ann.user, "displayname", json={"displayname": name})
    await ann.send_text(room, f"a purple elephant <img src=x onerror=alert(1)> {BIDI} @room")
    card = await scene.card(manager, 1)
    words = "“a «purple elephant» <img src=x onerror=alert(1)>  @room”"
    assert words in card.body.splitlines()
    assert "<img" not in card.content["formatted_body"]
    assert card.content["m.mentions"] == {}
    status = await answer(manager, bot, scene.desk, await manager.send_text(scene.desk, "!status"))
    assert status.body.startswith(f"<h1>@room</h1> !ban ({bot.code(room)}): protected.")
    assert "<h1>" not in status.content["formatted_body"]
    assert status.content["m.mentions"] == {"user_ids": [manager.user]}


async def test_text_that_is_no_unicode_does_not_stop_the_bot(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    sent = []
    for number, body in enumerate(("half a pair \ud800 here", "a nul \x00 here", "\ufffe\uffff", "!warn \udfff")):
        status, event = await _send_raw(ann, room, f"raw{number}", {"msgtype": "m.text", "body": body})
        sent += [event] if status == 200 else []
    marker = await manager.send_text(room, "!status")
    await answer(manager, bot, room, marker)
    await bot.has(*sent, marker)


async def test_numbers_that_break_others_do_not_break_the_bot(theatre: Theatre) -> None:
    scene = await theatre.scene()
    bot, room, (manager,), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    big = 2**53 - 1
    sent = [
        await ann.send(room, "m.room.message", {"msgtype": "m.image", "body": "x", "info": {"size": big, "w": -big}}),
        await ann.send(room, "m.room.message", {"msgtype": "m.file", "body": "x", "info": {"size": "huge"}}),
        await ann.send(room, "i", {"i": {"p": 1, "c": [], "k": "case"}, "t": "x"}),
        await ann.send_text(room, "x", deep=_deep(60)),
    ]
    marker = await manager.send_text(room, "!who")
    await answer(manager, bot, room, marker)
    await bot.has(*sent, marker)


async def test_a_direct_room_with_company_is_left(theatre: Theatre) -> None:
    scene = await theatre.scene(members=2)
    bot, (ann, ben) = scene.bot, scene.members
    room = await ann.create_room(is_direct=True, invite=[ben.user])
    await ben.join(room)
    await ann.request("POST", "rooms", room, "invite", json={"user_id": bot.user})
    await ann.set_state(room, "m.room.topic", {"topic": "x"})
    await open_direct(ben, bot)
    assert bot.rows("SELECT count(*) FROM rooms WHERE room = ? AND purpose = 'direct'", room) == [(0,)]


async def _send_raw(who: Client, room: str, txn: str, content: object) -> tuple[int, str]:
    """Send JSON as Python writes it, which allows content that a careful client would not send."""
    url = f"{who.url}/_matrix/client/v3/rooms/{quote(room)}/send/m.room.message/{txn}"
    headers = {"Authorization": f"Bearer {who.token}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.put(url, data=json.dumps(content), headers=headers) as response,
    ):
        return response.status, str((await response.json(content_type=None)).get("event_id", ""))


def _deep(levels: int) -> object:
    inner: object = "bottom"
    for _ in range(levels):
        inner = {"x": [inner]}
    return inner


def _answers(event: dict[str, object]) -> str:
    content = event["content"]
    assert isinstance(content, dict)
    return str(content.get("m.relates_to", {}).get("m.in_reply_to", {}).get("event_id", ""))
