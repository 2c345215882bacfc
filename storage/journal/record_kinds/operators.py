"""Records about what operators do: tasks, dossiers, reading, exporting, erasing, holding, purging."""

from .kind import ON, SUBJECT, UNTIL, Kind, N, integer, word

_READ = integer("when it was done, milliseconds since 1970; without it: when it was recorded")
_NOTE = word("the note that the command line left")

KINDS: dict[str, Kind] = {
    "task": Kind(
        "A task for the operator was opened or done.",
        {
            "step": word("opened or done"),
            "task": word("dossier, case, last-manager, room or confirm"),
            "n": N,
            "start": integer("index of the record that opened it"),
            "result": word("done, declined or overtaken"),
            "on": ON,
        },
        {**SUBJECT, "reader": "user of the operating system", "reason": "why"},
    ),
    "dossier": Kind(
        "A dossier on a person was begun, approved, declined, or exported as a zip.",
        {
            "step": word("opened, approved, declined or exported"),
            "start": integer("index of the record that began it; -1: this one"),
            "task": integer("index of the task it answers; -1: none"),
            "digest": word("SHA-256 of the zip, or of approved.txt in an approval; -: none"),
            "how": word("of an approval: key, account or user (of the operating system); left out: user"),
            "key": word("public key of the approver, in base64; - or left out: none"),
            "on": ON,
        },
        {
            **SUBJECT,
            "covers": "the cases in it, as JSON",
            "reader": "user of the operating system; of an approval by key or account: the approver's account",
            "reason": "why",
            "bar": "the legal ground on which the person is not told",
            "signature": "the approver's Ed25519 signature, in base64",
        },
    ),
    "approver": Kind(
        "The key with which an operator signs approvals of dossiers was registered or withdrawn.",
        {"step": word("added or removed"), "key": word("the public key, in base64"), "on": ON},
        {
            **SUBJECT,
            "name": "the name of the key",
            "reader": "user of the operating system",
            "reason": "why",
        },
    ),
    "access": Kind(
        "Somebody read data held on people; identity: what a person proved about themselves.",
        {"what": word("which command"), "n": N, "read": _READ, "note": _NOTE, "on": ON},
        {
            **SUBJECT,
            "reader": "user of the operating system",
            "reason": "why",
            "filters": "what was asked for",
        },
    ),
    "export": Kind(
        "Records left the log as an export.",
        {
            "what": word("which kind of export"),
            "count": integer("records in it"),
            "n": N,
            "read": _READ,
            "note": _NOTE,
            "on": ON,
        },
        {
            "records": "which records are in it, such as 0,740-745",
            "contents": "the files in it, one line each: SHA-256 and name",
            "reader": "user of the operating system",
            "reason": "why",
            "filters": "what was asked for",
        },
    ),
    "erase": Kind(
        "Parts of records were erased.",
        {"parts": integer("how many parts it names"), "what": word("request, operator or retention"), "on": ON},
        {
            "records": "which parts of which records, such as 740-745,800;1:812",
            "reader": "user of the operating system",
            "reason": "why",
        },
    ),
    "hold": Kind(
        "A legal hold: erasing and purging were postponed for some records, or no longer are.",
        {
            "step": word("placed or ended"),
            "until": UNTIL,
            "n": N,
            "start": integer("index of the record that placed it"),
            "on": ON,
        },
        {
            "duty": "the duty or claim it rests on",
            "covers": "what it covers, as JSON",
            "reader": "user of the operating system",
            "reason": "why it ended",
        },
    ),
    "purge": Kind(
        "Records were removed after their time.",
        {
            "below": integer("the first index that is kept"),
            "what": word("schedule or command"),
            "on": ON,
        },
        {"reader": "user of the operating system"},
    ),
    "identity": Kind(
        "Identity data of members was destroyed, or the key that opens it was changed.",
        {
            "step": word("forgotten; of a change of keys: begun or done"),
            "what": word("request, operator or retention"),
            "count": integer("claims that were destroyed"),
            "marks": integer("1: unreadable marks of the used identifiers stay"),
            "key": word("first 8 bytes of the SHA-256 of the new key"),
            "was": word("the same of the previous key"),
            "on": ON,
        },
        {"reader": "user of the operating system", "reason": "why"},
    ),
}
