"""The story: its steps in order, what each depends on, and playing them.

Rules kept here:
- A step that fails does not end the story, but the steps that depend on it are not run and say so.
- If the bot ends unexpectedly, the present step fails at once.
- `hook` is called around each step, so that a test can disturb the bot there.
- Every text stands in the message files, under `demo.NAME`.

Left to others: showing it (`bot/cli/demo/command.py`), what the steps do (`steps.py`, `steps_of_cases.py`,
`steps_of_duty.py`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.runtime.works import end
from bot.texts.catalog import Catalog

from . import steps, steps_of_cases, steps_of_duty, steps_of_policy
from .stage import DemoStage, Moment
from .steps import Fields

State = Literal["ok", "failed", "not_run"]
_STEP_S = 120.0  # more than any wait inside a step: only what hangs without one gets here


@dataclass(frozen=True, slots=True)
class StoryStep:
    """One step: its name, which is the key of its texts, what it does, and the steps it depends on."""

    name: str
    run: Callable[[DemoStage], Awaitable[Fields]]
    needs: tuple[str, ...] = ()


STEPS = (
    StoryStep("homeserver", steps.homeserver),
    StoryStep("people", steps.people, ("homeserver",)),
    StoryStep("bot", steps.bot, ("homeserver",)),
    StoryStep("joining", steps.joining, ("people", "bot")),
    StoryStep("recorded", steps.recorded, ("joining",)),
    StoryStep("desk", steps.desk, ("joining",)),
    StoryStep("vouched", steps.vouched, ("joining",)),
    StoryStep("hidden", steps_of_cases.hidden, ("joining",)),
    StoryStep("card", steps_of_cases.card, ("hidden", "desk")),
    StoryStep("dismissed", steps_of_cases.dismissed, ("card",)),
    StoryStep("upheld", steps_of_cases.upheld, ("desk", "vouched")),
    StoryStep("own", steps_of_cases.own, ("desk",)),
    StoryStep("demoted", steps_of_cases.demoted, ("own",)),
    StoryStep("muted", steps_of_cases.muted, ("joining",)),
    StoryStep("refused", steps_of_cases.refused, ("demoted",)),
    StoryStep("restored", steps_of_cases.restored, ("muted",)),
    StoryStep("missed", steps_of_duty.missed, ("own",)),
    StoryStep("passed_on", steps_of_duty.passed_on, ("missed",)),
    StoryStep("appealed", steps_of_duty.appealed, ("missed",)),
    StoryStep("reversed", steps_of_duty.reversed_, ("appealed",)),
    StoryStep("asks", steps_of_policy.asks, ("reversed",)),
    StoryStep("not_delivered", steps_of_policy.not_delivered, ("asks",)),
    StoryStep("goes_on", steps_of_policy.goes_on, ("asks",)),
    StoryStep("verified", steps.verified, ("joining",)),
)


@dataclass(frozen=True, slots=True)
class StoryOutcome:
    """The outcome of a step, in words."""

    step: StoryStep
    state: State
    expected: str
    seen: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.state == "ok"


class Story:
    """The steps, played on a stage, with what was seen told in `language`."""

    def __init__(
        self, stage: DemoStage, language: str, hook: Moment | None = None, steps: Sequence[StoryStep] = STEPS
    ) -> None:
        self._stage = stage
        self._language = language
        self._steps = steps
        if hook is not None:
            stage.moment = hook

    def text(self, key: str, **fields: object) -> str:
        """Return a text of the story."""
        return Catalog.load().text(self._language, f"demo.{key}", **fields)

    def name(self, step: StoryStep) -> str:
        """Return the name of the step."""
        return self.text(f"{step.name}.name", seconds=self._stage.mute_s)

    async def play(self, begins: Callable[[StoryStep], None] = lambda _step: None) -> AsyncIterator[StoryOutcome]:
        """Yield the outcome of each step as it ends; `begins` is called before it runs."""
        done: dict[str, StoryOutcome] = {}
        for step in self._steps:
            if all(done[need].ok for need in step.needs):
                begins(step)
                outcome = await self._outcome(step)
            else:
                outcome = self._told(step, "not_run", self.text("not_run"), 0.0)
            done[step.name] = outcome
            yield outcome

    async def _outcome(self, step: StoryStep) -> StoryOutcome:
        began = time.monotonic()
        try:
            await self._stage.moment(f"{step.name}.before")
            async with asyncio.timeout(_STEP_S):
                fields = await self._unless_the_bot_ends(step)
            await self._stage.moment(f"{step.name}.after")
        except Exception as error:  # any error means that it is not as told
            seen = f"{type(error).__name__}: {error}".rstrip(": ")
            return self._told(step, "failed", seen, time.monotonic() - began)
        return self._told(step, "ok", self.text(f"{step.name}.seen", **fields), time.monotonic() - began)

    async def _unless_the_bot_ends(self, step: StoryStep) -> Fields:
        played = asyncio.ensure_future(step.run(self._stage))
        watched = asyncio.ensure_future(self._stage.bot.watch())
        try:
            await asyncio.wait({played, watched}, return_when=asyncio.FIRST_COMPLETED)
            return played.result() if played.done() else watched.result()
        finally:
            await end((played, watched))

    def _told(self, step: StoryStep, state: State, seen: str, seconds: float) -> StoryOutcome:
        return StoryOutcome(step, state, self.text(f"{step.name}.expected"), seen, seconds)
