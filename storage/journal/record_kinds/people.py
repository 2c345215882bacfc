"""Records about people: joining and leaving, roles, verification, duty, what they were told."""

from .kind import EVENT, HEARD, ON, REACH, SUBJECT, UNTIL, Kind, N, integer, word

_MEMBERSHIP = {
    **EVENT,
    **SUBJECT,
    "key": "the person concerned, if they did it themselves; in older records always",
    "content": "the event's content; if another person did it, without the reason, in the part of the person concerned",
    "reason": "if another person did it: why, in that person's part",
}

KINDS: dict[str, Kind] = {
    "join": Kind(
        "A person joined a room.",
        {"membership": word("join"), "heard": HEARD},
        _MEMBERSHIP,
    ),
    "leave": Kind(
        "A person left a room, or was removed, banned or invited.",
        {"membership": word("leave, ban, invite or knock"), "heard": HEARD},
        _MEMBERSHIP,
    ),
    "role": Kind(
        "The room's own power levels gave a person another role.",
        {"role": word("owner, manager or member"), "was": word("the role before"), "on": ON},
        SUBJECT,
    ),
    "verify": Kind(
        "A step of a person's verification.",
        {
            "step": word(
                "verified or revoked; linked, unlinked: two accounts of one person; pinned: a master key; asked,"
                " door: a person was pointed to verification, also at the door of a room"
            ),
            "what": word(
                "what they were told: reminded, held, halfway, managing, expires or lapsed; at the door: knocked,"
                " waiting, admitted or refused"
            ),
            "method": word("vouch, roster, email or oidc; of a link: confirmed or oidc"),
            "level": integer("level reached, 0 to 3"),
            "until": UNTIL,
            "start": integer("index of the record of the link that was a mistake"),
            "undoes": integer("index of the verification that is revoked"),
            "why": word("why it was revoked: key or false; left out: not said"),
            "reach": REACH,
            "on": ON,
        },
        {
            **SUBJECT,
            "key": "public half of the master key that the account had",
            "reason": "why",
            "reader": "user of the operating system",
        },
    ),
    "duty": Kind(
        "A person is away from their duties or back (away, back), took on the duty in a room (accepted), or their duty"
        " hours changed (roster).",
        {"what": word("away, back, accepted or roster"), "until": UNTIL, "on": ON},
        {**SUBJECT, "hours": "weekly hours and time zone; none: no duty hours any more"},
    ),
    "notice": Kind(
        "The bot told a person something that concerns them.",
        {
            "what": word("which text"),
            "n": N,
            "channel": word("direct, room or desk; none: the attempt was refused"),
            "asks": integer("number of the case whose decision it asks for; left out: none"),
            "on": ON,
        },
        SUBJECT,
    ),
}
