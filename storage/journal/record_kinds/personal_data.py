"""Records about what people asked and got of their own data, and about the web console."""

from .kind import ON, SUBJECT, Kind, integer, word

KINDS: dict[str, Kind] = {
    "request": Kind(
        "A person asked for something about their own data; an owner asked it to remake or to leave a room; or somebody"
        " gave an order for many rooms at once.",
        {
            "what": word(
                "mydata, erase or receipt; appeal: to be asked why; adopt, leave: what would happen; adopt-confirmed,"
                " leave-confirmed; everywhere: in which rooms it would hold; everywhere-confirmed; policy: what it"
                " means to ask the policy server; erase-confirmed, erase-relayed: other shards erase it, too"
            ),
            "on": ON,
        },
        SUBJECT,
    ),
    "disclosure": Kind(
        "A person was given what is held on them, or the receipt of a message.",
        {"what": word("mydata or receipt"), "count": integer("records in it"), "on": ON},
        SUBJECT,
    ),
    "console": Kind(
        "A person came to the web console by a link in their direct room, gave a command there, or left it.",
        {
            "step": word("link: they got a link; opened: they used it; command: they gave a command; ended"),
            "until": integer("of a link or a session: until when at most, milliseconds since 1970"),
            "link": integer("record of the link that was used; -1: they logged in at an issuer"),
            "start": integer("record that began the session"),
            "why": word("of an end: left; idle: an hour without a request; operator: an operator ended it"),
            "on": ON,
        },
        {
            **SUBJECT,
            "ticket": "SHA-256 of what the link ends in, which is recorded nowhere",
            "session": "SHA-256 of what the browser holds, which is recorded nowhere",
            "words": "the command",
            "reader": "the operator who ended it, as a user of the operating system",
        },
    ),
}
