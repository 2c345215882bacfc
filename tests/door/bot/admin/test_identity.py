"""Identity data while the bot runs: given to members, read with a record, forgotten, and not readable on disk."""

import base64
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
import zstandard

from bot.admin.request import Request
from bot.app import records_only
from bot.config.identity_key import make_key
from moderation.model.facts import ClaimsForgotten, IdentityKeyChanged, IdentityRead, PartsErased
from moderation.values.durations import DAY_MS
from moderation.values.ids import PersonId
from storage.database.small_store import open_to_read
from storage.identity.store import Claim, Kek, NewClaim
from storage.journal.record_keys import place_of
from tests.door.bot.commands.test_personal_data import confirm_erasing, file_sent, operate
from tests.people.client import Client
from tests.theatre.opened import copy_of_identities, identity_store, kept_in, put_back_identities
from tests.theatre.scene import Theatre, told
from tests.theatre.served import RULES, ServedBot, like

NAME, ADDRESS, PHONE = "Änne Mustérfrau-Quittenbaum", "aenne.quittenbaum@mail.example.net", "+49 30 901820 4711"
PLANTED = (NAME, ADDRESS, PHONE)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Provide the key file, outside every data directory."""
    make_key(tmp_path / "keys" / "identity.key")
    return tmp_path / "keys" / "identity.key"


@pytest.fixture
def kek(key_file: Path) -> Kek:
    return Kek.parse(key_file.read_text())


def identity_rows(bot: ServedBot, query: str) -> list[tuple[object, ...]]:
    store = open_to_read(place_of(bot.config.place))
    assert store is not None
    with closing(store):
        return [tuple(row) for row in store.execute(query)]


def settings(key_file: Path) -> str:
    """Return the rules of most stories, and the setting for the key file."""
    return f'[identity]\nkey_file = "{key_file}"\n{RULES}'


def add(bot: ServedBot, kek: Kek, person: Client, lasts_ms: int = 400 * DAY_MS) -> None:
    """Add a claim as a method of verification does, while the bot runs."""
    now = bot.clock()
    with identity_store(bot.config, kek) as store:
        store.add_claim(
            NewClaim(
                person=PersonId(person.user),
                method="email",
                issuer="",
                identifier=f"{person.user} {ADDRESS}",
                fields={"name": NAME, "email": ADDRESS, "phone": PHONE},
                created_ms=now,
                expires_ms=now + lasts_ms,
            )
        )


def claims(bot: ServedBot, kek: Kek, person: Client) -> tuple[Claim, ...]:
    """Return somebody's claims in the store."""
    with identity_store(bot.config, kek) as store:
        return store.claims_of(PersonId(person.user))


def spellings(text: str) -> Iterator[bytes]:
    """Yield the forms in which a file could contain a text, plain or thinly disguised."""
    for same in {text, text.casefold(), text.upper(), json.dumps(text)[1:-1]}:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            data = same.encode(encoding)
            yield data
            yield data.hex().encode()
            for shift in range(3):  # at each alignment in the encoded data
                yield base64.b64encode(b"\0" * shift + data)[4:-4]


def those_with(kept: Mapping[str, bytes], *texts: str) -> list[str]:
    """Return the files and tables that contain any of these texts, with closed days unpacked."""
    needles = {needle for text in texts for needle in spellings(text)}
    found = []
    for name, content in kept.items():
        data = content
        if name.endswith(".zst"):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        if any(needle in data for needle in needles):
            found.append(name)
    return found


