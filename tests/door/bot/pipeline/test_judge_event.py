"""Every kind of rule and every place for text, from a client's request to the consequences in the room."""

from typing import Any

from moderation.model.actions.base import STATE
from moderation.model.facts import CaseGrew, CaseOpened, CreditChanged, Found, SanctionStarted
from tests.theatre.scene import Theatre

SEVEN_KINDS = """
[[rules]]
name = "words"
kind = "terms"
terms = ["purple elephant"]
[[rules]]
name = "numbers"
kind = "pattern"
class = "moderate"
patterns = ["ticket \\\\d{6}"]
[[rules]]
name = "sites"
kind = "links"
class = "moderate"
deny = ["elephants.example"]
[[rules]]
name = "flood"
kind = "flood"
class = "moderate"
measure = "mute"
mute_for = "1h"
messages = 4
within = "1h"
[[rules]]
name = "calls"
kind = "mentions"
class = "moderate"
limit = 2
[[rules]]
name = "files"
kind = "media"
class = "moderate"
kinds = ["image"]
[[rules]]
name = "walls"
kind = "shape"
class = "moderate"
max_lines = 9
"""

EVERYWHERE = """
[[rules]]
name = "words"
kind = "terms"
class = "moderate"
terms = ["purple elephant"]
[credit]
incident_window = "1s"
costs = { minor = 0, moderate = 0, serious = 0, severe = 0 }
"""

WORDS = "a pu\u200brple ele\u0440hant"  # disguised: a zero-width space, a Cyrillic letter


async def test_each_kind_of_rule_is_found_redacted_and_charged_once(theatre: Theatre) -> None:
    scene = await theatre.scene(SEVEN_KINDS, members=7)
    bot, room, owner, people = scene.bot, scene.room, scene.owner, scene.members
    everybody = " ".join(who.user for who in people)
    messages: list[dict[str, Any]] = [
        {"msgtype": "m.text", "body": WORDS},
        {"msgtype": "m.text", "body": "my ticket 123456 please"},
        {"msgtype": "m.text", "body": "see hxxps://www.elephants.example/a".replace("hxxps", "https")},
        {"msgtype": "m.text", "body": "five in a row"},
        {"msgtype": "m.text", "body": f"hello {everybody}"},
        {"msgtype": "m.file", "body": "notes.zip", "url": "mxc://localhost/abc", "info": {"size": 10}},
        {"msgtype": "m.text", "body": "\n".join("a wall of text")},
    ]
    flooder = people[3]
    fine = [await flooder.send_text(room, f"{n}") for n in range(4)]
    sent = [await who.send(room, "m.room.message", content) for who, content in zip(people, messages, strict=True)]
    await bot.has(*sent)
    await bot.idle(up_to=STATE)
    kinds = ["words", "numbers", "sites", "flood", "calls", "files", "walls"]
    found = [(fact.rule, fact.subject, fact.grade) for fact in bot.facts(Found)]
    assert found == [
        (rule, who.user, "minor" if rule == "words" else "moderate") for rule, who in zip(kinds, people, strict=True)
    ]
    assert [(fact.n, fact.rule, fact.event, fact.state) for fact in bot.facts(CaseOpened)] == [
        (n, rule, event, "decided") for n, (rule, event) in enumerate(zip(kinds, sent, strict=True), 1)
    ]
    assert [(fact.entry, fact.cost, fact.left) for fact in bot.facts(CreditChanged)] == [
        ("warning", 0, 100),  # the first minor offence
        *[("charge", 10, 90)] * 6,
    ]
    assert [await owner.is_redacted(room, event) for event in sent] == [True] * 7
    assert [await owner.is_redacted(room, event) for event in fine] == [False] * 4
    assert (await scene.levels())[flooder.user] == -1
    sanctions = [(fact.kind, fact.rule) for fact in bot.facts(SanctionStarted)]
    assert sorted(sanctions) == sorted([*(("redact", rule) for rule in kinds), ("mute", "flood")])


