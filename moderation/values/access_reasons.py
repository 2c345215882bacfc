"""Reasons for reading what is held on people: which readings count once a day, and which reasons are accepted."""

import unicodedata

# `what` of the records of reading somebody's status without their words: one record a person, reader and day.
GLANCES = frozenset({"cases", "case", "credit", "members", "history", "rules"})
_LEAST_LETTERS = 4


def says_why(reason: str) -> bool:
    """Return whether a reason has words: at least four letters, two of them different. An ideograph counts as two."""
    letters = [letter for letter in reason.casefold() if letter.isalpha()]
    weight = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in letters)
    return weight >= _LEAST_LETTERS and len(set(letters)) > 1
