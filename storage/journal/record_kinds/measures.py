"""Records about measures, what they did in rooms, and ledgers."""

from .kind import BY, CLASS, ON, REACH, RULE, SUBJECT, UNTIL, Kind, N, integer, word

KINDS: dict[str, Kind] = {
    "sanction": Kind(
        "A measure began, was extended, or ended.",
        {
            "step": word(
                "start, extend or end; sweep: all that somebody wrote in a time is redacted at once; everywhere: the"
                " ban of this case holds in all shards; recalled: it does no longer"
            ),
            "kind": word(
                "redact, warn, mute, demote, kick or ban; of a room: rectify, suspend, close, slow, gate, lockdown or"
                " server"
            ),
            "until": UNTIL,
            "n": N,
            "basis": word("rule, interim, decision, command, credit, standing, neglect, operator or verification"),
            "rule": RULE,
            "credit": integer("the balance it rested on"),
            "every": integer(
                "of slow mode and low credit: one message in so many milliseconds; of what somebody new posts: so long"
                " are they still new; left out: none"
            ),
            "messages": integer(
                "of messages held back: how many since the person was last told; of what somebody new posts: how many"
                " more must stand until they are not new; left out: one"
            ),
            "quiet": integer("1: the person was told of a similar one not long ago; left out: they are told"),
            "reach": word(
                "of a measure in all rooms of a community: its name, or a group code; left out: as the group"
            ),
            "since": integer("of a sweep: from when on, milliseconds since 1970; `until` is when it was ordered"),
            "oldest": integer("of a sweep: the record of the oldest message that it redacts"),
            "count": integer("of a sweep: how many messages were known then"),
            "start": integer("index of the record that began it"),
            "origin": word("of an order for all shards: the log where it was given; -: this one"),
            "era": word("of that log, if it continues from a backup"),
            "index": integer("of the order in that log"),
            "why": word(
                "why it ended: time, credit, standing, reversed, command, overtaken, mended, verified or settings"
            ),
            "on": ON,
        },
        {
            **BY,
            "event": "the message",
            "reader": "user of the operating system, at the command line",
            "server": "the server that a room lets in no longer",
        },
    ),
    "outcome": Kind(
        "The outcome of a request to the homeserver, or of a power level or ban that the bot keeps there.",
        {
            "action": word("what was done; hold: a power level or a ban set because of a sanction"),
            "on": ON,
            "n": N,
            "result": word("done, refused or abandoned"),
            "code": word("the homeserver's error code; no-card, by an older version: a card was posted instead"),
            "txn": word("transaction id of the request"),
            "step": word("of a hold: intended, held, corrected, released or overruled"),
            "what": word("of a hold: level or ban; of the room itself: posting, inviting, joining or acl"),
            "prior": word("of a hold: the previous value; -: nothing"),
            "held": word("of a hold: the present value"),
        },
        {
            **SUBJECT,
            "event": "the message",
            "made": "the event or room that it created",
            "server": "of what acl keeps: the server",
        },
    ),
    "credit": Kind(
        "An entry in a person's ledger; the correction of an entry's balance, which changes no entry; or the"
        " word of an operator that an entry counts everywhere.",
        {
            "step": word("corrected or confirmed; left out: an entry"),
            "start": integer("index of the entry whose balance is corrected, or that is confirmed"),
            "reach": REACH,
            "told": integer("the balance recorded there"),
            "entry": word("charge, warning or compensation"),
            "ledger": word("standing: of people who run a group; left out: credit"),
            "cost": integer("points"),
            "rule": RULE,
            "class": CLASS,
            "n": N,
            "undoes": integer("index of the entry it undoes"),
            "left": integer("the true balance with this entry, at that moment"),
            "on": ON,
        },
        SUBJECT,
    ),
}
