"""People with current clients can read each other, keep others out, and be told apart."""

import asyncio
import os
import re

import pytest

from tests.clients.encrypted_stage import EncryptedStage
from tests.clients.js_client import UNSIGNED, WITHHELD, Read, Verification
from tests.clients.js_process import JsEnded, JsError
from tests.people.client import MatrixError, NotReceived, Seen

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


async def test_two_read_each_other_and_the_server_reads_neither(encrypted_stage: EncryptedStage) -> None:
    ann, ben = await encrypted_stage.people("ann", "ben")
    room = await encrypted_stage.room(ann, ben)
    hello = await ann.send_text(room, "helo")
    seen = await ben.wait_readable(room, hello)
    assert (seen.body, seen.sender, seen.encrypted, seen.shield) == ("helo", ann.user, True, "none")

    edit = await ann.edit(room, hello, "hello")
    reply = await ben.reply(room, hello, "hello yourself")
    reaction = await ben.react(room, hello, "👍")
    assert (await ben.wait_readable(room, edit)).content["m.new_content"]["body"] == "hello"
    answer = await ann.wait_readable(room, reply)
    assert (answer.body, answer.content["m.relates_to"]) == ("hello yourself", {"m.in_reply_to": {"event_id": hello}})
    liked = await ann.wait_readable(room, reaction)
    assert liked.content["m.relates_to"] == {"rel_type": "m.annotation", "event_id": hello, "key": "👍"}
    assert liked.encrypted is False  # as current clients do

    kept = [await ann.event(room, event) for event in (hello, edit, reply)]
    assert [event["type"] for event in kept] == ["m.room.encrypted"] * 3
    assert re.search("hello|helo", str(kept)) is None

    await ann.redact(room, hello, "a slip")
    taken = await ben.wait_event(room, lambda seen: seen.type == "m.room.redaction")
    assert (taken.content["redacts"], taken.content["reason"]) == (hello, "a slip")


async def test_an_image_goes_round_encrypted(encrypted_stage: EncryptedStage) -> None:
    ann, ben = await encrypted_stage.people("ann", "ben")
    room = await encrypted_stage.room(ann, ben)
    image = await ann.send_image(room, PNG, "a cat.png", w=16, h=16)
    seen = await ben.wait_readable(room, image)
    assert (seen.content["msgtype"], seen.body) == ("m.image", "a cat.png")
    assert seen.content["info"] == {"mimetype": "image/png", "size": len(PNG), "w": 16, "h": 16}
    assert await ben.download(seen) == PNG
    other = {**seen.content["file"], "hashes": {"sha256": "bm90IHRoaXM"}}
    with pytest.raises(JsError, match="hash"):
        await ben.download(Seen("timeline", room, {"content": {"file": other}}))


async def test_a_device_without_a_signature_gets_no_keys_until_it_has_one(encrypted_stage: EncryptedStage) -> None:
    ann, old = await asyncio.gather(
        encrypted_stage.person("ann"), encrypted_stage.person("old", signed=False, isolation="all")
    )
    room = await encrypted_stage.room(ann, old)
    first = await ann.send_text(room, "for signed devices only")
    kept_from = await old.wait_unreadable(room, first, WITHHELD)
    assert (kept_from.type, kept_from.body) == ("m.room.encrypted", "")
    assert [(device.id, device.signed) for device in await ann.devices(old.user)] == [(old.device, False)]

    refused = await old.send_text(room, "can you hear me?")
    await ann.wait_unreadable(room, refused, UNSIGNED)

    await old.sign("a password")
    await ann.wait_devices(old.user, lambda devices: all(device.signed for device in devices), what="signed")
    second = await ann.send_text(room, "welcome")
    assert (await old.wait_readable(room, second)).body == "welcome"
    again = await old.send_text(room, "thank you")
    assert (await ann.wait_readable(room, again)).body == "thank you"


async def test_a_client_that_trusts_verified_devices_only_is_not_read(encrypted_stage: EncryptedStage) -> None:
    ann, ben = await encrypted_stage.people("ann", "ben")
    room = await encrypted_stage.room(ann, ben)
    assert (await ben.wait_readable(room, await ann.send_text(room, "to all who signed"))).body == "to all who signed"
    await ann.set_isolation("verified")
    await ann.forget_session(room)
    await ben.wait_unreadable(room, await ann.send_text(room, "to friends"), WITHHELD)


