"""Records about messages, other events, and files."""

from .kind import CLASS, EVENT, HEARD, ON, RULE, SUBJECT, Kind, integer, word

_LATE = integer("index of the record that said it could not be read; its key came later")

KINDS: dict[str, Kind] = {
    "message": Kind(
        "A message, sticker, poll, reaction or any other event that is not state was received.",
        {
            "media": word("image, video, audio, voice, file, sticker or location: the first of its files"),
            "late": _LATE,
            "heard": HEARD,
        },
        {
            **EVENT,
            "body": "its text",
            "content": "the rest of its content",
            "encrypted": "1: it came encrypted",
            "own": "1: the bot itself sent it; its text is not kept",
            "card": "of a card that the bot posted: the case it shows, and the request that sent it",
            "burst": "of a common card of many cases: the first of them, and the request that sent it",
            "question": "of a question that the bot asked in a desk: the request that sent it",
            "posted": "1: a message whose words are not kept",
        },
    ),
    "withheld": Kind(
        "A message, or another event, was refused before its delivery, so nobody saw it; it is no event of its room.",
        {
            "by": word("policy_server or antispam: what asked whether it may be delivered"),
            "refused": integer("when it was refused, milliseconds since 1970"),
            "rule": RULE,
            "class": CLASS,
            "basis": word("rule; interim: until a person decides"),
            "where": word("which text of the message"),
            "count": integer("how much was counted; 0: nothing"),
            "limit": integer("how much is allowed"),
            "every": integer("how long its sender had to wait, milliseconds"),
            "messages": integer("how many of its sender's messages were held back, or must still stand"),
            "state": integer("1: it would have changed the state of the room"),
            "on": ON,
        },
        {
            **SUBJECT,
            "event": "event id",
            "sent": "the time its sender claims, milliseconds since 1970",
            "type": "event type; left out: m.room.message",
            "key": "state key",
            "sha256": "hash of its content: JSON, keys sorted, without spaces",
            "matched": "what was found",
            "body": "its text",
            "content": "the rest of its content: JSON",
        },
    ),
    "edit": Kind(
        "A message was edited.",
        {"late": _LATE, "heard": HEARD},
        {**EVENT, "body": "its text", "content": "the rest of its content"},
    ),
    "redact": Kind("A message was taken back or removed.", {}, {**EVENT, "target": "event id of the message"}),
    "media": Kind(
        "A file was received: its hash and size.",
        {
            "bytes": integer("size"),
            "kept": integer("1: the file itself is kept, encrypted"),
            "result": word("done; refused: it could not be fetched; large: it was left alone"),
            "on": ON,
        },
        {
            **SUBJECT,
            "sha256": "hash of the file",
            "pdq": "perceptual hashes (PDQ) of a picture, if a rule asks for them; several of one that moves",
            "url": "its address",
        },
    ),
    "labels": Kind(
        "A plug-in was asked about a file. Rules judge by its answer.",
        {
            "plugin": word("its name"),
            "result": word(
                "done; gone, late, wrong: no answer, none in time, or none that can be read; refused: the file could"
                " not be fetched; large: it was left alone"
            ),
            "on": ON,
        },
        {
            **SUBJECT,
            "labels": "the labels that rules ask about, each with its score: JSON",
            "url": "address of the file",
        },
    ),
}
