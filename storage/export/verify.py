#!/usr/bin/env python3
"""Check an export of Answerable's records. Needs Python 3.8 or newer and nothing else.

    python3 verify.py                     the folder this file is in
    python3 verify.py export.zip          a zip, without unpacking it
    python3 verify.py --vkey KEY FOLDER   KEY: the log's key as you got it elsewhere, or a file that holds it

Exit code 0: nothing is wrong. 1: something is; each problem is printed with its file and line.

What is checked, and by which published rule:
- log.vkey, checkpoint: an Ed25519 signature (RFC 8032) in the form of C2SP signed-note and tlog-checkpoint.
- records.jsonl: every line's skeleton (all but "x") in canonical JSON (RFC 8785) is a leaf of the Merkle tree (RFC
  6962, 2.1) that the checkpoint signs, by the proofs in proofs/ (C2SP tlog-proof, or proofs/tree.txt).
- Every part that is shown has the SHA-256 given in "c"; a part that was left out is null; a part that was erased names
  a record of kind "erase" that is present and names this very part, on that date.
- media/: every file is named by its SHA-256 and a record mentions it.
- approved.txt, in a file on a person: it lists what two people approved, is complete, and its SHA-256 was signed or
  confirmed by at least two of them (`approval_text` below), by different keys and from different accounts.
- records.csv: it is rebuilt from the records and compared, cell by cell.
- export-record.jsonl: the log's own record of this export, proved like the others, names the records and the SHA-256 of
  each file in it: none is missing, altered or added. Exports of older versions, and some others, have none; then the
  program says that this cannot be checked.
- SHA256SUMS: every file is unchanged. It is not signed, and only shows quickly what was damaged.

What no check can show: records that the log never received, and a log that its keeper started again from nothing. An
older checkpoint that somebody else kept helps against that, and so does a key that you got in another way: --vkey.

Rules kept here:
- One file, standard library only, nothing is written or unpacked.
- Any damaged input gives a list of problems, never a traceback.
- Memory does not grow with the number of records.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterable, Iterator  # noqa: UP035 - Python 3.8 wants them from here

MAX_LINE = 16 * 1024 * 1024
MAX_SMALL = 1024 * 1024  # keys, checkpoints and single proofs are far smaller
MAX_SHOWN = 100  # problems printed; the rest are counted
SAFE_INT = 2**53 - 1
KEPT = ("genesis", "erase", "hold", "purge")  # kinds whose parts are never erased: checking the log needs them
SUMS = "SHA256SUMS"
TABLE = "records.csv"
MADE = "export-record.jsonl"
MEDIA = "media/"  # in the list of what was exported it stands for the names of all files there
APPROVED = "approved.txt"
APPROVED_TITLE = "answerable-dossier@v1"
APPROVALS = 2  # by this many different people
# Records that note who read, was told or asked something; they follow an approval without changing what it covers.
NOTES = ("access", "export", "disclosure", "task", "hold", "outcome", "notice", "dossier", "approver")
TREE = "proofs/tree.txt"
TREE_TITLE = "answerable-tree-proof@v1"
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")
HASH_LINE = re.compile(r"[A-Za-z0-9+/]{43}=")


class Wrong(Exception):
    """Something in the export is wrong; the text says what."""


# Ed25519, RFC 8032, 5.1: points as (X, Y, Z, T) with x = X/Z, y = Y/Z, x * y = T/Z.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
Point = Any


def add(a: Point, b: Point) -> Point:
    """Return the sum of two points (5.1.4)."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    return ((f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P)


def multiply(number: int, point: Point) -> Point:
    """Return `number` times `point`."""
    total = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, point)
        point = add(point, point)
        number >>= 1
    return total


def decode_point(data: bytes) -> Point | None:
    """Decode a point (5.1.3); None if the bytes are no point."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


def encode_point(point: Point) -> bytes:
    """Encode a point (5.1.2)."""
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return int(y | (x & 1) << 255).to_bytes(32, "little")


BASE = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed_by(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the owner of the public `key` signed `message` (5.1.7)."""
    point = decode_point(key) if len(key) == 32 and len(signature) == 64 else None
    s = int.from_bytes(signature[32:], "little")
    if point is None or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    minus = (P - point[0], point[1], point[2], P - point[3])
    return encode_point(add(multiply(s, BASE), multiply(k, minus))) == signature[:32]


def approval_text(origin: str, number: int, digest: str) -> bytes:
    """Return what an approver of the file `number` signs: `digest` is the SHA-256 of approved.txt in hex."""
    return f"answerable-approval@v1\n{origin}\n{number}\n{digest}\n".encode()


# Keys and checkpoints: C2SP signed-note and tlog-checkpoint.


