"""The rules of most stories, as tables of `config.toml`. `more` are lines that a story adds to a rule.

What breaks them: "purple elephant", "forbidden" with a number, "volcano", "geyser".
"""


def no_elephants(grade: str = "moderate", more: str = "") -> str:
    """Return the rule that decides by itself."""
    return _rule("no-elephants", "terms", grade, 'terms = ["purple elephant"]', more)


def tickets(more: str = "") -> str:
    """Return the rule by which managers decide."""
    return _rule("tickets", "pattern", "serious", 'decide = "manager"\npatterns = ["forbidden \\\\d+"]', more)


def grave(more: str = "") -> str:
    """Return the rule that costs most."""
    return _rule("grave", "terms", "severe", 'terms = ["volcano"]', more)


def loud(grade: str = "serious") -> str:
    """Return the rule that mutes for an hour."""
    return _rule("loud", "terms", grade, 'measure = "mute"\nmute_for = "1h"\nterms = ["geyser"]', "")


def _rule(name: str, kind: str, grade: str, lines: str, more: str) -> str:
    table = f'\n[[rules]]\nname = "{name}"\nkind = "{kind}"\nclass = "{grade}"\n{lines}\n'
    return f"{table}{more}\n" if more else table
