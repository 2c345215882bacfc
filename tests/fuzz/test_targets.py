"""Each target of `targets.py` with the whole corpus and a fixed number of inputs, the same each time."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.examples import tried
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
TRIES = tried(150)


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*/*")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_inputs_that_once_did_harm_are_harmless(file: Path) -> None:
    target = TARGETS[file.parent.name]
    target.check(target.load(file.read_bytes()))


@pytest.mark.examples
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_target_holds_for_any_input(target: Target) -> None:
    @settings(
        max_examples=TRIES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(target.inputs)
    def whatever(value: object) -> None:
        target.check(value)

    whatever()


def test_every_target_has_a_corpus_and_every_corpus_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir() if any(folder.iterdir())} == set(TARGETS)
