"""The port to Matrix against a real Synapse: every method, and its error when something is forbidden."""

import asyncio

import pytest

from bot.matrix.client import REDACT_EVENTS
from bot.matrix.errors import Forbidden, NotFound, TooLarge
from bot.matrix.sync_filter import SYNC_FILTER
from moderation.rooms.server_acl import MOST_SERVERS, align_servers, with_changes
from moderation.values.errors import Invalid
from moderation.values.ids import EventId
from moderation.values.power_levels import SERVER_ACL
from tests.theatre.stage import Stage, own_room, text


class TestSync:
    async def test_the_answer_is_raw_and_holds_what_the_filter_lets_through(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await stage.room(ann, bot)
        event = await ann.send(room, "org.example.unknown", {"nested": {"list": [1, "two", None]}})
        await ann.request("PUT", "rooms", room, "typing", ann.user, json={"typing": True, "timeout": 30_000})
        await ann.request("POST", "rooms", room, "receipt", "m.read", event, json={})
        await bot.set_account_data("org.example.own", {"a": 1})

        answer = await bot.sync(None, timeout_ms=0, filter=SYNC_FILTER)

        joined = answer["rooms"]["join"][room]
        assert joined["timeline"]["events"][-1]["content"] == {"nested": {"list": [1, "two", None]}}
        assert joined["ephemeral"]["events"] == []
        assert joined["account_data"]["events"] == []
        assert not answer.get("presence", {}).get("events")
        assert not answer.get("account_data", {}).get("events")

    async def test_members_who_said_nothing_are_left_out(self, stage: Stage) -> None:
        bot, ann, ben = await stage.bot(), await stage.person("ann"), await stage.person("ben")
        room = await stage.room(ann, bot, ben)
        since = (await bot.sync(None, timeout_ms=0, filter=SYNC_FILTER))["next_batch"]
        await ann.send_text(room, "hello")

        answer = await bot.sync(since, timeout_ms=0, filter=SYNC_FILTER, full_state=True)

        events = answer["rooms"]["join"][room]["state"]["events"]
        assert ben.user not in {event["state_key"] for event in events if event["type"] == "m.room.member"}

    async def test_it_waits_for_what_comes_and_no_longer(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await stage.room(ann, bot)
        since = (await bot.sync(None, timeout_ms=0))["next_batch"]

        quiet = await bot.sync(since, timeout_ms=50)
        waiting = asyncio.create_task(bot.sync(quiet["next_batch"], timeout_ms=20_000))
        event = await ann.send_text(room, "hello")
        answer = await waiting

        assert "rooms" not in quiet
        assert [e["event_id"] for e in answer["rooms"]["join"][room]["timeline"]["events"]] == [event]

    async def test_an_invite_comes_as_stripped_state(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await ann.create_room("r", invite=[bot.user])

        answer = await bot.sync(None, timeout_ms=0, filter=SYNC_FILTER)

        events = answer["rooms"]["invite"][room]["invite_state"]["events"]
        [own] = [event for event in events if event.get("state_key") == bot.user]
        assert (own["sender"], own["content"]["membership"]) == (ann.user, "invite")

    async def test_a_gap_can_be_filled_page_by_page_from_the_tokens_given(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await stage.room(ann, bot)
        since = (await bot.sync(None, timeout_ms=0, filter=SYNC_FILTER))["next_batch"]
        sent = await asyncio.gather(*(ann.send_text(room, str(number)) for number in range(130)))
        asked_for_more = {"room": {"timeline": {"limit": 500}}}

        answer = await bot.sync(since, timeout_ms=0, filter=asked_for_more)

        timeline = answer["rooms"]["join"][room]["timeline"]
        assert timeline["limited"] is True
        assert len(timeline["events"]) == SYNC_FILTER["room"]["timeline"]["limit"]  # Synapse's own cap
        found = [event["event_id"] for event in timeline["events"]]
        token = timeline["prev_batch"]
        while token is not None:
            page = await bot.messages(room, from_token=token, direction="b", to_token=since, limit=20)
            found += [event["event_id"] for event in page["chunk"]]
            token = page.get("end")
        assert sorted(found) == sorted(sent)


class TestReading:
    async def test_messages_go_both_ways(self, stage: Stage) -> None:
        bot = await stage.bot()
        room = await own_room(bot)
        sent = [await bot.send(room, "m.room.message", text(body), body) for body in ("one", "two", "three")]

        back = await bot.messages(room, from_token=None, direction="b", limit=2)
        older = await bot.messages(room, from_token=back["end"], direction="b", limit=1)
        forth = await bot.messages(room, from_token=older["end"], direction="f", limit=3)
        first = await bot.messages(room, from_token=None, direction="f", limit=1)

        assert [event["event_id"] for event in back["chunk"] + older["chunk"]] == sent[::-1]
        assert [event["event_id"] for event in forth["chunk"]] == sent
        assert first["chunk"][0]["type"] == "m.room.create"

    async def test_one_event(self, stage: Stage) -> None:
        bot = await stage.bot()
        room = await own_room(bot)
        sent = await bot.send(room, "m.room.message", text("hello"), "t")
        assert (await bot.event(room, sent))["content"] == text("hello")
        with pytest.raises(NotFound):
            await bot.event(room, EventId("$not-there"))

    async def test_members_of_all_kinds_or_of_one(self, stage: Stage) -> None:
        bot, ann, ben = await stage.bot(), await stage.person("ann"), await stage.person("ben")
        room = await stage.room(ann, bot)
        await ann.invite(room, ben.user)

        everybody = {event["state_key"]: event["content"]["membership"] for event in await bot.members(room)}
        joined = {event["state_key"] for event in await bot.members(room, membership="join")}

        assert everybody == {ann.user: "join", bot.user: "join", ben.user: "invite"}
        assert joined == {ann.user, bot.user}

    async def test_state_whole_single_and_absent(self, stage: Stage) -> None:
        bot = await stage.bot()
        room = await own_room(bot)
        types = {event["type"] for event in await bot.state(room)}
        assert {"m.room.create", "m.room.member", "m.room.power_levels"} <= types
        assert (await bot.state_event(room, "m.room.join_rules")) == {"join_rule": "invite"}
        assert await bot.state_event(room, "m.room.topic") is None
        assert await bot.state_event(room, "m.room.member", "@nobody:localhost") is None

    async def test_a_room_we_are_not_in_is_forbidden_not_absent(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await stage.room(ann)
        with pytest.raises(Forbidden):
            await bot.state_event(room, "m.room.topic")

    async def test_account_data_absent_and_set(self, stage: Stage) -> None:
        bot = await stage.bot()
        assert await bot.account_data("org.example/odd type") is None
        await bot.set_account_data("org.example/odd type", {"rooms": ["!a"]})
        assert await bot.account_data("org.example/odd type") == {"rooms": ["!a"]}


class TestActingOnEvents:
    async def test_the_same_transaction_is_one_event(self, stage: Stage) -> None:
        bot = await stage.bot()
        room = await own_room(bot)
        first = await bot.send(room, "m.room.message", text("once"), "txn/1")
        again = await bot.send(room, "m.room.message", text("once"), "txn/1")
        other = await bot.send(room, "m.room.message", text("once"), "txn/2")
        assert again == first != other

    async def test_a_redaction_strips_the_event_and_is_one_event_too(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await stage.room(ann, bot, power={"users": {bot.user: 50}})
        event = await ann.send_text(room, "rude")
        first = await bot.redact(room, event, "r1", "rule 3")
        again = await bot.redact(room, event, "r1", "rule 3")
        assert again == first
        assert await ann.is_redacted(room, event)
        assert (await bot.event(room, first))["content"] == {"reason": "rule 3", "redacts": event}

    async def test_without_the_power_it_is_forbidden(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await stage.room(ann, bot)
        event = await ann.send_text(room, "hello")
        with pytest.raises(Forbidden):
            await bot.redact(room, event, "r1")
        with pytest.raises(Forbidden):
            await bot.set_state(room, "m.room.topic", {"topic": "mine"})

    async def test_power_levels_are_set_and_read_back(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await own_room(bot, invite=[ann.user])
        levels = await bot.state_event(room, "m.room.power_levels") or {}
        levels["users"] = {ann.user: 50}
        await bot.set_state(room, "m.room.power_levels", levels)
        assert await bot.state_event(room, "m.room.power_levels") == levels

    async def test_setting_the_same_state_again_gives_the_same_event(self, stage: Stage) -> None:
        bot = await stage.bot()
        room = await own_room(bot)
        first = await bot.set_state(room, "m.room.topic", {"topic": "tea"})
        assert await bot.set_state(room, "m.room.topic", {"topic": "tea"}) == first

    @pytest.mark.parametrize("key", ["a/b", "a%2Fb", "?a#b&c=d", "räksmörgås 茶", "...", "@x:y"])
    async def test_any_state_key_arrives_as_it_is(self, stage: Stage, key: str) -> None:
        bot = await stage.bot()
        room = await own_room(bot)
        # A key that begins with "@" belongs to the user of that id.
        if key.startswith("@"):
            with pytest.raises(Forbidden):
                await bot.set_state(room, "org.example/x", {}, key)
            return
        await bot.set_state(room, "org.example/x", {"for": key}, key)
        [event] = [event for event in await bot.state(room) if event["type"] == "org.example/x"]
        assert event["state_key"] == key
        assert await bot.state_event(room, "org.example/x", key) == {"for": key}

    async def test_an_event_over_64_kib_is_too_large(self, stage: Stage) -> None:
        bot = await stage.bot()
        room = await own_room(bot)
        with pytest.raises(TooLarge):
            await bot.send(room, "m.room.message", text("x" * 70_000), "t")


class TestActingOnPeople:
    async def test_a_server_acl_as_full_as_ours_may_become_is_taken(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await stage.room(ann, bot)
        await ann.set_power(room, {bot.user: 100})
        long = [f"{'x' * 200}{number:03}.example" for number in range(MOST_SERVERS)]
        content = with_changes(None, align_servers(None, long, {}, may=True))
        await bot.set_state(room, SERVER_ACL, content)
        denied = (await bot.state_event(room, SERVER_ACL) or {})["deny"]
        assert 200 < len(denied) < MOST_SERVERS  # so the limit was reached
        assert denied == content["deny"]

    async def test_invite_kick_ban_unban(self, stage: Stage) -> None:
        bot, ben = await stage.bot(), await stage.person("ben")
        room = await own_room(bot)

        async def membership() -> tuple[str, str | None]:
            content = await bot.state_event(room, "m.room.member", ben.user) or {}
            return content["membership"], content.get("reason")

        await bot.invite(room, ben.user, "welcome")
        assert await membership() == ("invite", "welcome")
        await ben.join(room)
        await bot.kick(room, ben.user, "out")
        assert await membership() == ("leave", "out")
        await bot.ban(room, ben.user, "and stay out")
        assert await membership() == ("ban", "and stay out")
        await bot.unban(room, ben.user, "served")
        assert await membership() == ("leave", "served")

    async def test_unbanning_a_member_who_is_not_banned_is_forbidden(self, stage: Stage) -> None:
        bot, ben = await stage.bot(), await stage.person("ben")
        room = await own_room(bot, invite=[ben.user])
        await ben.join(room)
        with pytest.raises(Forbidden):
            await bot.unban(room, ben.user)

    async def test_a_ban_can_take_all_messages_with_it(self, stage: Stage) -> None:
        bot, ben = await stage.bot(), await stage.person("ben")
        room = await own_room(bot, invite=[ben.user])
        await ben.join(room)
        sent = [await ben.send_text(room, body) for body in ("spam", "more spam")]

        await bot.ban(room, ben.user, "spam", redact_events=True)

        ban = await bot.state_event(room, "m.room.member", ben.user)
        assert ban == {"membership": "ban", "reason": "spam", REDACT_EVENTS: True}
        assert [(await bot.event(room, event))["content"] for event in sent] == [{}, {}]

    async def test_a_creator_of_a_room_of_version_12_cannot_be_removed(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await stage.room(ann, bot, power={"users": {bot.user: 100}})
        with pytest.raises(Forbidden):
            await bot.kick(room, ann.user)


class TestRooms:
    async def test_version_12_has_no_domain_in_its_ids_and_creators_in_no_list(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await own_room(bot, room_version="12", invite=[ann.user])
        assert ":" not in room
        assert bot.user not in ((await bot.state_event(room, "m.room.power_levels")) or {})["users"]
        await ann.join(room)
        assert await ann.members(room) == {bot.user: "join", ann.user: "join"}

    async def test_version_10_has(self, stage: Stage) -> None:
        bot = await stage.bot()
        room = await own_room(bot, room_version="10")
        assert room.endswith(":localhost")
        await bot.set_state(room, "m.room.topic", {"topic": "tea"})
        assert await bot.state_event(room, "m.room.topic") == {"topic": "tea"}

    async def test_join_list_leave_forget(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        room = await ann.create_room("r", invite=[bot.user])

        assert await bot.join(room, via=["localhost", "elsewhere.invalid"]) == room
        assert await bot.joined_rooms() == [room]
        await bot.leave(room, "bye")
        assert await bot.joined_rooms() == []
        await bot.forget(room)
        with pytest.raises(Forbidden):
            await bot.messages(room, from_token=None, direction="b")

    async def test_a_room_nobody_let_us_into_is_forbidden(self, stage: Stage) -> None:
        bot, ann = await stage.bot(), await stage.person("ann")
        with pytest.raises(Forbidden):
            await bot.join(await stage.room(ann))


class TestFiles:
    async def test_an_uploaded_file_can_be_downloaded(self, stage: Stage) -> None:
        bot = await stage.bot()
        data = bytes(range(256)) * 10
        mxc = await bot.upload(data, "application/octet-stream", "a file & more.bin")
        assert mxc.startswith("mxc://localhost/")
        assert await bot.download(mxc) == data
        with pytest.raises(TooLarge):
            await bot.download(mxc, at_most=100)

    async def test_a_missing_file_is_absent(self, stage: Stage) -> None:
        bot = await stage.bot()
        with pytest.raises(NotFound):
            await bot.download("mxc://localhost/notthere")

    @pytest.mark.parametrize(
        "address", ["https://localhost/a", "mxc://localhost", "mxc:///a", "mxc://a/b/c", "", "mxc://a/.."]
    )
    async def test_an_invalid_address_is_refused(self, stage: Stage, address: str) -> None:
        bot = await stage.bot()
        with pytest.raises(Invalid):
            await bot.download(address)
