"""Records about rooms and policy lists."""

from .kind import BY, EVENT, ON, SUBJECT, UNTIL, Kind, N, integer, word

KINDS: dict[str, Kind] = {
    "state": Kind(
        "A room's settings changed (event), or how the bot serves it (entered, condition, language, setting, desk); or"
        " a space lists another room from now on, or no longer (listed, unlisted).",
        {
            "what": word("event, entered, condition, language, setting, desk, listed, unlisted, wave or policy"),
            "step": word(
                "of the policy server: on, off: asked before delivery from now on, or not; changed: likewise not, by a"
                " change of the room's state; down, back: it cannot be reached, or can again"
            ),
            "count": integer("of a wave: how many people came in"),
            "within": integer("of a wave: within how many milliseconds"),
            "do": word("of a wave: tell, gate or close: what the bot does about it"),
            "until": UNTIL,
            "n": N,
            "limited": integer("1: no more than told, since that was done often enough within a day"),
            "removed": integer("of a wave: how many people are removed"),
            "setting": word("the setting that its owner chose: verify, digest, newcomers or joins"),
            "value": word(
                "level and what happens below it; off; what newcomers cannot post; tell, gate or close; -: as the"
                " operator set it"
            ),
            "code": word(
                "the room's group code; after an upgrade that of the previous room, whose group goes on in it"
            ),
            "purpose": word("group, desk, direct, lobby or space"),
            "served": word("the group that a desk or a lobby serves"),
            "condition": word("joining, announced, observing, protected or left"),
            "lang": word("en or zh"),
            "desk": word(
                "code of the desk that shows its cases from now on; -: another one, made if need be; own: its own"
            ),
            "why": word(
                "same or differ: the same people run these rooms, or no longer; one: they do, the operator wants one"
                " desk; asked: somebody asked for it"
            ),
            "on": ON,
        },
        {
            **EVENT,
            **SUBJECT,
            "key": "state key",
            "content": "the event's content",
            "room_id": "the room",
            "via": "a server that knows the room",
            "notice": "the event that told members what is recorded",
            "child": "of listed and unlisted: the room that is listed",
        },
    ),
    "list": Kind(
        "A policy list is watched, was read, means somebody or a server here, or spares them; or ours names somebody.",
        {
            "what": word("chosen; previewed; read: its entries; matched: somebody; server; spared; published: by us"),
            "step": word(
                "watched or ended; asked, entered, shown or left; propose or apply; spared or unspared; published or"
                " withdrawn"
            ),
            "preview": integer("the number of the preview that was confirmed"),
            "number": integer("of a preview: the record of the request"),
            "since": integer("when the list was chosen, milliseconds since 1970, if that was recorded before"),
            "list": word("what the list is called here"),
            "trust": word("how far it is trusted: look, propose, agree or apply"),
            "reach": word("how far its bans reach, or the sparing: the name of a community; none: every room"),
            "entries": integer("how many entries it has"),
            "added": integer("how many are new"),
            "removed": integer("how many are gone"),
            "digest": word("SHA-256 of its entries in order"),
            "of": word("what the entry is about: user, server or room"),
            "advice": word("what the entry recommends: ban, takedown, allow or unknown"),
            "n": integer("case"),
            "undoes": integer("of unspared: the record that is taken back; left out: all within its reach"),
            "word": word("of our own entry: why, in one word"),
            "hashed": integer("1: our own entry has only a hash of the person's id"),
            "people": integer("how many people of the room are on the server that an entry means"),
            "on": ON,
        },
        {
            **BY,
            "list_room": "the room of the list",
            "key": "the state key of the entry",
            "entity": "whom the entry means, as the list writes it",
            "author": "who wrote the entry",
            "server": "the server, or the pattern over servers, that an entry means or a list no longer touches",
        },
    ),
}
