"""Records about the log and the bot: its start and stop, what was not seen, where checkpoints are kept."""

from .kind import EVENT, ON, RULE, SUBJECT, Kind, integer, word

KINDS: dict[str, Kind] = {
    "genesis": Kind(
        "The first record of a log.",
        {"format": integer("version of this format; 1")},
        {"vkey": "verifier key of the log"},
    ),
    "start": Kind("The bot started.", {"version": word("version of the program"), "on": ON}),
    "stop": Kind(
        "The bot stopped in good order.",
        {
            "why": word("why"),
            "sealed": integer(
                "1: this record was signed at once, and so is what follows; left out: by an older version"
            ),
            "on": ON,
        },
    ),
    "coverage": Kind(
        "Something the bot did not see, could not read, or could not keep.",
        {
            "what": word(
                "gap, torn, cut: the end of the log was missing, failed, unreadable, undecryptable, down, clock: times"
                " do not fit, unsigned: a crash left records from `on` on unsigned, foreign: lines that somebody added"
                " while the bot was stopped were set aside, or withheld: why the event recorded at `on` cannot be"
                " read, learnt later"
            ),
            "count": integer("how much of it; of down: milliseconds"),
            "since": integer("of down: when it began, milliseconds since 1970; left out: `count` before this record"),
            "code": word("of undecryptable and withheld: why the sender gave no key, or what is wrong"),
            "on": ON,
        },
        {**EVENT, "detail": "what is known of it", "problem": "what could not be read", "raw": "as received"},
    ),
    "anchor": Kind(
        "A checkpoint was posted where others keep it.",
        {
            "where": word("desk, room, witness or timestamp"),
            "size": integer("records it covers"),
            "day": word("the day it closes; -: none"),
            "result": word("done or refused"),
            "joint": word("root (base64) of the joint checkpoint of all shards, if that was posted; left out: none"),
            "on": ON,
        },
        {"made": "the event or file that holds it"},
    ),
    "rules": Kind(
        "The policy changed: its rules, or any of its numbers. Or a room's own rule was added or removed.",
        {
            "digest": word("first half of the SHA-256 of the policy"),
            "what": word("room: a room's own rule"),
            "step": word("of a room's own rule: added or removed"),
            "rule": RULE,
            "trial": integer("of a room's own rule; 1: it is on trial, nothing follows from it"),
            "on": ON,
        },
        {**SUBJECT, "policy": "the whole policy as JSON", "settings": "a room's own rule as JSON"},
    ),
    "restore": Kind(
        "The log goes on from a backup: later records are lost.",
        {
            "size": integer("records in the backup"),
            "made": integer("when it was made, milliseconds since 1970"),
            "signed": integer("size of the newest checkpoint known from elsewhere when it was restored; -1: none"),
            "cases": integer(
                "the first case number from here on; numbers between may have been given out in the lost time"
            ),
            "era": word("part of the transaction ids of requests from here on"),
            "on": ON,
        },
        {"reader": "user of the operating system"},
    ),
}
