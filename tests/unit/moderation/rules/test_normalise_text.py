"""Disguises are undone, ordinary differences are kept, and every position maps back to the original."""

import sys
import unicodedata
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.rules.confusables import LOOKS_LIKE
from moderation.rules.normalise_text import Form, normalise, visible
from tests.examples import tried

FORMS: tuple[Form, ...] = ("literal", "letters", "skeleton")
ANY_TEXT = st.text(st.characters(), max_size=60)  # lone surrogates included
# Where normalisation is hardest: marks, jamo, kana voicing, ligatures, invisible characters, spaces.
TRICKY = st.text(
    st.sampled_from(
        "aeioſßŉǰΐᾳσς\u0301\u0323\u0345\u093cक\u093eかｶﾞ\u3099가각ㄱㅏㅣｱ"
        "\u200b\u00ad\u202e ﬃ\u00a8\u00b4\n\u3000\u2800İıΗηʼ"
    ),
    max_size=12,
)


def skeleton(text: str) -> str:
    return normalise(text).text


@pytest.mark.parametrize("form", FORMS)
@given(text=ANY_TEXT | TRICKY)
def test_normalising_again_changes_nothing(form: Form, text: str) -> None:
    once = normalise(text, form).text
    assert normalise(once, form).text == once


@pytest.mark.parametrize("form", FORMS)
@given(text=ANY_TEXT | TRICKY)
def test_every_character_leads_back_to_a_piece_that_becomes_it(form: Form, text: str) -> None:
    read = normalise(text, form)
    for place, char in enumerate(read.text):
        quote = read.quote(place, place + 1)
        assert quote in text
        # A piece of white space only has nothing left when normalised alone.
        assert char in (normalise(f"x{quote}x", form).text)


@given(ANY_TEXT | TRICKY)
def test_places_are_in_order_and_cover_the_match(text: str) -> None:
    read = normalise(text)
    spans = [read.span(place, place + 1) for place in range(len(read.text))]
    assert spans == sorted(spans)
    if spans:
        assert read.span(0, len(spans)) == (spans[0][0], spans[-1][1])


@given(st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), min_size=1), st.data())
def test_look_alikes_have_the_skeleton_of_what_they_look_like(word: str, data: st.DataObject) -> None:
    disguised = "".join(data.draw(st.sampled_from(letter + LOOKS_LIKE[letter])) for letter in word)
    assert skeleton(disguised) == skeleton(word)


def test_each_look_alike_stands_once() -> None:
    signs = "".join(LOOKS_LIKE.values())
    assert len(signs) == len(set(signs))
    assert not any(sign.isascii() or unicodedata.normalize("NFKC", sign) != sign for sign in signs)


@pytest.mark.parametrize(
    "disguised",
    [
        "PayPal",
        "ｐａｙｐａｌ",
        "𝓹𝓪𝔂𝓹𝓪𝓵",
        "ⓟⓐⓨⓟⓐⓛ",
        "🅿🅰🆈🅿🅰🅻",
        "🅟🅐🅨🅟🅐🅛",
        "🇵🇦🇾🇵🇦🇱",
        "раураl",
        "ᴘᴀʏᴘᴀʟ",
        "p\u200ba\u2060y\u00adp\u202ea\ufe0fl",
        "p\u0336a\u0336y\u0336p\u0336a\u0336l\u0336",
        "p̷̢̛á̷y̸p̵a̷l̴",
        "pàýpâł",
        "p@yp4|",
        "PAYPA1",
        "paypaI",
        "p\U000e0061ay\U000e007fpal",
        "pay\u115fpal",
    ],
)
def test_one_word_in_many_disguises(disguised: str) -> None:
    assert skeleton(disguised) == skeleton("paypal")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("か", "が"),  # voicing is spelling
        ("ハ", "パ"),
        ("กา", "กี"),  # Thai vowels
        ("कि", "की"),  # Devanagari vowels
        ("가", "각"),
        ("发", "發"),  # simplified and traditional
        ("أ", "ا"),  # hamza
        ("大", "犬"),
        ("m", "rn"),  # UTS #39 has them alike; too many words are not
    ],
)
def test_different_spellings_stay_different(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("مُحَمَّد", "محمد"),
        ("שָׁלוֹם", "שלום"),
        ("ســلام", "سلام"),
        ("й", "и"),
        ("ё", "е"),
        ("한국", "한국"),
        ("ｶﾞ", "が".translate({ord("が"): "ガ"})),
        ("ﬃ", "ffi"),
        ("STRASSE", "straße"),
        ("١٢٣", "123"),
    ],
)
def test_marks_and_forms_readers_can_do_without_go(written: str, plain: str) -> None:
    assert skeleton(written) == skeleton(plain)


def test_the_forms_go_further_one_after_another() -> None:
    assert [normalise("  Ｃafé\t\u200bｆ00\n раураl ", form).text for form in FORMS] == [
        "café f00 раураl",
        "cafe f00 paypal",
        "cafe foo paypal".replace("i", "l"),
    ]


def test_lone_surrogates_and_controls_are_harmless() -> None:
    assert normalise("a\ud800b\x00c\x1b", "literal").text == "a\ufffdbc"


def test_a_quotation_holds_the_disguise() -> None:
    read = normalise("you  \n b\u200bа\u0301d  one")
    start = read.text.index("bad")
    assert read.quote(start, start + 3) == "b\u200bа\u0301d"


def test_visible_keeps_case_and_accents() -> None:
    assert visible("C\u200bafe\u0301 Ｘ") == "Café X"


@pytest.mark.parametrize("unit", ["word ", "привет ", "中文", "e\u0301\u0302", "a\u200b", "𝕗", "\ud800", "각", " \n"])
def test_the_largest_body_is_read_and_quoted(unit: str) -> None:
    body = unit * (65_536 // len(unit.encode("utf-8", "surrogatepass")))
    read = normalise(body)
    if read.text:
        assert read.quote(0, len(read.text)) == body.strip()


@settings(max_examples=tried(20))
@given(st.integers(min_value=0, max_value=0x10FFFF - 500))
def test_characters_of_every_plane_are_stable(first: int) -> None:
    for char in map(chr, range(first, first + 500)):
        for form in FORMS:
            once = normalise(char, form).text
            assert normalise(once, form).text == once


@pytest.mark.parametrize("form", FORMS)
def test_a_sign_for_many_letters_reads_as_its_letters(form: Form) -> None:
    assert "\ufdfa" in _signs()
    for char in _signs():
        for around in ("{}", "a{}", "e{}\u0301", "\u0635{}\u0651"):
            written = around.format(char)
            assert normalise(written, form).text == normalise(unicodedata.normalize("NFKC", written), form).text


@cache
def _signs() -> list[str]:
    """Return the signs that stand for more than four letters."""
    return [char for code in range(sys.maxunicode + 1) if len(unicodedata.normalize("NFKC", char := chr(code))) > 4]