def unbase64(text: str) -> bytes:
    """Return decoded base64. Raises `Wrong` if it is not the one standard spelling."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        data = b""
    if base64.b64encode(data).decode() != text:
        raise Wrong(f"this is not base64: {shown(text[:80])}")
    return data


class Key:
    """A verifier key: name+id+base64(0x01 || Ed25519 public key)."""

    def __init__(self, text: str) -> None:
        found = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})", text)
        blob = unbase64(found[3]) if found else b""
        if not found or len(blob) != 33 or blob[:1] != b"\x01":
            raise Wrong("this is not a key; it should read name+8 hex digits+base64")
        self.text, self.name, self.public = text, found[1], blob[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + blob).digest()[:4]
        if self.id.hex() != found[2]:
            raise Wrong("the id in the key does not fit its name and its bytes; it was altered or mistyped")


class Checkpoint:
    """A checkpoint signed by `key`: how many records the log had, and the root of their tree."""

    def __init__(self, note: str, key: Key) -> None:
        form = r"(([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*)\n((?:\u2014 [^ \n]+ [^ \n]+\n)+)"
        found = re.fullmatch(form, note)
        if not found:
            raise Wrong("this is not a signed checkpoint: origin, size, root, an empty line, signatures")
        self.note, self.origin, self.size, self.root = note, found[2], int(found[3]), unbase64(found[4])
        if self.origin != key.name:
            raise Wrong(f"it is of the log {shown(self.origin)}, but the key is of {shown(key.name)}")
        signatures = [line.split(" ") for line in found[5].split("\n")[:-1]]
        ours = [unbase64(line[2]) for line in signatures if line[1] == key.name]
        ours = [blob[4:] for blob in ours if blob[:4] == key.id]
        self.others = len(signatures) - len(ours)
        if not ours:
            raise Wrong("it bears no signature by the key of this log")
        if not all(signed_by(key.public, found[1].encode(), signature) for signature in ours):
            raise Wrong("its signature does not hold: it was altered, or signed with another key")


# Records: RFC 8785 and the commitments.


def read_json(raw: bytes) -> Any:
    """Read JSON as the records write it: no number with a fraction or beyond 2^53 - 1, no name twice."""
    try:
        return READER.decode(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Wrong("this is not JSON as the records write it") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _integer(text: str) -> int:
    number = int(text) if len(text) < 18 else SAFE_INT + 1
    if abs(number) > SAFE_INT:
        raise ValueError("number too large")
    return number


def _no(text: str) -> Any:
    raise ValueError(text)


# Made once, since making them takes as long as using them.
READER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_no, parse_constant=_no)
WRITER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
SORTING = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), sort_keys=True)
BEYOND_UTF16 = re.compile(b"[\xf0-\xf4]")  # begins a character of two units


def canonical(value: Any) -> bytes:
    """Return the canonical form (RFC 8785) of values without fractions."""
    try:
        data = SORTING.encode(value).encode("utf-8")
        if BEYOND_UTF16.search(data):  # only then another order of names is possible
            data = WRITER.encode(_sorted(value)).encode("utf-8")
        return data
    except (ValueError, RecursionError) as error:  # half a surrogate pair; nested too deeply
        raise Wrong("it has no canonical form") from error


def _sorted(value: Any) -> Any:
    """Sort names by their UTF-16 units, at every level."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value, key=lambda name: name.encode("utf-16-be"))}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def leaf_hash(skeleton: dict[str, Any]) -> bytes:
    """Return the hash of a leaf (RFC 6962, 2.1): of the skeleton in canonical form."""
    return hashlib.sha256(b"\x00" + canonical(skeleton)).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def commitment(part: Any) -> str:
    """Return the commitment in "c" for this part."""
    return base64.b64encode(hashlib.sha256(b"privpart/v1\x00" + canonical(part)).digest()).decode()


# The table for a spreadsheet: a row for each part, or one for a record without parts. No cell can begin a formula,
# whatever people wrote and whatever separator the program uses: an apostrophe is put before what could.

COLUMNS = (
    "record", "time", "kind", "group", "case", "rule", "class", "fields",
    "part", "state", "as", "mxid", "text", "other",
)  # fmt: skip
BOM = "\ufeff"  # spreadsheets recognise UTF-8 by it
_OWN = frozenset({"i", "t", "k", "g", "p", "c", "n", "rule", "class"})
_TEXTS = ("body", "reason", "excerpt", "matched", "words", "detail")
# What a spreadsheet takes for the beginning of a formula: as a cell's first character, or after what another program
# takes for the end of a cell (tab, semicolon, line break), after quotes and spaces.
_BEGINS = re.compile(r"[\"'\s]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212]|[\t\r\n]")
_ENDS = re.compile(r"[\t\r\n;|\0]")
_FORMULA = re.compile(r"(?:^|(?<=[\t\r\n;|]))(?=[\"'\s]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212])|^(?=[\t\r\n])")


def table_head() -> str:
    """Return the beginning of the table: the byte order mark and the names of the columns."""
    return BOM + _csv([COLUMNS])


def table_rows(skeleton: dict[str, Any], parts: list[Any]) -> str:
    """Return the rows of one record."""
    fields = {name: value for name, value in skeleton.items() if name not in _OWN}
    own = [skeleton.get(name, "") for name in ("i", "t", "k", "g", "n", "rule", "class")]
    own.append(_json(fields) if fields else "")
    own = [harmless(cell) for cell in own]
    rows = [[*own, str(number), *map(harmless, _cells(part))] for number, part in enumerate(parts, 1)]
    return _csv(rows or [[*own, *[""] * 6]])


