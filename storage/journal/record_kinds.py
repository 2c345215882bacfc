"""One table of the kinds of records and what each may contain.

Rules kept here:
- A field is in the skeleton for ever, so it is an integer below 2^53 or a short word of printable ASCII, never a
  Matrix id, a name or a text.
- What concerns a person is data of a part.
- `docs/records.md` is made from this table by ``python -m storage.journal.record_kinds``.
Left to others: how a record is written (`line_format.py`), what it means (`moderation/`, `storage/`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from moderation.values.errors import Broken
from moderation.values.ids import SAFE_INT, is_event_id, is_group_code, is_room_id, is_user_id

from .record import Draft

RESERVED_FIELDS = frozenset("itkgpcx")  # the skeleton's own member names, and that of the parts
RESERVED_DATA = frozenset({"p", "s", "erased"})  # names that the journal adds to a part
KEPT = frozenset(
    {"genesis", "erase", "hold", "purge"}
)  # kinds whose parts are never erased: the log is checked by them
MAX_WORD = 64
_LAST_MS = 253_402_300_799_999  # the end of the year 9999


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a skeleton."""

    type: Literal["int", "str"]
    doc: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: what it is, its skeleton fields, and what its parts hold (for the reader)."""

    doc: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)


def _int(doc: str) -> Field:
    return Field("int", doc)


def _word(doc: str) -> Field:
    return Field("str", doc)


_N = _int("number of the case")
_READ = _int("when it was done, milliseconds since 1970; without it: when it was recorded")
_NOTE = _word("the note that the command line left")
_ON = _int("index of the record it is about; -1: none")
_MESSAGE = _int(
    "index of the record of the message, if a report pointed to it, or a file of it was known; left out: it is `on`"
)
_LATE = _int("index of the record that said it could not be read; its key came later")
_HEARD = _int("when the homeserver had last answered (ms), if this was sent while it did not answer")
_RULE = _word("name of the rule")
_CLASS = _word("minor, moderate, serious or severe; -: none applies")
_ASKED = _word("who has to decide: owner or operator; left out: managers")
_REACH = _word("where it counts: a community, or a group code for that room alone; left out: the whole deployment")
_UNTIL = _int("until when, milliseconds since 1970; 0: no end")
_EVENT = {
    "mxid": "who sent it",
    "ev": "event id",
    "ts": "the time its sender claims, milliseconds since 1970",
    "type": "event type",
}

_SUBJECT = {"as": "subject, by or target: the part this person has in it", "mxid": "the person concerned"}
_BY = {**_SUBJECT, "reason": "the reason given by the person who did it"}
_MEMBERSHIP = {
    **_EVENT,
    **_SUBJECT,
    "key": "the person concerned, if they did it themselves; in older records always",
    "content": "the event's content; if another person did it, without the reason, in the part of the person concerned",
    "reason": "if another person did it: why, in that person's part",
}

KINDS: dict[str, Kind] = {
    "genesis": Kind(
        "The first record of a log.",
        {"format": _int("version of this format; 1")},
        {"vkey": "verifier key of the log"},
    ),
    "start": Kind("The bot started.", {"version": _word("version of the program"), "on": _ON}),
    "stop": Kind(
        "The bot stopped in good order.",
        {
            "why": _word("why"),
            "sealed": _int("1: this record was signed at once, and so is what follows; left out: by an older version"),
            "on": _ON,
        },
    ),
    "notice": Kind(
        "The bot told a person something that concerns them.",
        {
            "what": _word("which text"),
            "n": _N,
            "channel": _word("direct, room or desk; none: the attempt was refused"),
            "asks": _int("number of the case whose decision it asks for; left out: none"),
            "on": _ON,
        },
        _SUBJECT,
    ),
    "join": Kind(
        "A person joined a room.",
        {"membership": _word("join"), "heard": _HEARD},
        _MEMBERSHIP,
    ),
    "leave": Kind(
        "A person left a room, or was removed, banned or invited.",
        {"membership": _word("leave, ban, invite or knock"), "heard": _HEARD},
        _MEMBERSHIP,
    ),
    "role": Kind(
        "The room's own power levels gave a person another role.",
        {"role": _word("owner, manager or member"), "was": _word("the role before"), "on": _ON},
        _SUBJECT,
    ),
    "verify": Kind(
        "A step of a person's verification.",
        {
            "step": _word(
                "verified or revoked; linked, unlinked: two accounts of one person; pinned: a master key; asked,"
                " door: a person was pointed to verification, also at the door of a room"
            ),
            "what": _word(
                "what they were told: reminded, held, halfway, managing, expires or lapsed; at the door: knocked,"
                " waiting, admitted or refused"
            ),
            "method": _word("vouch, roster, email or oidc; of a link: confirmed or oidc"),
            "level": _int("level reached, 0 to 3"),
            "until": _UNTIL,
            "start": _int("index of the record of the link that was a mistake"),
            "undoes": _int("index of the verification that is revoked"),
            "why": _word("why it was revoked: key or false; left out: not said"),
            "reach": _REACH,
            "on": _ON,
        },
        {
            **_SUBJECT,
            "key": "public half of the master key that the account had",
            "reason": "why",
            "reader": "user of the operating system",
        },
    ),
    "message": Kind(
        "A message, sticker, poll, reaction or any other event that is not state was received.",
        {
            "media": _word("image, video, audio, voice, file, sticker or location: the first of its files"),
            "late": _LATE,
            "heard": _HEARD,
        },
        {
            **_EVENT,
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
            "by": _word("policy_server or antispam: what asked whether it may be delivered"),
            "refused": _int("when it was refused, milliseconds since 1970"),
            "rule": _RULE,
            "class": _CLASS,
            "basis": _word("rule; interim: until a person decides"),
            "where": _word("which text of the message"),
            "count": _int("how much was counted; 0: nothing"),
            "limit": _int("how much is allowed"),
            "every": _int("how long its sender had to wait, milliseconds"),
            "messages": _int("how many of its sender's messages were held back, or must still stand"),
            "state": _int("1: it would have changed the state of the room"),
            "on": _ON,
        },
        {
            **_SUBJECT,
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
        {"late": _LATE, "heard": _HEARD},
        {**_EVENT, "body": "its text", "content": "the rest of its content"},
    ),
    "redact": Kind("A message was taken back or removed.", {}, {**_EVENT, "target": "event id of the message"}),
    "media": Kind(
        "A file was received: its hash and size.",
        {
            "bytes": _int("size"),
            "kept": _int("1: the file itself is kept, encrypted"),
            "result": _word("done; refused: it could not be fetched; large: it was left alone"),
            "on": _ON,
        },
        {
            **_SUBJECT,
            "sha256": "hash of the file",
            "pdq": "perceptual hashes (PDQ) of a picture, if a rule asks for them; several of one that moves",
            "url": "its address",
        },
    ),
    "labels": Kind(
        "A plug-in was asked about a file. Rules judge by its answer.",
        {
            "plugin": _word("its name"),
            "result": _word(
                "done; gone, late, wrong: no answer, none in time, or none that can be read; refused: the file could"
                " not be fetched; large: it was left alone"
            ),
            "on": _ON,
        },
        {
            **_SUBJECT,
            "labels": "the labels that rules ask about, each with its score: JSON",
            "url": "address of the file",
        },
    ),
    "state": Kind(
        "A room's settings changed (event), or how the bot serves it (entered, condition, language, setting, desk); or"
        " a space lists another room from now on, or no longer (listed, unlisted).",
        {
            "what": _word("event, entered, condition, language, setting, desk, listed, unlisted, wave or policy"),
            "step": _word(
                "of the policy server: on, off: asked before delivery from now on, or not; changed: likewise not, by a"
                " change of the room's state; down, back: it cannot be reached, or can again"
            ),
            "count": _int("of a wave: how many people came in"),
            "within": _int("of a wave: within how many milliseconds"),
            "do": _word("of a wave: tell, gate or close: what the bot does about it"),
            "until": _UNTIL,
            "n": _N,
            "limited": _int("1: no more than told, since that was done often enough within a day"),
            "removed": _int("of a wave: how many people are removed"),
            "setting": _word("the setting that its owner chose: verify, digest, newcomers or joins"),
            "value": _word(
                "level and what happens below it; off; what newcomers cannot post; tell, gate or close; -: as the"
                " operator set it"
            ),
            "code": _word(
                "the room's group code; after an upgrade that of the previous room, whose group goes on in it"
            ),
            "purpose": _word("group, desk, direct, lobby or space"),
            "served": _word("the group that a desk or a lobby serves"),
            "condition": _word("joining, announced, observing, protected or left"),
            "lang": _word("en or zh"),
            "desk": _word(
                "code of the desk that shows its cases from now on; -: another one, made if need be; own: its own"
            ),
            "why": _word(
                "same or differ: the same people run these rooms, or no longer; one: they do, the operator wants one"
                " desk; asked: somebody asked for it"
            ),
            "on": _ON,
        },
        {
            **_EVENT,
            **_SUBJECT,
            "key": "state key",
            "content": "the event's content",
            "room_id": "the room",
            "via": "a server that knows the room",
            "notice": "the event that told members what is recorded",
            "child": "of listed and unlisted: the room that is listed",
        },
    ),
    "duty": Kind(
        "A person is away from their duties or back (away, back), took on the duty in a room (accepted), or their duty"
        " hours changed (roster).",
        {"what": _word("away, back, accepted or roster"), "until": _UNTIL, "on": _ON},
        {**_SUBJECT, "hours": "weekly hours and time zone; none: no duty hours any more"},
    ),
    "report": Kind(
        "A member pointed the managers to a message, or a notice came from outside.",
        {
            "n": _N,
            "message": _MESSAGE,
            "channel": _word("operator, mail or server; left out: a member"),
            "on": _ON,
        },
        {
            **_BY,
            "words": "of a notice from outside: what it says",
            "contact": "of a notice from outside: how to answer its author",
            "reader": "of a notice from outside: who took it in, as the operating system knows them",
        },
    ),
    "finding": Kind(
        "A rule was broken.",
        {
            "rule": _RULE,
            "class": _CLASS,
            "on": _ON,
            "where": _word("which text of the message"),
            "count": _int("how much was counted; 0: nothing"),
            "limit": _int("how much is allowed"),
            "message": _MESSAGE,
        },
        {**_SUBJECT, "matched": "what was found"},
    ),
    "trial": Kind(
        "A rule on trial would have been broken. Nothing followed from it.",
        {
            "rule": _RULE,
            "class": _CLASS,
            "on": _ON,
            "where": _word("which text of the message"),
            "count": _int("how much was counted; 0: nothing"),
            "limit": _int("how much is allowed"),
            "message": _MESSAGE,
        },
        {**_SUBJECT, "matched": "what was found"},
    ),
    "case": Kind(
        "A case was opened, got evidence or a note, was seen, taken or put off, reached half its time or its deadline,"
        " or was passed on.",
        {
            "n": _N,
            "step": _word(
                "opened, joined, assigned, acknowledged, claimed, extended, reminded, overdue, escalated, parted,"
                " stopped, closed, noted, commented, asked or left"
            ),
            "asked": _ASKED,
            "about": _int("the case that was neglected or decided wrongly"),
            "lead": _int("the case whose card shows it, until that case is decided"),
            "burst": _int("the first of many cases that came at once, with which it is shown on one card"),
            "rule": _RULE,
            "class": _CLASS,
            "decide": _word("auto or manager"),
            "state": _word("the state it has now"),
            "manages": _int("1: the person held management rights there"),
            "message": _MESSAGE,
            "on": _ON,
            "due": _int("when a decision is due, milliseconds since 1970"),
            "informed": _int("of extended: 1: the person had been told of a deadline; left out: 0"),
            "what": _word(
                "of left: gone: left while it waited; excused: had left when its time was over; of asked: reason or"
                " together"
            ),
            "how": _word("of assigned: word: told in a direct room; left out: by the card, or above managers"),
        },
        {
            **_BY,
            "event": "the message",
            "excerpt": "its first words",
            "words": "the words of a note",
            "made": "the question",
            "cases": "what it is about",
        },
    ),
    "statement": Kind(
        "The statement of reasons for a decision, as it was given to the person concerned.",
        {"n": _N, "on": _ON},
        {**_SUBJECT, "statement": "the statement as JSON"},
    ),
    "decision": Kind(
        "A person decided a case.",
        {
            "n": _N,
            "what": _word("upheld or dismissed"),
            "state": _word("the state it has now"),
            "waits": _int("1: a message waited; if dismissed it is posted, if upheld it is left out; left out: 0"),
            "on": _ON,
        },
        _BY,
    ),
    "sanction": Kind(
        "A measure began, was extended, or ended.",
        {
            "step": _word("start, extend or end; sweep: all that somebody wrote in a time is redacted at once"),
            "kind": _word(
                "redact, warn, mute, demote, kick or ban; of a room: rectify, suspend, close, slow, gate, lockdown or"
                " server"
            ),
            "until": _UNTIL,
            "n": _N,
            "basis": _word("rule, interim, decision, command, credit, standing, neglect, operator or verification"),
            "rule": _RULE,
            "credit": _int("the balance it rested on"),
            "every": _int(
                "of slow mode and low credit: one message in so many milliseconds; of what somebody new posts: so long"
                " are they still new; left out: none"
            ),
            "messages": _int(
                "of messages held back: how many since the person was last told; of what somebody new posts: how many"
                " more must stand until they are not new; left out: one"
            ),
            "quiet": _int("1: the person was told of a similar one not long ago; left out: they are told"),
            "reach": _word(
                "of a measure in all rooms of a community: its name, or a group code; left out: as the group"
            ),
            "since": _int("of a sweep: from when on, milliseconds since 1970; `until` is when it was ordered"),
            "oldest": _int("of a sweep: the record of the oldest message that it redacts"),
            "count": _int("of a sweep: how many messages were known then"),
            "start": _int("index of the record that began it"),
            "why": _word(
                "why it ended: time, credit, standing, reversed, command, overtaken, mended, verified or settings"
            ),
            "on": _ON,
        },
        {
            **_BY,
            "event": "the message",
            "reader": "user of the operating system, at the command line",
            "server": "the server that a room lets in no longer",
        },
    ),
    "outcome": Kind(
        "The outcome of a request to the homeserver, or of a power level or ban that the bot keeps there.",
        {
            "action": _word("what was done; hold: a power level or a ban set because of a sanction"),
            "on": _ON,
            "n": _N,
            "result": _word("done, refused or abandoned"),
            "code": _word("the homeserver's error code; no-card, by an older version: a card was posted instead"),
            "txn": _word("transaction id of the request"),
            "step": _word("of a hold: intended, held, corrected, released or overruled"),
            "what": _word("of a hold: level or ban; of the room itself: posting, inviting, joining or acl"),
            "prior": _word("of a hold: the previous value; -: nothing"),
            "held": _word("of a hold: the present value"),
        },
        {
            **_SUBJECT,
            "event": "the message",
            "made": "the event or room that it created",
            "server": "of what acl keeps: the server",
        },
    ),
    "credit": Kind(
        "An entry in a person's ledger; the correction of an entry's balance, which changes no entry; or the"
        " word of an operator that an entry counts everywhere.",
        {
            "step": _word("corrected or confirmed; left out: an entry"),
            "start": _int("index of the entry whose balance is corrected, or that is confirmed"),
            "reach": _REACH,
            "told": _int("the balance recorded there"),
            "entry": _word("charge, warning or compensation"),
            "ledger": _word("standing: of people who run a group; left out: credit"),
            "cost": _int("points"),
            "rule": _RULE,
            "class": _CLASS,
            "n": _N,
            "undoes": _int("index of the entry it undoes"),
            "left": _int("the true balance with this entry, at that moment"),
            "on": _ON,
        },
        _SUBJECT,
    ),
    "appeal": Kind(
        "The person concerned, or a reporter, asked for a decision to be looked at again.",
        {
            "n": _N,
            "report": _int("1: they had reported it, and the report was dismissed"),
            "step": _word("lodged"),
            "state": _word("the state the case has now"),
            "asked": _ASKED,
            "due": _int("when an answer is due, milliseconds since 1970"),
            "on": _ON,
        },
        {**_SUBJECT, "words": "the words of the appeal"},
    ),
    "task": Kind(
        "A task for the operator was opened or done.",
        {
            "step": _word("opened or done"),
            "task": _word("dossier, case, last-manager, room or confirm"),
            "n": _N,
            "start": _int("index of the record that opened it"),
            "result": _word("done, declined or overtaken"),
            "on": _ON,
        },
        {**_SUBJECT, "reader": "user of the operating system", "reason": "why"},
    ),
    "dossier": Kind(
        "A dossier on a person was begun, approved, declined, or exported as a zip.",
        {
            "step": _word("opened, approved, declined or exported"),
            "start": _int("index of the record that began it; -1: this one"),
            "task": _int("index of the task it answers; -1: none"),
            "digest": _word("SHA-256 of the zip, or of approved.txt in an approval; -: none"),
            "how": _word("of an approval: key, account or user (of the operating system); left out: user"),
            "key": _word("public key of the approver, in base64; - or left out: none"),
            "on": _ON,
        },
        {
            **_SUBJECT,
            "covers": "the cases in it, as JSON",
            "reader": "user of the operating system; of an approval by key or account: the approver's account",
            "reason": "why",
            "bar": "the legal ground on which the person is not told",
            "signature": "the approver's Ed25519 signature, in base64",
        },
    ),
    "approver": Kind(
        "The key with which an operator signs approvals of dossiers was registered or withdrawn.",
        {"step": _word("added or removed"), "key": _word("the public key, in base64"), "on": _ON},
        {
            **_SUBJECT,
            "name": "the name of the key",
            "reader": "user of the operating system",
            "reason": "why",
        },
    ),
    "rules": Kind(
        "The policy changed: its rules, or any of its numbers. Or a room's own rule was added or removed.",
        {
            "digest": _word("first half of the SHA-256 of the policy"),
            "what": _word("room: a room's own rule"),
            "step": _word("of a room's own rule: added or removed"),
            "rule": _RULE,
            "trial": _int("of a room's own rule; 1: it is on trial, nothing follows from it"),
            "on": _ON,
        },
        {**_SUBJECT, "policy": "the whole policy as JSON", "settings": "a room's own rule as JSON"},
    ),
    "access": Kind(
        "Somebody read data held on people; identity: what a person proved about themselves.",
        {"what": _word("which command"), "n": _N, "read": _READ, "note": _NOTE, "on": _ON},
        {
            **_SUBJECT,
            "reader": "user of the operating system",
            "reason": "why",
            "filters": "what was asked for",
        },
    ),
    "export": Kind(
        "Records left the log as an export.",
        {
            "what": _word("which kind of export"),
            "count": _int("records in it"),
            "n": _N,
            "read": _READ,
            "note": _NOTE,
            "on": _ON,
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
        {"parts": _int("how many parts it names"), "what": _word("request, operator or retention"), "on": _ON},
        {
            "records": "which parts of which records, such as 740-745,800;1:812",
            "reader": "user of the operating system",
            "reason": "why",
        },
    ),
    "hold": Kind(
        "A legal hold: erasing and purging were postponed for some records, or no longer are.",
        {
            "step": _word("placed or ended"),
            "until": _UNTIL,
            "n": _N,
            "start": _int("index of the record that placed it"),
            "on": _ON,
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
            "below": _int("the first index that is kept"),
            "what": _word("schedule or command"),
            "on": _ON,
        },
        {"reader": "user of the operating system"},
    ),
    "restore": Kind(
        "The log goes on from a backup: later records are lost.",
        {
            "size": _int("records in the backup"),
            "made": _int("when it was made, milliseconds since 1970"),
            "signed": _int("size of the newest checkpoint known from elsewhere when it was restored; -1: none"),
            "cases": _int(
                "the first case number from here on; numbers between may have been given out in the lost time"
            ),
            "era": _word("part of the transaction ids of requests from here on"),
            "on": _ON,
        },
        {"reader": "user of the operating system"},
    ),
    "coverage": Kind(
        "Something the bot did not see, could not read, or could not keep.",
        {
            "what": _word(
                "gap, torn, cut: the end of the log was missing, failed, unreadable, undecryptable, down, clock: times"
                " do not fit, unsigned: a crash left records from `on` on unsigned, foreign: lines that somebody added"
                " while the bot was stopped were set aside, or withheld: why the event recorded at `on` cannot be"
                " read, learnt later"
            ),
            "count": _int("how much of it; of down: milliseconds"),
            "since": _int("of down: when it began, milliseconds since 1970; left out: `count` before this record"),
            "code": _word("of undecryptable and withheld: why the sender gave no key, or what is wrong"),
            "on": _ON,
        },
        {**_EVENT, "detail": "what is known of it", "problem": "what could not be read", "raw": "as received"},
    ),
    "anchor": Kind(
        "A checkpoint was posted where others keep it.",
        {
            "where": _word("desk, room, witness or timestamp"),
            "size": _int("records it covers"),
            "day": _word("the day it closes; -: none"),
            "result": _word("done or refused"),
            "on": _ON,
        },
        {"made": "the event or file that holds it"},
    ),
    "request": Kind(
        "A person asked for something about their own data; an owner asked it to remake or to leave a room; or somebody"
        " gave an order for many rooms at once.",
        {
            "what": _word(
                "mydata, erase or receipt; appeal: to be asked why; adopt, leave: what would happen; adopt-confirmed,"
                " leave-confirmed; everywhere: in which rooms it would hold; everywhere-confirmed; policy: what it"
                " means to ask the policy server; erase-confirmed, erase-relayed: other shards erase it, too"
            ),
            "on": _ON,
        },
        _SUBJECT,
    ),
    "console": Kind(
        "A person came to the web console by a link in their direct room, gave a command there, or left it.",
        {
            "step": _word("link: they got a link; opened: they used it; command: they gave a command; ended"),
            "until": _int("of a link or a session: until when at most, milliseconds since 1970"),
            "link": _int("record of the link that was used; -1: they logged in at an issuer"),
            "start": _int("record that began the session"),
            "why": _word("of an end: left; idle: an hour without a request; operator: an operator ended it"),
            "on": _ON,
        },
        {
            **_SUBJECT,
            "ticket": "SHA-256 of what the link ends in, which is recorded nowhere",
            "session": "SHA-256 of what the browser holds, which is recorded nowhere",
            "words": "the command",
            "reader": "the operator who ended it, as a user of the operating system",
        },
    ),
    "list": Kind(
        "A policy list is watched, was read, means somebody or a server here, or spares them; or ours names somebody.",
        {
            "what": _word("chosen; previewed; read: its entries; matched: somebody; server; spared; published: by us"),
            "step": _word(
                "watched or ended; asked, entered, shown or left; propose or apply; spared or unspared; published or"
                " withdrawn"
            ),
            "preview": _int("the number of the preview that was confirmed"),
            "number": _int("of a preview: the record of the request"),
            "since": _int("when the list was chosen, milliseconds since 1970, if that was recorded before"),
            "list": _word("what the list is called here"),
            "trust": _word("how far it is trusted: look, propose, agree or apply"),
            "reach": _word("how far its bans reach, or the sparing: the name of a community; none: every room"),
            "entries": _int("how many entries it has"),
            "added": _int("how many are new"),
            "removed": _int("how many are gone"),
            "digest": _word("SHA-256 of its entries in order"),
            "of": _word("what the entry is about: user, server or room"),
            "advice": _word("what the entry recommends: ban, takedown, allow or unknown"),
            "n": _int("case"),
            "word": _word("of our own entry: why, in one word"),
            "hashed": _int("1: our own entry has only a hash of the person's id"),
            "people": _int("how many people of the room are on the server that an entry means"),
            "on": _ON,
        },
        {
            **_BY,
            "list_room": "the room of the list",
            "key": "the state key of the entry",
            "entity": "whom the entry means, as the list writes it",
            "author": "who wrote the entry",
            "server": "the server, or the pattern over servers, that an entry means or a list no longer touches",
        },
    ),
    "learnt": Kind(
        "A record about a person in the log of another shard of this deployment, which counts here, too.",
        {
            "what": _word(
                "entry: in a ledger; verified, revoked; linked, unlinked: two accounts of one person; barred,"
                " prolonged, admitted: from every room; spared, unspared: by a list; erase, erase-again: what is held"
                " on them is erased; restored: the other log goes on from a backup; pinned: the key by which the other"
                " log is checked from now on"
            ),
            "origin": _word("the name of the other log"),
            "era": _word("of a log that continues from a backup: its era"),
            "index": _int("the index of the record there"),
            "made": _int("when it was recorded there, milliseconds since 1970"),
            "size": _int("how many records the checkpoint covers by which it was proved"),
            "root": _word("the root of that checkpoint, in hexadecimal"),
            "confirmed": _int("of an entry of one community: the record there by which it counts everywhere"),
            "refers": _int("the record there that it undoes or changes"),
            "entry": _word("charge, warning or compensation"),
            "ledger": _word("standing; left out: credit"),
            "cost": _int("points"),
            "class": _CLASS,
            "rule": _RULE,
            "method": _word("of a verification: vouch, roster, email or oidc; of a link: confirmed or oidc"),
            "level": _int("level reached, 0 to 3"),
            "until": _UNTIL,
            "basis": _word("what staying out rests on"),
            "why": _word("why it ended"),
            "list": _word("the list that no longer touches somebody"),
            "on": _ON,
        },
        {
            **_SUBJECT,
            "server": "the server that a list no longer touches",
            "vkey": "the key of the other log",
        },
    ),
    "identity": Kind(
        "Identity data of members was destroyed, or the key that opens it was changed.",
        {
            "step": _word("forgotten; of a change of keys: begun or done"),
            "what": _word("request, operator or retention"),
            "count": _int("claims that were destroyed"),
            "marks": _int("1: unreadable marks of the used identifiers stay"),
            "key": _word("first 8 bytes of the SHA-256 of the new key"),
            "was": _word("the same of the previous key"),
            "on": _ON,
        },
        {"reader": "user of the operating system", "reason": "why"},
    ),
    "disclosure": Kind(
        "A person was given what is held on them, or the receipt of a message.",
        {"what": _word("mydata or receipt"), "count": _int("records in it"), "on": _ON},
        _SUBJECT,
    ),
}

_TYPES = {
    name: {word: int if entry.type == "int" else str for word, entry in kind.fields.items()}
    for name, kind in KINDS.items()
}


def check(draft: Draft) -> None:
    """Check that `draft` may become a record. Raises `Broken`, naming what is wrong; changes nothing."""
    types = _TYPES.get(draft.kind)
    if types is None:
        raise Broken(f"there is no kind of record {draft.kind!r}; see storage/journal/record_kinds.py")
    for name, value in draft.fields.items():
        if types.get(name) is not type(value):
            raise Broken(f"record of kind {draft.kind}: field {name!r} {_fault(draft.kind, name)}")
        if isinstance(value, str):
            _check_word(draft.kind, name, value)
        elif not -SAFE_INT <= value <= SAFE_INT:
            raise Broken(f"record of kind {draft.kind}: field {name!r} is beyond 2^53 - 1")
    if draft.group is not None and not is_group_code(draft.group):
        raise Broken(f"record of kind {draft.kind}: {draft.group!r} is not a group code")
    if type(draft.at_ms) is not int or not 0 <= draft.at_ms <= _LAST_MS:
        raise Broken(f"record of kind {draft.kind}: {draft.at_ms!r} is not a time")
    for part in draft.parts:
        if not RESERVED_DATA.isdisjoint(part.data):
            raise Broken(f"record of kind {draft.kind}: a part uses a name kept for the journal")


def _fault(kind: str, name: str) -> str:
    known = KINDS[kind].fields.get(name)
    return f"must be {known.type}" if known else "is not in the table; see storage/journal/record_kinds.py"


def _check_word(kind: str, name: str, value: str) -> None:
    if len(value) > MAX_WORD or not (value.isascii() and value.isprintable()):
        raise Broken(f"record of kind {kind}: field {name!r} must be at most {MAX_WORD} printable ASCII letters")
    if value[:1] in ("@", "!", "$") and (is_user_id(value) or is_room_id(value) or is_event_id(value)):
        raise Broken(f"record of kind {kind}: field {name!r} holds a Matrix id, which belongs into a part")


PAGE = Path(__file__).parents[2] / "docs" / "records.md"
_BEGIN = "<!-- kinds: made by `python -m storage.journal.record_kinds`, do not edit -->\n"
_END = "<!-- end of kinds -->\n"


def render(page: str) -> str:
    """Return the page with a new table of kinds; the prose around it stays. Raises `ValueError` without marks."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"docs/records.md: the marks {_BEGIN.strip()} and {_END.strip()} are missing")
    return before + begin + "\n" + "\n".join(_section(name, kind) for name, kind in KINDS.items()) + "\n" + end + after


def _section(name: str, kind: Kind) -> str:
    lines = [f"### `{name}`", "", kind.doc, ""]
    lines += [f"- `{field_name}` ({entry.type}): {entry.doc}" for field_name, entry in kind.fields.items()]
    lines += [f"- in a part, `{data_name}`: {doc}" for data_name, doc in kind.parts.items()]
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