async def test_another_device_is_signed_with_the_recovery_key(encrypted_stage: EncryptedStage) -> None:
    ann, ben = await encrypted_stage.people("ann", "ben")
    room = await encrypted_stage.room(ann, ben)
    phone = await encrypted_stage.again(ben)
    assert (phone.user, phone.device != ben.device) == (ben.user, True)
    await ann.wait_devices(ben.user, lambda found: [d.signed for d in found] == [True, True], what="two, both signed")
    said = await ann.send_text(room, "on both")
    assert {(await one.wait_readable(room, said)).body for one in (ben, phone)} == {"on both"}


async def test_two_verify_each_other_in_a_room(encrypted_stage: EncryptedStage) -> None:
    ann, ben = await encrypted_stage.people("ann", "ben")
    room = await encrypted_stage.room(ann, ben)
    mine = await ann.request_verification(ben.user, room=room)
    theirs = await ben.wait_verification(ann.user)
    await _compare(mine, theirs)
    assert (mine.room, theirs.room) == (room, room)
    for one, other in ((ann, ben), (ben, ann)):
        await one.wait_trust(other.user, lambda trust: trust.verified, what="verified")
        assert [(d.signed, d.verified) for d in await one.devices(other.user)] == [(True, True)]


async def test_two_verify_each_other_from_device_to_device_and_may_break_off(encrypted_stage: EncryptedStage) -> None:
    ann, ben = await encrypted_stage.people("ann", "ben")
    await encrypted_stage.room(ann, ben)
    mine = await ann.request_verification(ben.user, device=ben.device)
    theirs = await ben.wait_verification(ann.user)
    await theirs.accept()
    await theirs.begin()  # the one who was asked may start
    await asyncio.gather(mine.sas(), theirs.sas())
    await theirs.mismatch()
    await mine.wait_phase("Cancelled")
    assert (mine.code, mine.room) == ("m.mismatched_sas", "")
    with pytest.raises(JsError, match=r"cancelled: m\.mismatched_sas"):
        await mine.confirm()

    mine = await ann.request_verification(ben.user, device=ben.device)
    await _compare(mine, await ben.wait_verification(ann.user))
    assert (await ben.wait_trust(ann.user, lambda trust: trust.verified)).changed is False


async def test_refusals_and_waits_in_vain_say_what_happened(encrypted_stage: EncryptedStage) -> None:
    ann, ben = await encrypted_stage.people("ann", "ben")
    room = await encrypted_stage.room(ann, power={"events_default": 50})
    with pytest.raises(MatrixError, match="M_FORBIDDEN"):
        await ben.join(room)
    await ann.invite(room, ben.user)
    await ben.wait_invite(room)
    await ben.join(room)
    with pytest.raises(JsError) as caught:
        await ben.send_text(room, "I am new here")
    assert (caught.value.status, caught.value.errcode) == (403, "M_FORBIDDEN")
    said = await ann.send_text(room, "not this")
    await ben.wait_readable(room, said)
    with pytest.raises(NotReceived, match=r"(?s)waited 0\.3 s for a verdict in !.* as @ben-.*not this \(encrypted\)"):
        await ben.wait_event(room, lambda seen: seen.body == "this", what="a verdict", within_s=0.3)


async def test_a_client_ends_when_it_is_asked_to_and_tells_when_it_was_not(encrypted_stage: EncryptedStage) -> None:
    ann, ben = [await encrypted_stage.person(name, apart=True) for name in ("ann", "ben")]
    room = await encrypted_stage.room(ann, ben)
    await ann.stop()
    assert not _runs(ann.pid)
    waiting = asyncio.create_task(ben.wait_event(room, lambda seen: seen.body == "more"))
    await ben.wait_event(room, lambda seen: isinstance(seen, Read) and seen.type == "m.room.encryption")
    os.kill(ben.pid, 9)
    with pytest.raises(JsEnded):
        await waiting
    with pytest.raises(JsEnded):
        await ben.devices(ann.user)


async def _compare(mine: Verification, theirs: Verification) -> None:
    await theirs.accept()
    await mine.begin()
    here, there = await asyncio.gather(mine.sas(), theirs.sas())
    assert here == there
    assert (len(here.emoji), len(set(map(len, here.emoji)))) == (7, 1)
    await asyncio.gather(mine.confirm(), theirs.confirm())
    assert (mine.phase, theirs.phase) == ("Done", "Done")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
