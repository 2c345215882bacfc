"""Records about what was learnt from the logs of other shards."""

from .kind import CLASS, ON, RULE, SUBJECT, UNTIL, Kind, integer, word

KINDS: dict[str, Kind] = {
    "learnt": Kind(
        "A record about a person in the log of another shard of this deployment, which counts here, too.",
        {
            "what": word(
                "entry: in a ledger; verified, revoked; linked, unlinked: two accounts of one person; barred,"
                " prolonged, admitted: from every room; ordered, recalled: a ban from all rooms, by an order;"
                " spared, unspared: by a list; erase, erase-again: what is held"
                " on them is erased; restored: the other log goes on from a backup; pinned: the key by which the other"
                " log is checked from now on; named: an end here of what was learnt in a record that is purged"
            ),
            "origin": word("the name of the other log"),
            "era": word("of a log that continues from a backup: its era"),
            "index": integer("the index of the record there"),
            "made": integer("when it was recorded there, milliseconds since 1970"),
            "size": integer("how many records the checkpoint covers by which it was proved"),
            "root": word("the root of that checkpoint, in hexadecimal"),
            "confirmed": integer("of an entry of one community: the record there by which it counts everywhere"),
            "refers": integer("the record that it undoes or changes"),
            "of": word("the log in which that record stands; here: in this one; left out: in the other log"),
            "of_era": word("the era of that log"),
            "entry": word("charge, warning or compensation"),
            "ledger": word("standing; left out: credit"),
            "cost": integer("points"),
            "class": CLASS,
            "rule": RULE,
            "method": word("of a verification: vouch, roster, email or oidc; of a link: confirmed or oidc"),
            "ends": word("of what is named: what other shards learn"),
            "level": integer("level reached, 0 to 3"),
            "until": UNTIL,
            "basis": word("what staying out rests on"),
            "why": word("why it ended"),
            "list": word("the list that no longer touches somebody"),
            "over": integer("1: of an order, that its end was there to be read when it was learnt"),
            "on": ON,
        },
        {
            **SUBJECT,
            "reason": "of an order: why",
            "server": "the server that a list no longer touches",
            "vkey": "the key of the other log",
        },
    ),
}
