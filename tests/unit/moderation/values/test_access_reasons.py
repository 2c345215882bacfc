"""Texts that count as a reason for reading data about people."""

import pytest

from moderation.values.access_reasons import says_why


@pytest.mark.parametrize("reason", ["audit", "appeal in case 12", "处理申诉", "取证", "  court order  ", "проверка"])
def test_some_words_are_a_reason(reason: str) -> None:
    assert says_why(reason)


@pytest.mark.parametrize("reason", ["", " ", "-", "--", "...", "x", "ok", "12345", "aaaa", "?!", "字", "- - - -"])
def test_signs_and_single_letters_are_not_a_reason(reason: str) -> None:
    assert not says_why(reason)
