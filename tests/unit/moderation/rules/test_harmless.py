"""False positives of rules: fewer than one in five thousand harmless sentences, for terms of five letters or more."""

from moderation.rules.check import View
from moderation.rules.terms import Terms, TermSettings
from tests.unit.moderation.rules.harmless import EACH, TERMS, WORDS, people_wrote, sentences
from tests.unit.moderation.rules.posting import posted

LONG = [term.replace("-", " ") for term in TERMS]
AT_MOST = 1 / 5_000
RULE = Terms(TermSettings(terms=tuple(LONG), spaced=True))


def found(texts: list[str]) -> list[tuple[str, str]]:
    return [(hit.matched, text) for text in texts if (hit := RULE.check(posted(text), View())) is not None]


def test_ten_thousand_harmless_sentences_rarely_match() -> None:
    said = [text for _, text in sentences()]
    assert (len(WORDS), len(said)) == (10, 10 * EACH)
    wrong = found(said)
    assert len(wrong) < len(said) * AT_MOST, wrong


def test_harmless_messages_of_people_rarely_match() -> None:
    said = [text for text in people_wrote() if "forbidden" not in text and "password" not in text.lower()]
    assert len(said) > 3_000
    wrong = found(said)
    assert len(wrong) < len(said) * AT_MOST, wrong


def test_the_terms_have_five_letters_or_are_of_a_script_that_says_as_much_with_three() -> None:
    assert all(len(term) >= 5 or not term.isascii() for term in LONG)
