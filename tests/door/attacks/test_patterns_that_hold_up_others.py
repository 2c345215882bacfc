"""A manager writes patterns that take a minute on a long message, and so keeps the bot from all other rooms."""

import pytest

from moderation.judge.room_rules import MOST_STEPS, compiled, recorded, too_heavy
from moderation.model.actions.base import Action
from moderation.model.actions.telling import Say, Tell
from moderation.model.facts import CaseOpened, RoomRuleChanged
from moderation.policy import Policy
from moderation.rules.pattern import MOST_REPEATED, OWN_TEXT, PatternRule, most_repeated, steps
from moderation.values.events import Text
from moderation.values.ids import UserId
from tests.fuzz.world import BEN, GROUP, MAX, World

HEAVY = "(?:(?:a|b|ab|ba){1,50}c?){1,10}q"


def answer(actions: list[Action]) -> list[str]:
    return [line.key for action in actions if isinstance(action, Say | Tell) for line in action.lines]


def add(world: World, name: str, pattern: str) -> list[str]:
    said = f'!rule add {name} pattern "{pattern}" minor redact auto'
    return answer(world.door.say(world.desks[GROUP], MAX, said)[1])


def test_a_pattern_that_is_too_large_is_refused(world: World) -> None:
    assert steps((HEAVY,), True) > MOST_STEPS
    assert add(world, "slow", HEAVY)[0] == "error.rule.heavy"


def test_a_pattern_with_a_large_repetition_is_refused(world: World) -> None:
    assert add(world, "far", "a{2,51}")[0] == "error.rule.repeats"
    assert add(world, "near", "a{2,50}b")[-1] == "room-rule.next"


def test_all_patterns_of_a_room_have_one_allowance(world: World) -> None:
    large = "(?:[ab]{1,50}c){0,12}q"
    assert MOST_STEPS // 2 < steps((large,), True) <= MOST_STEPS
    assert add(world, "first", large)[-1] == "room-rule.next"
    assert add(world, "second", large)[0] == "error.rule.heavy"


def test_an_existing_pattern_that_is_too_large_does_not_hold_and_is_marked(world: World) -> None:
    rules = [
        PatternRule(name=name, kind="pattern", patterns=(pattern,), measure="redact", grade="minor")
        for name, pattern in (("heavy", HEAVY), ("light", "bananas?"))
    ]
    for rule in rules:
        before = RoomRuleChanged(room=GROUP, step="added", rule=rule.name, by=UserId(MAX), settings=recorded(rule))
        world.door.run(world.door.pipeline.commit((before,)))
    keys = answer(world.door.say(world.desks[GROUP], MAX, "!rule list")[1])
    assert keys.count("room-rule.heavy") == 1
    facts, _ = world.door.say(GROUP, BEN, "ab" * 20 + "q bananas")
    assert [fact.rule for fact in facts if isinstance(fact, CaseOpened)] == ["light"]


def test_room_rules_read_only_the_beginning_of_a_long_message(world: World) -> None:
    assert add(world, "fruit", "bananas?")[-1] == "room-rule.next"
    at_the_end, beyond = "x" * (OWN_TEXT - 7) + "bananas", "x" * OWN_TEXT + "bananas"
    found = [world.door.say(GROUP, BEN, said)[0] for said in (at_the_end, beyond)]
    assert [any(isinstance(fact, CaseOpened) for fact in facts) for facts in found] == [True, False]


def test_characters_that_expand_to_many_letters_do_not_lengthen_the_text() -> None:
    rule = PatternRule(name="fruit", kind="pattern", patterns=("salla",), normalise=True)
    (own,) = compiled((recorded(rule),), Policy())
    texts = [Text("body", "\ufdfa" * OWN_TEXT)]
    looked: list[int] = []
    single = own.check._single[0]  # type: ignore[attr-defined]

    class Spy:
        def search(self, subject: str) -> object:
            looked.append(len(subject))
            return single.search(subject)

    own.check._single, own.check._set = [Spy()], None  # type: ignore[attr-defined]
    own.check._search(texts[0], OWN_TEXT)  # type: ignore[attr-defined]
    assert looked == [OWN_TEXT]


@pytest.mark.parametrize(
    ("pattern", "most"), [("a{7}", 7), ("a{2,}", 2), ("a{2,9}|b{30}", 30), ("a\\{99}", 0), ("[{]", 0), ("a", 0)]
)
def test_how_far_a_pattern_counts(pattern: str, most: int) -> None:
    assert most_repeated((pattern,)) == most
    assert MOST_REPEATED == 50
    assert too_heavy(()) == frozenset()
