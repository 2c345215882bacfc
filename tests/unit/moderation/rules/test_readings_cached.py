"""Each reading of a text is made once, however many rules read it."""

from moderation.rules import readings
from moderation.rules.terms import Terms, TermSettings
from moderation.values.events import Text

CUT, TURNED, DOUBLED = "for-bidden words", "ʎʌɐǝɥ words", "heeeavy words"


def test_each_reading_of_a_text_is_made_once_for_all_rules() -> None:
    made = (readings.put_together, readings.turned, readings.may_be_stretched, readings.squeezed)
    rules = [Terms(TermSettings(terms=(f"forbiddenword{n}",))) for n in range(20)]
    for reading in made:
        reading.cache_clear()
    for rule in rules:
        for body in (CUT, TURNED, DOUBLED):
            assert rule._search(Text("body", body)) is None
    assert [reading.cache_info().misses for reading in made] == [3, 3, 3, 2]
