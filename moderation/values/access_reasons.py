"""Reading what is held on people: which readings count once a day, and what counts as a reason."""

import unicodedata

# `what` of the records of those who saw how somebody stands, without their words: one a person, reader and day.
GLANCES = frozenset({"cases", "case", "credit", "members", "history"})
_LEAST_LETTERS = 4


def says_why(reason: str) -> bool:
    """Return whether a reason has words in it: at least four letters, of which two differ. An ideograph counts two."""
    letters = [letter for letter in reason.casefold() if letter.isalpha()]
    weight = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in letters)
    return weight >= _LEAST_LETTERS and len(set(letters)) > 1