def harmless(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    text = value if isinstance(value, str) else str(value)
    if not text or not (_BEGINS.match(text) or _ENDS.search(text)):
        return text
    return _FORMULA.sub("'", text.replace("\0", "\ufffd"))


def _cells(part: Any) -> list[Any]:
    if part is None:
        return ["withheld", "", "", "", ""]
    if is_mark(part):
        return [f"erased by {part['by']}", "", "", "", ""]
    data = dict(part) if isinstance(part, dict) else {"": part}
    data.pop("s", None)
    who, mxid = data.pop("as", ""), data.pop("mxid", "")
    texts = [data.pop(name) for name in _TEXTS if isinstance(data.get(name), str)]
    return ["shown", who, mxid, "\n".join(texts), _json(data) if data else ""]


def _csv(rows: Iterable[Iterable[str]]) -> str:
    lines = ('","'.join([cell.replace('"', '""') for cell in row]) for row in rows)
    return "".join([f'"{line}"\r\n' for line in lines])


def _json(value: Any) -> str:
    return WRITER.encode(value)


def media_digest(names: Iterable[str]) -> str:
    """Return the SHA-256 of the list of the files that were kept."""
    return hashlib.sha256("".join(f"{name}\n" for name in sorted(names)).encode()).hexdigest()


def is_mark(part: Any) -> bool:
    """Return whether this replaces a part that was erased."""
    return isinstance(part, dict) and len(part) == 2 and "erased" in part and type(part.get("by")) is int


class TableCopy:
    """The content of records.csv, compared piece by piece with the rows made from the records."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.held, self.at = b"", 0  # what was read, and how much of it was compared

    def follows(self, text: str) -> bool:
        """Return whether this text comes next in the file."""
        wanted = text.encode("utf-8", "replace")
        while len(self.held) - self.at < len(wanted):
            piece = next(self.pieces, b"")
            if not piece:
                return False
            self.held, self.at = self.held[self.at :] + piece, 0
        same = self.held.startswith(wanted, self.at)
        self.at += len(wanted)
        return same

    def is_over(self) -> bool:
        """Return whether nothing more is in the file."""
        return self.at == len(self.held) and not next(self.pieces, b"")


# Proofs.


def root_by_proof(leaf: bytes, index: int, size: int, path: Iterable[bytes]) -> bytes | None:
    """Return the root that the path of an inclusion proof leads to (RFC 9162, 2.1.3.2)."""
    at, last = index, size - 1
    for sibling in path:
        if last <= 0:
            return None
        if at & 1 or at == last:
            leaf = node_hash(sibling, leaf)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        at, last = at >> 1, last >> 1
    return leaf if last == 0 and index < size else None


def read_proof(text: str) -> tuple[int, list[bytes], str]:
    """Read a proof (C2SP tlog-proof): index, path, checkpoint."""
    found = re.fullmatch(
        r"c2sp\.org/tlog-proof@v1\n(?:extra [^\n]*\n)?index (0|[1-9][0-9]{0,15})\n((?:[^\n]+\n){0,64})\n(.+)",
        text,
        re.S,
    )
    lines = found[2].split("\n")[:-1] if found else []
    if not found or not all(HASH_LINE.fullmatch(line) for line in lines):
        raise Wrong("this is not a proof as C2SP tlog-proof describes it")
    return int(found[1]), [unbase64(line) for line in lines], found[3]


class Tree:
    """The root of the tree by proofs/tree.txt, for all records at once.

    From the root down: a range of leaves in which no record was exported is the next hash of the list; a range of one
    exported record is its leaf hash; any other range splits where RFC 6962 splits it. So the hashes are listed from
    left to right, and both lists are read once.
    """

    def __init__(self, leaves: Iterator[tuple[int, bytes]], hashes: Iterator[bytes]) -> None:
        self.leaves, self.hashes = leaves, hashes
        self.next = next(leaves, None)

    def root(self, start: int, end: int) -> bytes:
        """Return the hash over the leaves from `start` up to, not including, `end`."""
        if self.next is None or self.next[0] >= end:
            given = next(self.hashes, None)
            if given is None:
                raise Wrong("a hash is missing")
            return given
        if end - start == 1:
            leaf = self.next[1]
            self.next = next(self.leaves, None)
            return leaf
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        left = self.root(start, middle)
        return node_hash(left, self.root(middle, end))


def runs(text: str) -> Iterator[tuple[int, int]]:
    """Yield the first and last number of each run of record numbers, such as 740-745,800."""
    for found in re.finditer(r"([0-9]{1,16})(?:-([0-9]{1,16}))?", text):
        yield int(found[1]), int(found[2] or found[1])


class Made:
    """The log's own record of an export: which records are in it, and which files."""

    def __init__(self, record: dict[str, Any], parts: list[Any]) -> None:
        said = {name: value for part in parts if is_shown(part) for name, value in part.items()}
        if record["k"] != "export" or not all(isinstance(said.get(name), str) for name in ("records", "contents")):
            raise Wrong("it is not the record of an export, with a list of what was in it")
        self.index, self.count, self.id = record["i"], record.get("count"), record.get("note")
        lines = (line.partition("  ") for line in said["contents"].splitlines())
        self.files = {name: digest for digest, _, name in lines}
        self.due = (number for first, last in runs(said["records"]) for number in range(first, last + 1))
        self.next = next(self.due, None)

    def look(self, index: int | None) -> Iterator[str]:
        """Yield what is wrong with the records up to this one; None: with the end of them."""
        while self.next is not None and (index is None or self.next < index):
            yield f"record {self.next} was exported, but is not here"
            self.next = next(self.due, None)
        if index is not None and self.next == index:
            self.next = next(self.due, None)
        elif index is not None:
            yield f"record {index} was not in this export when it was made"


class Approved:
    """The list in approved.txt, compared with the records as they come, and the approvals among these."""

    def __init__(self, lines: Iterator[bytes], digest: str, origin: str) -> None:
        title, of, number = (next(lines, b"").decode("utf-8", "replace") for _ in range(3))
        if title != APPROVED_TITLE or of != origin or not re.fullmatch("0|[1-9][0-9]{0,15}", number):
            raise Wrong("it does not begin as a list of what was approved in this log does")
        self.digest, self.origin, self.number = digest, origin, int(number)
        self.lines = lines
        self.next = self.read()
        self.steps: list[tuple[int, dict[str, Any], dict[str, Any]]] = []  # line, record, the part that says who
        self.keys: dict[str, str] = {}  # key -> the account it is registered for, if shown
        self.sent: dict[int, dict[str, Any]] = {}  # messages that are not in the list: record -> its part
        self.begun = False
        self.people: set[str] = set()  # the accounts whose approvals hold

    def read(self) -> tuple[int, bytes] | None:
        line = next(self.lines, None)
        if line is None:
            return None
        found = re.fullmatch(r"(0|[1-9][0-9]{0,15}) ([A-Za-z0-9+/]{43}=)", line.decode("ascii", "replace"))
        if not found:
            raise Wrong("a line of it is not a record and its hash")
        return int(found[1]), unbase64(found[2])

    def look(self, record: dict[str, Any], parts: list[Any], leaf: bytes, number: int) -> Iterator[str]:
        """Yield what is wrong with a record, compared with the list."""
        index, kind = record["i"], record["k"]
        while self.next and self.next[0] < index:
            yield f"record {self.next[0]} was approved, but is not here"
            self.next = self.read()
        if self.next and self.next[0] == index:
            if self.next[1] != leaf:
                yield f"record {index} is not as it was approved"
            self.next = self.read()
            self.begun = self.begun or index == self.number
        elif kind == "message" and any(map(is_shown, parts)):
            self.sent[index] = next(filter(is_shown, parts))
        elif index and kind not in NOTES and kind != "erase" and any(map(is_shown, parts)):
            yield f"record {index} is shown, but is not among what was approved"
        self.note(record, parts, number)

    def note(self, record: dict[str, Any], parts: list[Any], number: int) -> None:
        shown_parts = [part for part in parts if is_shown(part)]
        if record["k"] == "dossier" and record.get("step") == "approved" and record.get("start") == self.number:
            if record.get("how", "user") != "user":
                said: dict[str, Any] = next((part for part in shown_parts if isinstance(part.get("reader"), str)), {})
                self.steps.append((number, record, said))
        elif record["k"] == "approver" and record.get("step") == "added":
            self.keys[str(record.get("key"))] = str(next((part["mxid"] for part in shown_parts if "mxid" in part), ""))

    def finish(self) -> Iterator[tuple[str, int]]:
        """Yield what is wrong with the whole, each with its line in records.jsonl (0: no line)."""
        while self.next:
            yield f"record {self.next[0]} was approved, but is not here", 0
            self.next = self.read()
        if not self.begun:
            yield f"the record that began the file, {self.number}, is not in it", 0
        confirmed = {record.get("on") for _, record, _ in self.steps if record.get("how") == "account"}
        for index in sorted(set(self.sent) - confirmed):
            yield f"record {index} is shown, but is not among what was approved", 0
        keys: set[str] = set()
        for number, record, said in self.steps:
            if record.get("digest") != self.digest:
                continue  # it approves an earlier state of the file
            fault = self.fault(record, said)
            if fault:
                yield f"the approval in record {record['i']} does not hold: {fault}", number
            elif record["how"] == "account" or record["key"] not in keys:
                keys.add(str(record["key"]))
                self.people.add(said["reader"])
        if len(self.people) < APPROVALS:
            yield f"it was approved by {len(self.people)} of {APPROVALS} different people", 0

    def fault(self, record: dict[str, Any], said: dict[str, Any]) -> str:
        if not said.get("reader"):
            return "it does not say who gave it"
        if record["how"] == "account":
            sent = self.sent.get(record.get("on", -1), {})
            named = self.digest in str(sent.get("body", self.digest)).lower()  # a log may be set to keep no words
            return "" if sent.get("mxid") == said["reader"] and named else "the message that gave it does not say so"
        try:
            key, signature = unbase64(str(record.get("key"))), unbase64(str(said.get("signature")))
        except Wrong as error:
            return str(error)
        if self.keys.get(str(record["key"])) not in (None, "", said["reader"]):
            return "its key is registered for another account"
        held = signed_by(key, approval_text(self.origin, self.number, self.digest), signature)
        return "" if held else "its signature is not by its key"


def is_approval(record: dict[str, Any]) -> bool:
    """Return whether this is an approval of a file on a person; exports of older versions were recognised by it."""
    return bool(record["k"] == "dossier" and record.get("how", "user") != "user")


def is_shown(part: Any) -> bool:
    """Return whether a part is neither left out nor erased."""
    return isinstance(part, dict) and set(part) != {"erased", "by"}


# Where the files are.


class Folder:
    """An unpacked export."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        files = [path for path in self.path.rglob("*") if not path.is_dir() or path.is_symlink()]
        names = [path.relative_to(self.path).as_posix() for path in files]
        return sorted(name for name in names if not name.startswith("__pycache__/"))

    def open(self, name: str) -> BinaryIO:
        if not (self.path / name).is_file():  # such as a pipe, which would never end
            raise Wrong("it is no file")
        return (self.path / name).open("rb")


class Zip:
    """An export as it was handed over. Nothing is unpacked."""

    def __init__(self, path: Path) -> None:
        self.zip = zipfile.ZipFile(path)

    def names(self) -> list[str]:
        return sorted(info.filename for info in self.zip.infolist())

    def open(self, name: str) -> BinaryIO:
        return self.zip.open(name)  # type: ignore[return-value]  # all we use of it


def shown(text: object) -> str:
    """Return a text on one line, without characters that would control the terminal."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))


Mark = Any  # of an erased part: its line, record, place, and date


class Eraser:
    """A record that erased parts, and which: "740-745,800;1:812" (1: the second part).

    `runs` is None if its list is not shown.
    """

    def __init__(self, record: dict[str, Any], parts: list[Any]) -> None:
        self.date = str(record.get("t"))[:10]
        lists = [part["records"] for part in parts if isinstance(part, dict) and isinstance(part.get("records"), str)]
        self.runs = list(self.read(lists[0])) if len(lists) == 1 else None

    def fault(self, index: int, place: int, date: Any) -> str | None:
        """Return why it cannot have erased this part of this record on that date; None if it can."""
        if self.runs is None:
            return "does not show its list, so nothing shows that it did; exports of older versions left it out"
        if not any(at == place and first <= index <= last for at, first, last in self.runs):
            return "does not name it"
        return None if date == self.date else f"was written on {self.date}, not on {shown(date)}"

    def read(self, text: str) -> Iterator[tuple[int, int, int]]:
        for group in text.split(";"):
            place, _, numbers = group.rpartition(":")
            for first, last in runs(numbers):
                yield int(place) + 1 if re.fullmatch("[0-9]{1,9}", place) else 1, first, last


# The check.


class Check:
    """One run over one export. `problems` are texts; `more` counts those not listed."""

    def __init__(self, source: Folder | Zip, vkey: str | None, progress: Callable[[int], None] | None) -> None:
        self.source = source
        self.vkey = vkey
        self.progress = progress
        self.problems: list[str] = []
        self.more = 0
        self.names: set[str] = set()
        self.digests: dict[str, str] = {}  # SHA-256 of the files that were read
        self.key: Key | None = None
        self.checkpoint: Checkpoint | None = None
        self.records = self.withheld = self.erased = 0
        self.erasers: dict[int, Eraser] = {}
        self.marks: dict[int, list[Mark]] = {}  # eraser -> the parts that name it
        self.media: set[str] = set()
        self.proved: set[str] = set()  # names of the proofs that were read
        self.made: Made | None = None
        self.approved: Approved | None = None
        self.table: TableCopy | None = None  # None: it is missing, or is known to differ

    def run(self) -> None:
        """Check everything, beginning with what the rest depends on."""
        for look in (self.look_at_names, self.look_at_sums, self.look_at_key, self.look_at_checkpoint):
            look()
        for look in (self.look_at_made, self.look_at_approved, self.look_at_records, self.look_at_files):
            look()
        for look in (self.look_at_approvals, self.look_at_marks, self.look_at_media, self.look_at_description):
            look()

    def wrong(self, file: str, what: object, line: int = 0, index: int = -1) -> None:
        where = shown(file) + (f", line {line}" if line else "") + (f" (record {index})" if index >= 0 else "")
        if len(self.problems) < MAX_SHOWN:
            self.problems.append(f"{where}: {what}")
        else:
            self.more += 1

    @contextmanager
    def noting(self, file: str) -> Iterator[None]:
        """Note a `Wrong` that is raised within as a problem of this file."""
        try:
            yield
        except Wrong as error:
            self.wrong(file, error)

    # Files

    def text(self, name: str) -> str:
        """Return the text of a small file. Raises `Wrong` if it is missing, too long or not text."""
        if name not in self.names:
            raise Wrong("it is missing")
        try:
            with self.source.open(name) as file:
                data = file.read(MAX_SMALL + 1)
            if len(data) > MAX_SMALL:
                raise Wrong("it is too long")
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise Wrong("it is not text") from None
        except Wrong:
            raise
        except Exception as error:  # a damaged zip fails in a dozen ways
            raise Wrong(f"it cannot be read: {shown(error)}") from error

    def pieces(self, name: str) -> Iterator[bytes]:
        try:
            with self.source.open(name) as file:
                piece = file.read(1 << 20)
                while piece:
                    yield piece
                    piece = file.read(1 << 20)
        except Exception as error:  # likewise
            raise Wrong(f"it cannot be read: {shown(error)}") from error

    def digest(self, name: str) -> str:
        if name not in self.digests:
            total = hashlib.sha256()
            for piece in self.pieces(name):
                total.update(piece)
            self.digests[name] = total.hexdigest()
        return self.digests[name]

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield whole lines, without their ends."""
        rest = b""
        for piece in self.pieces(name):
            found = (rest + piece).split(b"\n")
            rest = found.pop()
            yield from found
            if len(rest) > MAX_LINE:
                raise Wrong("a line is longer than any record can be")
        if rest:
            raise Wrong("the last line is not whole")

    def look_at_names(self) -> None:
        names = self.source.names()
        for name in names:
            if name.startswith("/") or ".." in name.split("/") or "\\" in name or ":" in name or UNSAFE.search(name):
                self.wrong(name, "a file of an export never has such a name; do not unpack it")
            elif name in self.names:
                self.wrong(name, "it is there twice")
            else:
                self.names.add(name)

    def look_at_sums(self) -> None:
        with self.noting(SUMS):
            listed = set()
            for number, line in enumerate(self.text(SUMS).splitlines(), 1):
                digest, _, name = line.partition("  ")
                listed.add(name)
                if not re.fullmatch("[0-9a-f]{64}", digest) or name == SUMS:
                    self.wrong(SUMS, "this is not a SHA-256, two spaces and the name of a file", number)
                elif name not in self.names:
                    self.wrong(name, "it is missing")
                else:
                    self.look_at_sum(name, digest)
            for name in sorted(self.names - listed - {SUMS}):
                self.wrong(name, "it does not belong to the export; SHA256SUMS does not list it")

    def look_at_sum(self, name: str, digest: str) -> None:
        with self.noting(name):
            if self.digest(name) != digest:
                raise Wrong("it was changed after the export was made; SHA256SUMS says otherwise")

    # What is signed

    def look_at_key(self) -> None:
        with self.noting("log.vkey"):
            self.key = Key(self.text("log.vkey").strip())
        if self.vkey is not None:
            with self.noting("--vkey"):
                given = Key(self.vkey.strip())
                if self.key and given.text != self.key.text:
                    self.wrong(
                        "log.vkey", "this is not the key that you gave with --vkey; the check goes on with yours"
                    )
                self.key = given

    def look_at_checkpoint(self) -> None:
        if self.key:
            with self.noting("checkpoint"):
                self.checkpoint = Checkpoint(self.text("checkpoint"), self.key)

    def look_at_made(self) -> None:
        """Read the log's own record of this export, if it is there."""
        if MADE not in self.names:
            return
        with self.noting(MADE):
            lines = self.lines(MADE)
            record = self.open_record(next(lines, b""))
            if next(lines, None) is not None:
                raise Wrong("more stands in it than one record")
            parts = record.pop("x")
            if list(map(commitment, parts)) != record["c"]:
                raise Wrong("it is not what was recorded")
            self.prove(record["i"], leaf_hash(record))
            made = Made(record, parts)
            if made.id != self.description().get("id"):
                raise Wrong("it is the record of another export, or export.json is of another one")
            self.made = made

    def description(self) -> dict[str, Any]:
        """Return the content of export.json; empty if it cannot be read, which is reported elsewhere."""
        try:
            said = read_json(self.text("export.json").encode())
        except Wrong:
            said = None
        return said if isinstance(said, dict) else {}

    def look_at_files(self) -> None:
        """Compare the files with those that the log's own record of this export names."""
        made = self.made
        if made is None:
            return
        for what in made.look(None):
            self.wrong("records.jsonl", what)
        if made.count != self.records:
            what = f"it says that {shown(made.count)} records were exported, but there are {self.records}"
            self.wrong(MADE, what, index=made.index)
        for name, digest in made.files.items():
            with self.noting(name):
                if name != MEDIA and name not in self.names:
                    raise Wrong("it is missing; the log's own record of this export names it")
                if digest != (media_digest(self.kept()) if name == MEDIA else self.digest(name)):
                    raise Wrong("it is not as it was exported; the log's own record of this export says otherwise")
        for name in sorted(self.names - made.files.keys() - {MADE, SUMS, "checkpoint"}):
            if not name.startswith(("proofs/", MEDIA)):
                self.wrong(name, "it was added; the log's own record of this export does not name it")

    def kept(self) -> list[str]:
        return sorted(name for name in self.names if name.startswith(MEDIA))

    # Records

    def look_at_records(self) -> None:
        if "records.jsonl" not in self.names:
            self.wrong("records.jsonl", "it is missing")
            return
        self.open_table()
        leaves = self.leaves()
        if TREE in self.names:
            self.prove_together(leaves)
        else:
            for index, leaf in leaves:
                self.prove(index, leaf)
        for _ in leaves:  # leaves that an aborted proof did not read
            pass
        self.compare_table()
        for name in sorted(self.names - self.proved):
            if name.startswith("proofs/"):
                self.wrong(name, "it proves no record that is here")

    def leaves(self) -> Iterator[tuple[int, bytes]]:
        """Yield index and leaf hash of each record, noting problems with lines on the way."""
        previous, number = -1, 0
        try:
            for raw in self.lines("records.jsonl"):
                number += 1
                try:
                    record = self.open_record(raw)
                    index = record["i"]
                    if index <= previous:
                        raise Wrong(f"record {index} stands after record {previous}")
                    previous = index
                    yield index, self.look_at_record(record, number)
                except Wrong as error:
                    self.wrong("records.jsonl", error, number)
        except Wrong as error:
            self.wrong("records.jsonl", error, number + 1)
        if not number:
            self.wrong("records.jsonl", "there is no record in it")

    def open_record(self, raw: bytes) -> dict[str, Any]:
        record: dict[str, Any] = read_json(raw)
        kinds = [type(record.get(name)) for name in "ikpcx"] if isinstance(record, dict) else []
        if kinds != [int, str, list, list, list] or record["i"] < 0:
            raise Wrong("this is not a record")
        if len(record["x"]) != len(record["c"]):
            raise Wrong(f"it has {len(record['c'])} commitments, but {len(record['x'])} parts")
        return record

    def look_at_record(self, record: dict[str, Any], number: int) -> bytes:
        """Check a record's parts and return its leaf hash."""
        index, parts = record["i"], record.pop("x")
        leaf = leaf_hash(record)
        if self.approved:
            self.compare(self.approved, record, parts, leaf, number)
        elif is_approval(record) and APPROVED not in self.names and "recorded" not in self.description():
            self.wrong(APPROVED, f"it is missing, though record {index} is an approval of it")
        self.records += 1
        for what in self.made.look(index) if self.made else ():
            self.wrong("records.jsonl", what, number)
        self.compare_table(record, parts)
        if self.progress and self.records % 1000 == 0:
            self.progress(self.records)
        if record["k"] == "erase":
            self.erasers[index] = Eraser(record, parts)
        for place, part in enumerate(parts):
            self.look_at_part(part, record["c"][place], place + 1, number, record)
        if index == 0 and self.key:
            for part in parts:
                if isinstance(part, dict) and part.get("vkey", self.key.text) != self.key.text:
                    self.wrong("log.vkey", "this is not the key that the first record of the log names")
        return leaf

    def look_at_part(self, part: Any, committed: Any, place: int, number: int, record: dict[str, Any]) -> None:
        index = record["i"]
        if part is None:
            self.withheld += 1
        elif is_mark(part):
            self.erased += 1
            if record["k"] in KEPT:
                what = f"part {place} is marked as erased, but parts of a record of kind {record['k']} never are"
                self.wrong("records.jsonl", what, number, index)
            self.marks.setdefault(part["by"], []).append((number, index, place, part["erased"]))
        else:
            try:
                if commitment(part) != committed:
                    raise Wrong("it is not what was recorded")
                self.note_media(part)
            except Wrong as error:
                self.wrong("records.jsonl", f"part {place}: {error}", number, index)

    def note_media(self, part: Any) -> None:
        if isinstance(part, dict) and isinstance(part.get("sha256"), str):
            self.media.add(part["sha256"])

    # The table

    def open_table(self) -> None:
        if TABLE not in self.names:
            self.wrong(TABLE, "it is missing")
            return
        self.table = TableCopy(self.pieces(TABLE))
        self.expect_in_table(table_head(), "its first row does not name the columns")

    def compare_table(self, record: dict[str, Any] | None = None, parts: list[Any] | None = None) -> None:
        """Compare the rows of a record; without a record, check that nothing more follows."""
        if record is not None and parts is not None:
            what = f"it differs from the records, at record {record['i']}"
            self.expect_in_table(table_rows(record, parts), what)
        elif self.table and not self.table.is_over():
            self.wrong(TABLE, "it holds more than the records")

    def expect_in_table(self, text: str, otherwise: str) -> None:
        try:
            if self.table and not self.table.follows(text):
                self.table = None
                self.wrong(TABLE, otherwise)
        except Wrong as error:
            self.table = None
            self.wrong(TABLE, error)

    def prove(self, index: int, leaf: bytes) -> None:
        name = f"proofs/{index}.tlog-proof"
        self.proved.add(name)
        with self.noting(name):
            at, path, note = read_proof(self.text(name))
            if at != index:
                raise Wrong(f"it is the proof of record {at}")
            if self.checkpoint:
                if note != self.checkpoint.note:
                    raise Wrong("the checkpoint in it is not the one in the file checkpoint")
                if root_by_proof(leaf, index, self.checkpoint.size, path) != self.checkpoint.root:
                    raise Wrong(f"record {index} is not in the log that was signed: it or this proof was changed")

    def prove_together(self, leaves: Iterator[tuple[int, bytes]]) -> None:
        self.proved.add(TREE)
        with self.noting(TREE):
            lines = self.lines(TREE)
            if next(lines, b"") != TREE_TITLE.encode():
                raise Wrong(f"its first line should be {TREE_TITLE}")
            tree = Tree(leaves, (self.hash_of(line) for line in lines))
            size = self.checkpoint.size if self.checkpoint else 0
            root = tree.root(0, size) if size else b""
            if self.checkpoint and root != self.checkpoint.root:
                raise Wrong("the records are not those that were signed: one of them or of these hashes was changed")
            if size and (next(tree.hashes, None) is not None or tree.next is not None):
                raise Wrong("more stands here than the proof needs")

    def hash_of(self, line: bytes) -> bytes:
        text = line.decode("ascii", "replace")
        if not HASH_LINE.fullmatch(text):
            raise Wrong("a line is not a hash")
        return unbase64(text)

    # What was approved

    def look_at_approved(self) -> None:
        if APPROVED in self.names and self.key:
            with self.noting(APPROVED):
                self.approved = Approved(self.lines(APPROVED), self.digest(APPROVED), self.key.name)

    def compare(self, approved: Approved, record: dict[str, Any], parts: list[Any], leaf: bytes, number: int) -> None:
        try:
            for what in approved.look(record, parts, leaf, number):
                self.wrong("records.jsonl", what, number)
        except Wrong as error:
            self.approved = None
            self.wrong(APPROVED, error)

    def look_at_approvals(self) -> None:
        if self.approved:
            with self.noting(APPROVED):
                for what, line in self.approved.finish():
                    self.wrong("records.jsonl" if line else APPROVED, what, line)

    # What the records lead to

    def look_at_marks(self) -> None:
        for by, marks in sorted(self.marks.items()):
            eraser = self.erasers.get(by)
            for number, index, place, date in marks:
                fault = "is not among these, or erased nothing" if eraser is None else eraser.fault(index, place, date)
                if by <= index:
                    fault = "stands before it"
                if fault:
                    what = f"part {place} is marked as erased by record {by}, but that record {fault}"
                    self.wrong("records.jsonl", what, number, index)

    def look_at_media(self) -> None:
        for name in self.kept():
            digest = name[len(MEDIA) :]
            with self.noting(name):
                if digest not in self.media:
                    raise Wrong("no record that is shown speaks of this file")
                if self.digest(name) != digest:
                    raise Wrong("its SHA-256 is not its name; it was changed")

    def look_at_description(self) -> None:
        with self.noting("export.json"):
            said = read_json(self.text("export.json").encode())
            if not isinstance(said, dict):
                raise Wrong("this does not describe an export")
            if said.get("records") != self.records:
                raise Wrong(f"it speaks of {shown(said.get('records'))} records, but there are {self.records}")
            size = self.checkpoint.size if self.checkpoint else said.get("size")
            if said.get("recorded"):  # then the size is of a later record, which the checkpoint covers
                if MADE not in self.names:
                    self.wrong(MADE, "it is missing, though export.json says that the log recorded this export")
            elif said.get("size") != size:
                raise Wrong(f"it speaks of a log of {shown(said.get('size'))} records; the checkpoint of {size}")


def check(path: Path, vkey: str | None = None, progress: Callable[[int], None] | None = None) -> Check:
    """Check the export at `path`, a folder or a zip. Never raises because of its content."""
    run = Check(Folder(path), vkey, progress)
    try:
        if not path.is_dir():
            run.source = Zip(path)
        run.run()
    except Exception as error:  # a damaged zip, a failing disk, or a case we did not think of: never a traceback
        run.wrong(str(path), f"it cannot be checked any further: {type(error).__name__} {shown(error)}")
    return run


def tell(run: Check, path: Path, given: bool) -> None:
    """Print the outcome for a person."""
    if run.problems:
        print(f"Something is wrong with {shown(path)} ({len(run.problems) + run.more}):")
        for problem in run.problems:
            print(f"- {problem}")
        if run.more:
            print(f"... and {run.more} more.")
        return
    assert run.key and run.checkpoint
    print(f"Nothing is wrong with {shown(path)}.")
    print(
        f"{run.records} records of the log {shown(run.key.name)}, which had {run.checkpoint.size} when it was signed."
    )
    if run.made:
        print(f"Record {run.made.index} of the log names these records and files: none is missing, altered or added.")
    else:
        print("It was made without the log's own record of it. So it cannot be told whether records were left out, or")
        print("whether a file to read, such as index.html, was altered.")
    if run.withheld:
        print(f"{run.withheld} parts were left out of this export; they concern other persons or matters.")
    if run.approved:
        print(f"It holds what was approved as {run.approved.digest}, by these accounts:")
        print("\n".join(f"- {shown(each)}" for each in sorted(run.approved.people)))
    if run.erased:
        print(f"{run.erased} parts were erased; the records that did it are among these.")
    if run.checkpoint.others:
        print(f"{run.checkpoint.others} signatures of others (witnesses) stand below that of the log. No proof needs")
        print("them, and they were not checked. Who has the log can: answerable logs verify --witness KEY")
    if not given:
        print(f"The key is {shown(run.key.text)}")
        print("Compare it with the one that was posted in the room, or give that one with --vkey.")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(description="Check an export of Answerable's records.")
    here = Path(__file__).resolve().parent
    parser.add_argument(
        "export", nargs="?", type=Path, default=here, help="a folder or a zip; else the folder of this file"
    )
    parser.add_argument("--vkey", help="the key of the log as you got it elsewhere, or a file that holds it")
    asked = parser.parse_args(arguments)
    run = check(asked.export, None if asked.vkey is None else given_key(asked.vkey))
    tell(run, asked.export, given=asked.vkey is not None)
    return 1 if run.problems else 0


def given_key(typed: str) -> str:
    """Return a key, or the content of the file of that name."""
    try:
        with Path(typed).open("rb") as file:
            return file.read(4096).decode("utf-8", "replace")
    except (OSError, ValueError):
        return typed  # no file, so it is the key itself; otherwise the check says so


if __name__ == "__main__":
    sys.exit(main())
