"""Each way of being verified, from being held back to writing: in rooms that hold messages back, and behind a gate."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moderation.values.ids import RoomId
from storage.identity.sealing import Kek
from tests.door.bot.identity import test_email as email
from tests.door.bot.identity import test_oidc as oidc
from tests.door.bot.identity import test_roster as roster
from tests.door.bot.identity.test_verification_rooms import asking, knock
from tests.fakes.mail_server import MailServer
from tests.issuer.issuer import Browser, RealIssuer
from tests.people.client import Client
from tests.theatre.scene import Theatre, direct_room, enter, open_direct, told
from tests.theatre.served import ServedBot, like, until

KEK = Kek(b"k" * 32)
LEVELS = {"email": 1, "roster": 2, "oidc": 3}

pytestmark = pytest.mark.usefixtures("key", "quick_logins")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealIssuer]:
    yield from oidc.started(tmp_path_factory)


class Ways:
    """Verifies somebody by each method."""

    def __init__(self, server: MailServer, issuer: RealIssuer, folder: Path) -> None:
        self._server = server
        self._issuer = issuer
        self._folder = folder

    def rules(self, method: str, below: str) -> str:
        asked = asking(write=LEVELS[method], below=below, grace="1s", methods=[method])
        if method == "email":
            return email.rules(self._server, more=asked)
        return oidc.rules(self._issuer.url, more=asked) if method == "oidc" else asked

    async def prove(self, method: str, who: Client, bot: ServedBot, room: RoomId) -> None:
        if method == "email":
            await email.said(who, bot, room, "!verify email ann.secret@example.org", "verify.email.sent")
            await who.send_text(room, f"!verify {self._server.code()}")
        elif method == "roster":
            await roster.listed(bot, self._folder, roster.LIST)
            codes = await roster.codes(bot, self._folder / "codes.csv")
            await who.send_text(room, f"!verify roster {codes['Member-1']}")
        else:
            shown = await oidc.said(who, bot, room, "!verify oidc", "oidc.device")
            async with Browser() as browser:
                await browser.enter_code(oidc.link_in(shown), oidc.code_in(shown), oidc.WHO)
        await told(who, bot, like(f"verify.done.{method}"))


@pytest.fixture
def ways(server: MailServer, issuer: RealIssuer, tmp_path: Path) -> Ways:
    return Ways(server, issuer, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("method", LEVELS)
async def test_a_restricted_member_writes_after_verification(theatre: Theatre, ways: Ways, method: str) -> None:
    scene = await theatre.scene(ways.rules(method, "restrict"))
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    direct = await open_direct(ann, bot)

    async def held() -> bool:
        event = await ann.send_text(room, "may I")
        await bot.has(event)
        await bot.idle()
        return await ann.is_redacted(room, event)

    await until(held, "the time to be over")  # in truth: an issuer and the bot go by the same clock
    await told(ann, bot, like("pointer.held"))
    await ways.prove(method, ann, bot, direct)
    free = await ann.send_text(room, "here I am")
    await bot.has(free)
    await bot.idle()
    assert not await ann.is_redacted(room, free)


@pytest.mark.parametrize("method", LEVELS)
async def test_a_knocking_person_enters_after_verification_and_writes(
    theatre: Theatre, ways: Ways, method: str
) -> None:
    scene = await theatre.scene(ways.rules(method, "gate"))
    bot, room = scene.bot, scene.room
    await scene.owner.wait_state(
        room, "m.room.join_rules", lambda rules: rules.get("join_rule") == "knock", what="the gate"
    )
    (eve,) = await theatre.people("eve")
    await knock(eve, room)
    await told(eve, bot, like("door.knocked"))
    await ways.prove(method, eve, bot, await direct_room(eve, bot))
    await enter(eve, room)
    said = await eve.send_text(room, "good morning")
    await bot.has(said)
    await bot.idle()
    assert not await eve.is_redacted(room, said)