async def test_words_are_judged_wherever_they_stand(theatre: Theatre) -> None:
    scene = await theatre.scene(EVERYWHERE, managers=0, members=7)
    bot, room, owner, people = scene.bot, scene.room, scene.owner, scene.members
    edit = await people[1].send_text(room, "harmless")
    image = {"msgtype": "m.image", "url": "mxc://localhost/abc", "info": {"mimetype": "image/png"}}
    poll = {
        "org.matrix.msc1767.text": "Which?",
        "org.matrix.msc3381.poll.start": {
            "question": {"org.matrix.msc1767.text": "Which?"},
            "answers": [{"id": "a", "org.matrix.msc1767.text": WORDS}],
        },
    }
    html = {"format": "org.matrix.custom.html", "formatted_body": f"<b>{WORDS.replace('elep', 'el<i>e</i>p')}</b>"}
    sent = {
        "body": await people[0].send_text(room, WORDS),
        "edit": await people[1].edit(room, edit, WORDS),
        "caption": await people[2].send(room, "m.room.message", image | {"body": WORDS, "filename": "a.png"}),
        "filename": await people[3].send(room, "m.room.message", image | {"body": "hi", "filename": f"{WORDS}.png"}),
        "poll": await people[4].send(room, "org.matrix.msc3381.poll.start", poll),
        "formatted": await people[5].send_text(room, "harmless", **html),
    }
    await people[6].request("PUT", "profile", people[6].user, "displayname", json={"displayname": WORDS})
    await bot.until(lambda: len(bot.facts(CaseOpened)) == 7, "seven cases")
    await bot.idle(up_to=STATE)
    where = {fact.subject: fact.where for fact in bot.facts(Found)}
    assert where == {
        who.user: place
        for who, place in zip(
            people, ["body", "body", "caption", "filename", "poll", "formatted", "display_name"], strict=True
        )
    }
    gone = [name for name, event in sent.items() if await owner.is_redacted(room, event)]
    assert gone == list(sent)
    assert not await owner.is_redacted(room, edit)  # the edit is removed, the harmless original stays


async def test_a_managers_violation_waits_for_a_decision(theatre: Theatre) -> None:
    scene = await theatre.scene(EVERYWHERE)
    bot, room, owner, (manager,) = scene.bot, scene.room, scene.owner, scene.managers
    said = await manager.send_text(room, WORDS)
    await scene.card(manager, 1)
    named = await owner.set_state(room, "m.room.name", {"name": WORDS})
    topic = await owner.set_state(room, "m.room.topic", {"topic": f"about {WORDS}"})
    await bot.has(said, named, topic)
    await bot.idle()
    cases = [(fact.subject, fact.state, fact.decide, fact.manages) for fact in bot.facts(CaseOpened)]
    assert cases == [(manager.user, "open", "manager", 1), (owner.user, "open", "manager", 1)]
    assert [(fact.subject, fact.where) for fact in bot.facts(Found)] == [
        (manager.user, "body"),
        (owner.user, "room_name"),
        (owner.user, "topic"),
    ]
    assert [(fact.n, fact.event) for fact in bot.facts(CaseGrew)] == [(2, topic)]
    assert (bot.facts(SanctionStarted), bot.facts(CreditChanged)) == ([], [])
    assert not await owner.is_redacted(room, said)


async def test_a_rule_holds_only_in_the_rooms_it_names(theatre: Theatre) -> None:
    owner, member = await theatre.people("owner", "member")
    bot = await theatre.bot(EVERYWHERE.replace('kind = "terms"', 'kind = "terms"\nrooms = ["G-7F3K", "!nowhere*"]'))
    room = await theatre.room(bot, owner, [], [member])
    said = await member.send_text(room, WORDS)
    await bot.has(said)
    assert bot.facts(Found) == []
