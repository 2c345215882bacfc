"""Records about cases: reports, findings, decisions, appeals."""

from .kind import BY, CLASS, ON, RULE, SUBJECT, Kind, N, integer, word

_MESSAGE = integer(
    "index of the record of the message, if a report pointed to it, or a file of it was known; left out: it is `on`"
)
_ASKED = word("who has to decide: owner or operator; left out: managers")
_BROKEN = {
    "rule": RULE,
    "class": CLASS,
    "on": ON,
    "where": word("which text of the message"),
    "count": integer("how much was counted; 0: nothing"),
    "limit": integer("how much is allowed"),
    "message": _MESSAGE,
}
_FOUND = {**SUBJECT, "matched": "what was found"}

KINDS: dict[str, Kind] = {
    "report": Kind(
        "A member pointed the managers to a message, or a notice came from outside.",
        {
            "n": N,
            "message": _MESSAGE,
            "channel": word("operator, mail or server; left out: a member"),
            "on": ON,
        },
        {
            **BY,
            "words": "of a notice from outside: what it says",
            "contact": "of a notice from outside: how to answer its author",
            "reader": "of a notice from outside: who took it in, as the operating system knows them",
        },
    ),
    "finding": Kind(
        "A rule was broken.",
        _BROKEN,
        _FOUND,
    ),
    "trial": Kind(
        "A rule on trial would have been broken. Nothing followed from it.",
        _BROKEN,
        _FOUND,
    ),
    "case": Kind(
        "A case was opened, got evidence or a note, was seen, taken or put off, reached half its time or its deadline,"
        " or was passed on.",
        {
            "n": N,
            "step": word(
                "opened, joined, assigned, acknowledged, claimed, extended, reminded, overdue, escalated, parted,"
                " stopped, closed, noted, commented, asked or left"
            ),
            "asked": _ASKED,
            "about": integer("the case that was neglected or decided wrongly"),
            "lead": integer("the case whose card shows it, until that case is decided"),
            "burst": integer("the first of many cases that came at once, with which it is shown on one card"),
            "rule": RULE,
            "class": CLASS,
            "decide": word("auto or manager"),
            "state": word("the state it has now"),
            "manages": integer("1: the person held management rights there"),
            "message": _MESSAGE,
            "on": ON,
            "due": integer("when a decision is due, milliseconds since 1970"),
            "informed": integer("of extended: 1: the person had been told of a deadline; left out: 0"),
            "what": word(
                "of left: gone: left while it waited; excused: had left when its time was over; of asked: reason or"
                " together"
            ),
            "how": word("of assigned: word: told in a direct room; left out: by the card, or above managers"),
        },
        {
            **BY,
            "event": "the message",
            "excerpt": "its first words",
            "words": "the words of a note",
            "made": "the question",
            "cases": "what it is about",
        },
    ),
    "statement": Kind(
        "The statement of reasons for a decision, as it was given to the person concerned.",
        {"n": N, "on": ON},
        {**SUBJECT, "statement": "the statement as JSON"},
    ),
    "decision": Kind(
        "A person decided a case.",
        {
            "n": N,
            "what": word("upheld or dismissed"),
            "state": word("the state it has now"),
            "waits": integer("1: a message waited; if dismissed it is posted, if upheld it is left out; left out: 0"),
            "on": ON,
        },
        BY,
    ),
    "appeal": Kind(
        "The person concerned, or a reporter, asked for a decision to be looked at again.",
        {
            "n": N,
            "report": integer("1: they had reported it, and the report was dismissed"),
            "step": word("lodged"),
            "state": word("the state the case has now"),
            "asked": _ASKED,
            "due": integer("when an answer is due, milliseconds since 1970"),
            "on": ON,
        },
        {**SUBJECT, "words": "the words of the appeal"},
    ),
}
