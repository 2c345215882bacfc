"""The dialogue, with a method made for the test: an error inside ends one verification, and never the bot."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from bot.config.verification import ChallengeSettings
from bot.identity.account_linking import Linking
from bot.identity.asking import Asking
from bot.identity.dialogue import IdentityDialogue, Offered
from bot.identity.method import DialogueStep, MethodName, ProvedIdentity, Unavailable
from bot.identity.redacted_input import Hush
from bot.outbox.handler import Done, PollAgain, RetryLater
from moderation.model.actions.people import Verify
from moderation.model.actions.telling import Tell
from moderation.model.facts import PersonVerified
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.notices import line
from storage.identity.dialogue_key import DialogueKey
from storage.identity.store import IdentityStore, Kek
from storage.projections.erase_person import erase_from_tables
from tests.door.bot.effects.test_anchor_day import ONE, Deployment, deployment
from tests.theatre.opened import identity_store, places_of

ANN = UserId("@ann:example.org")
SECRET = "ann's secret word"


class Riddle:
    """A method that asks for a word; `begin` and `answer` can be made to fail."""

    name: MethodName = "oidc"
    level = 3

    def __init__(self) -> None:
        self.breaks: Exception | None = None
        self.polled = 0
        self.poll_ms = 0

    async def begin(self, user: UserId, words: str, now_ms: int) -> DialogueStep:  # noqa: ARG002
        if self.breaks:
            raise self.breaks
        return DialogueStep((line("verify.stopped"),), {"word": words}, now_ms + 1_000, self.poll_ms)

    async def answer(self, user: UserId, words: str, state: Mapping[str, str | int], now_ms: int) -> DialogueStep:  # noqa: ARG002
        if self.breaks:
            raise self.breaks
        if words != state["word"]:
            raise Refused("error.verify.code-wrong")
        return DialogueStep(proof=ProvedIdentity("https://id.example.org", words, {"name": "Ann"}))

    async def poll(self, user: UserId, state: Mapping[str, str | int], now_ms: int) -> DialogueStep:  # noqa: ARG002
        self.polled += 1
        if self.polled < 3:
            return DialogueStep(state=state, until_ms=now_ms + 1_000, poll_ms=self.poll_ms)
        return DialogueStep(proof=ProvedIdentity("https://id.example.org", str(state["word"])))


class Stage:
    """A verifier over a real pipeline and a real identity store."""

    def __init__(self, folder: Path, place: Deployment, store: IdentityStore) -> None:
        self.folder = folder
        self.place = place
        self.store = store
        self.key = DialogueKey(store)
        self.riddle = Riddle()
        self._on = 0
        self.verifier = self.new_verifier()

    def new_verifier(self) -> IdentityDialogue:
        """Return a dialogue as after a restart."""
        methods = {"oidc": Offered(self.riddle, 10_000)}
        services, settings = self.place.services(cast(Any, None)), ChallengeSettings(per_person=100)
        asking, linking = Asking(Hush("!"), self.key), Linking(services, self.store)
        return IdentityDialogue(services, methods, self.store, asking, settings, linking)

    def action(self, words: str, user: UserId = ANN) -> Verify:
        self._on += 1
        return Verify(room=ONE, subject=user, sealed=self.key.seal(words, "said", user, str(self._on)), on=self._on)

    async def say(self, words: str, user: UserId = ANN) -> list[str]:
        """Say something to the dialogue. Returns what the person is told."""
        return await self.do(self.action(words, user))

    async def do(self, action: Verify) -> list[str]:
        done = await self.verifier.handle(action, "txn")
        await self.place.pipeline.commit(done.facts, also=done.also)
        if done.after is not None:
            await done.after()
        return told(done)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        return self.place.state.rows(query)


def told(done: Done) -> list[str]:
    return [each.key for action in done.actions if isinstance(action, Tell) for each in action.lines]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(deployment(tmp_path))
        await place.enter(ONE)
        store = stack.enter_context(identity_store(place.config, Kek(b"k" * 32)))
        yield Stage(tmp_path, place, store)


async def test_an_answered_dialogue_proves_once(stage: Stage) -> None:
    assert await stage.say(f"oidc {SECRET}") == ["verify.stopped"]
    assert stage.rows("SELECT user, method, tries FROM challenges") == [(ANN, "oidc", 0)]
    stage.verifier = stage.new_verifier()
    assert await stage.say("something else") == ["error.verify.code-wrong", "verify.tries-left"]
    assert await stage.say(SECRET) == ["verify.done.oidc"]
    assert await stage.say(SECRET) == ["error.verify.nothing-open"]
    facts = [fact for fact in stage.place.facts() if isinstance(fact, PersonVerified)]
    until = stage.place.now + 10_000
    assert facts == [PersonVerified(on=facts[0].on, method="oidc", level=3, until=until, subject=ANN)]
    (person,) = stage.store.persons()
    (claim,) = stage.store.claims_of(person)
    assert [(claim.expires_ms, claim.record)] == stage.rows("SELECT until, record FROM verifications")
    assert places_of(SECRET, stage.place.config.place) == []


async def test_tries_are_counted_across_restarts(stage: Stage) -> None:
    await stage.say(f"oidc {SECRET}")
    for _ in range(4):
        stage.verifier = stage.new_verifier()
        assert "error.verify.code-wrong" in await stage.say("wrong")
    assert await stage.say("wrong") == ["error.verify.code-wrong", "error.verify.too-many"]
    assert await stage.say(SECRET) == ["error.verify.nothing-open"]


async def test_a_crash_before_the_check_counts_as_a_try(stage: Stage) -> None:
    await stage.say(f"oidc {SECRET}")
    stage.riddle.breaks = asyncio.CancelledError()  # type: ignore[assignment]
    with pytest.raises(asyncio.CancelledError):
        await stage.say("wrong")
    assert stage.rows("SELECT tries FROM challenges") == [(1,)]


@pytest.mark.parametrize("words", [f"oidc {SECRET}", SECRET])
async def test_a_defect_is_told_and_noted_without_what_was_typed(stage: Stage, words: str) -> None:
    if words == SECRET:
        await stage.say(f"oidc {SECRET}")
    stage.riddle.breaks = RuntimeError(f"could not handle {SECRET}")
    with capture_logs() as logged:
        assert await stage.say(words) == ["error.verify.failed"]
    assert [each["event"] for each in logged] == ["verify_failed"]
    assert SECRET not in str(logged)


async def test_damaged_state_ends_only_the_verification(stage: Stage) -> None:
    await stage.say(f"oidc {SECRET}")
    stage.place.state.change("UPDATE challenges SET state = 'AAAA' || state")
    with capture_logs() as logged:
        assert await stage.say(SECRET) == ["error.verify.failed"]
    assert [each["event"] for each in logged] == ["verify_damaged"]
    assert stage.rows("SELECT * FROM challenges") == []
    assert await stage.say(f"oidc {SECRET}") == ["verify.stopped"]


async def test_sealed_input_of_another_person_is_refused(stage: Stage) -> None:
    action = stage.action(f"oidc {SECRET}")
    stolen = Verify(room=ONE, subject=UserId("@ben:example.org"), sealed=action.sealed, on=action.on)
    with capture_logs():
        assert await stage.do(stolen) == ["error.verify.failed"]
    assert stage.rows("SELECT * FROM challenges") == []


@pytest.mark.parametrize("error", [Unavailable("busy"), ConnectionResetError("reset"), TimeoutError()])
async def test_a_person_who_does_not_answer_is_asked_again_and_counted_once(stage: Stage, error: Exception) -> None:
    stage.riddle.breaks = error
    action = stage.action(f"oidc {SECRET}")
    for _ in range(3):
        with pytest.raises(RetryLater) as later:
            await stage.verifier.handle(action, "txn")
    assert told(later.value.given_up) == ["error.verify.unavailable"]
    assert SECRET not in str(later.value)
    assert stage.rows("SELECT count(*) FROM challenge_attempts") == [(1,)]
    await stage.say("stop")
    stage.riddle.breaks = None
    assert await stage.do(action) == []  # what was said later counts
    assert stage.rows("SELECT * FROM challenges") == []


async def test_a_pending_dialogue_is_polled_until_it_has_an_outcome(stage: Stage) -> None:
    stage.riddle.poll_ms = 50
    await stage.say(f"oidc {SECRET}")
    (look,) = [each for each in await stage.place.waiting() if isinstance(each, Verify)]
    size = stage.place.stores.journal.size
    for _ in range(2):
        with pytest.raises(PollAgain) as again:
            await stage.verifier.handle(look, "txn")
        assert again.value.wait_ms == 50
    assert stage.place.stores.journal.size == size
    assert await stage.do(look) == ["verify.done.oidc"]
    assert await stage.do(look) == []


async def test_an_older_dialogue_is_no_longer_polled(stage: Stage) -> None:
    stage.riddle.poll_ms = 50
    await stage.say("oidc first")
    (look,) = [each for each in await stage.place.waiting() if isinstance(each, Verify)]
    stage.place.now += 1
    await stage.say("oidc second")
    assert (await stage.verifier.handle(look, "txn")).result == "abandoned"


async def test_erasing_a_person_removes_their_dialogue(stage: Stage) -> None:
    await stage.say(f"oidc {SECRET}")
    async with stage.place.stores.database.write() as db:
        await erase_from_tables(db, {ANN}, ())
    assert stage.rows("SELECT user FROM challenges UNION SELECT user FROM challenge_attempts") == []