async def test_no_file_of_a_whole_run_holds_identity_data_in_plain(theatre: Theatre, key_file: Path, kek: Kek) -> None:
    scene = await theatre.scene(settings(key_file), members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    add(bot, kek, ann)
    add(bot, kek, ben)
    await ann.send_text(room, "a purple elephant")
    await bot.until(lambda: bot.rows("SELECT n FROM cases"), "a case")
    shown = await operate(bot, "identity-show", person=ann.user, case=1, reason="a test", reader="olga")
    assert shown["claims"][0]["fields"] == {"email": ADDRESS, "name": NAME, "phone": PHONE}
    await ask_for_own(bot, room, ann)
    assert PHONE.encode() in await file_sent(theatre, ann, bot, "my-identity.json")
    kept = _named("running", bot)
    await bot.crash()
    kept |= _named("crashed", bot)
    bot.ahead_ms = 2 * DAY_MS  # the day is closed and packed
    bot.start()
    other = key_file.with_name("other.key")
    make_key(other)
    await operate_when_up(bot, "identity-rotate", file=str(other))
    await confirm_erasing(ben, bot, room)
    await told(ben, bot, like("own.erase.identity"))
    await bot.stop()
    kept |= _named("stopped", bot) | {"log": json.dumps(theatre.logged, default=repr).encode()}
    assert those_with(kept, *PLANTED) == []
    secrets = [kek.text, Kek.parse(other.read_text()).text]
    assert those_with(kept, *secrets) == []
    assert those_with(kept, "purple elephant") != []  # the search finds words that are there


def _named(when: str, bot: ServedBot) -> dict[str, bytes]:
    """Return what a bot keeps, with the time in each name."""
    return {f"{when}: {name}": content for name, content in kept_in(bot.config.place).items()}


async def ask_for_own(bot: ServedBot, room: str, person: Client) -> None:
    """Let somebody ask for all data held about them."""
    await person.send_text(room, "!mydata")
    await told(person, bot, like("own.mydata"))


async def operate_when_up(bot: ServedBot, do: str, **arguments: object) -> object:
    """Ask a bot that is starting."""
    await up(bot)
    return await operate(bot, do, **arguments)


async def up(bot: ServedBot) -> None:
    """Wait until a bot that is starting can be asked."""
    await bot.until(lambda: (bot.data_dir / "control.sock").exists(), "the door")


@pytest.mark.long
async def test_mydata_shows_identity_data_and_its_readers(theatre: Theatre, key_file: Path, kek: Kek) -> None:
    scene = await theatre.scene(settings(key_file), members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    add(bot, kek, ann)
    await ann.send_text(room, "a purple elephant")
    await bot.until(lambda: bot.rows("SELECT n FROM cases"), "a case")
    await operate(bot, "identity-show", person=ann.user, case=1, reason="the court asked", reader="olga")
    (read,) = bot.facts(IdentityRead)
    assert (read.subject, read.n, read.reader, read.reason) == (ann.user, 1, "olga", "the court asked")
    await ask_for_own(bot, room, ann)
    (own,) = json.loads(await file_sent(theatre, ann, bot, "my-identity.json"))
    assert own["fields"] == {"email": ADDRESS, "name": NAME, "phone": PHONE}
    (seen,) = json.loads(await file_sent(theatre, ann, bot, "who-read-it.json"))
    assert (seen["what"], seen["case"], seen["by"], seen["reason"]) == ("identity", 1, "olga", "the court asked")
    assert like("own.mydata-identity").search((await told(ann, bot, like("own.mydata-given"))).body)
    await ask_for_own(bot, room, ben)
    assert json.loads(await file_sent(theatre, ben, bot, "who-read-it.json")) == []
    word = (await told(ben, bot, like("own.mydata-given"))).body
    assert like("own.mydata-identity").search(word) is None


async def test_erasing_destroys_identity_data_and_keeps_a_mark_while_a_measure_holds(
    theatre: Theatre, key_file: Path, kek: Kek
) -> None:
    scene = await theatre.scene(settings(key_file), members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    add(bot, kek, ann)
    add(bot, kek, ben)
    await ben.send_text(room, "a purple elephant")
    await bot.until(lambda: bot.rows("SELECT n FROM cases"), "a case")
    await confirm_erasing(ann, bot, room)
    assert like("own.erase.identity-marks").search((await told(ann, bot, like("own.erase.done"))).body) is None
    await confirm_erasing(ben, bot, room)
    assert like("own.erase.identity-marks").search((await told(ben, bot, like("own.erase.done"))).body)
    assert [(f.count, f.marks) for f in bot.facts(ClaimsForgotten)] == [(1, 0), (1, 1)]
    assert (claims(bot, kek, ann), [claim.fields for claim in claims(bot, kek, ben)]) == ((), [{}])
    with identity_store(bot.config, kek) as store:
        assert store.find("email", "", f"{ben.user} {ADDRESS}") == PersonId(ben.user)
        assert store.find("email", "", f"{ann.user} {ADDRESS}") is None


@pytest.mark.long
async def test_identity_data_from_an_older_backup_is_erased_again(theatre: Theatre, key_file: Path, kek: Kek) -> None:
    scene = await theatre.scene(settings(key_file), members=2)
    bot, room, (ann, ben) = scene.bot, scene.room, scene.members
    await bot.has(await ann.send_text(room, "hello"), await ben.send_text(room, "hello"))
    add(bot, kek, ann)
    add(bot, kek, ben)
    await ann.leave(room)
    await bot.until(lambda: bot.rows("SELECT 1 FROM members WHERE membership = 'leave'"), "her leaving")
    before = copy_of_identities(bot.config)
    await operate(bot, "erase", person=ann.user, reason="by letter")
    assert len(bot.facts(PartsErased)) == 1
    await bot.stop()
    put_back_identities(bot.config, before)
    assert len(claims(bot, kek, ann)) == 1
    bot.start()
    await up(bot)
    assert (claims(bot, kek, ann), len(claims(bot, kek, ben))) == ((), 1)


async def test_expired_identity_data_is_dropped_unless_it_must_be_kept(
    theatre: Theatre, key_file: Path, kek: Kek
) -> None:
    scene = await theatre.scene(settings(key_file), members=3)
    bot, room, (ann, ben, cid) = scene.bot, scene.room, scene.members
    for person, lasts in ((ann, 10), (ben, 10), (cid, 10)):
        add(bot, kek, person, lasts * DAY_MS)
    await ben.send_text(room, "a purple elephant")
    await bot.until(lambda: bot.rows("SELECT n FROM cases"), "a case")
    covers = json.dumps({"persons": [cid.user]})
    await operate(bot, "hold", duty="court order", until=bot.clock() + 90 * DAY_MS, covers=covers)
    await bot.stop()
    bot.ahead_ms = 30 * DAY_MS
    bot.start()
    await bot.until(lambda: bot.facts(ClaimsForgotten), "what is over to go")
    (gone,) = bot.facts(ClaimsForgotten)
    assert (gone.what, gone.count, gone.marks) == ("retention", 2, 1)
    await bot.until(lambda: not claims(bot, kek, ann), "her claim to go")
    assert [sorted(claim.fields) for claim in claims(bot, kek, ben)] == [[]]
    assert [sorted(claim.fields) for claim in claims(bot, kek, cid)] == [["email", "name", "phone"]]


@pytest.mark.long
async def test_a_running_bot_continues_with_a_rotated_key(theatre: Theatre, key_file: Path, kek: Kek) -> None:
    scene = await theatre.scene(settings(key_file), members=1)
    bot, (ann,) = scene.bot, scene.members
    add(bot, kek, ann)
    other = key_file.with_name("other.key")
    new = make_key(other)
    done = await operate(bot, "identity-rotate", file=str(other), reader="olga")
    wrapped = identity_rows(bot, "SELECT wrapped_by, count(*) FROM wrapped_keys GROUP BY wrapped_by")
    assert wrapped == [(new.id, done["keys"])]
    assert (done["key"], done["was"]) == (new.id, kek.id)
    changes = [(f.step, f.key, f.was, f.reader) for f in bot.facts(IdentityKeyChanged)]
    assert changes == [("begun", new.id, kek.id, "olga"), ("done", new.id, kek.id, "olga")]
    status = await operate(bot, "identity-status")
    assert (status["lock"], status["key"], status["file"]) == ("open", new.id, str(other))
    assert len(claims(bot, new, ann)) == 1
    await bot.stop()
    async with records_only(bot.config) as operations:  # the configuration still names the old key
        assert (await operations.by_name()["identity-status"](Request({}, "")))["lock"] == "other_key"
    shutil.copy(other, key_file)
    bot.start()
    await up(bot)
    assert (await operate(bot, "identity-status"))["lock"] == "open"


@pytest.mark.long
async def test_the_next_start_completes_an_interrupted_key_rotation(theatre: Theatre, key_file: Path, kek: Kek) -> None:
    scene = await theatre.scene(settings(key_file), members=1)
    bot, (ann,) = scene.bot, scene.members
    add(bot, kek, ann)
    await bot.stop()
    other = key_file.with_name("other.key")
    new = make_key(other)
    with identity_store(bot.config, kek) as store, store._whole():
        store._keyring.note_change(new)
    shutil.copy(other, key_file)
    bot.start()
    await bot.until(lambda: bot.facts(IdentityKeyChanged), "the change to be ended")
    (change,) = bot.facts(IdentityKeyChanged)
    assert (change.step, change.key, change.was) == ("done", new.id, kek.id)
    assert len(claims(bot, new, ann)) == 1


@pytest.mark.long
async def test_without_the_identity_key_the_bot_runs_and_says_what_it_cannot_do(
    theatre: Theatre, key_file: Path, kek: Kek
) -> None:
    scene = await theatre.scene(settings(key_file), members=1)
    bot, room, (ann,) = scene.bot, scene.room, scene.members
    add(bot, kek, ann)
    await bot.stop()
    shutil.move(key_file, key_file.with_name("elsewhere"))
    bot.start()
    said = await ann.send_text(room, "a purple elephant")
    await bot.has(said)
    await bot.until(lambda: bot.rows("SELECT n FROM cases"), "a case")
    (warned,) = [entry for entry in theatre.logged if entry["event"] == "identity_locked"]
    assert (warned["why"], warned["needed"]) == ("missing", (kek.id,))
    await ann.send_text(room, "!mydata")
    assert like("own.mydata-locked").search((await told(ann, bot, like("own.mydata-given"))).body)
    await confirm_erasing(ann, bot, room)
    await told(ann, bot, like("own.erase.identity"))
