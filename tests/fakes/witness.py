"""A witness on loopback, as C2SP tlog-witness and tlog-cosignature describe one.

Rules it keeps:
- It shares no code with the product, so that it can prove the product wrong.
- It remembers one size and root for each log and cosigns only what continues them.
- Every request is kept as it came; `will` makes it give other answers first.
"""

import base64
import hashlib
import re
import struct
from collections import deque
from dataclasses import dataclass

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from tests.fakes.local_server import LocalServer

NAME = "witness.example.net/w1"


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, text: str, mimetype: str = "text/plain") -> None:
        super().__init__(text)
        self.status, self.text, self.mimetype = status, text, mimetype


@dataclass(frozen=True)
class Asked:
    """A request, taken apart."""

    old: int
    proof: tuple[bytes, ...]
    note: str


class FakeWitness(LocalServer):
    """Use as ``async with FakeWitness(vkey) as witness``; `witness.url` is its submission prefix.

    With `tree` it has a key for ML-DSA-44 as well, of the same name, and signs with both.
    """

    def __init__(self, *log_vkeys: str, name: str = NAME, now_s: int = 1_700_000_000, tree: bool = False) -> None:
        super().__init__("/prefix")
        self.name = name
        self.now_s = now_s
        self.asked: list[Asked] = []
        self.seen: dict[str, tuple[int, bytes]] = {}  # origin -> size and root
        self._logs: dict[str, Ed25519PublicKey] = {}
        self._key = Ed25519PrivateKey.generate()
        self._tree_key = MLDSA44PrivateKey.generate() if tree else None
        self._first: deque[web.Response] = deque()
        for vkey in log_vkeys:
            self.trust(vkey)

    @property
    def vkey(self) -> str:
        """Its key, with the type of cosignatures."""
        key = base64.b64encode(b"\x04" + self._key.public_key().public_bytes_raw()).decode()
        return f"{self.name}+{self._key_id().hex()}+{key}"

    @property
    def vkeys(self) -> list[str]:
        """All of its keys."""
        if self._tree_key is None:
            return [self.vkey]
        key = b"\x06" + self._tree_key.public_key().public_bytes_raw()
        return [self.vkey, f"{self.name}+{_id(self.name, key).hex()}+{base64.b64encode(key).decode()}"]

    def trust(self, log_vkey: str) -> None:
        """Serve the log with this key from now on."""
        name, _, key = log_vkey.split("+", 2)
        self._logs[name] = Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:])

    def will(self, *answers: web.Response) -> None:
        """Give these answers first, instead of the correct one."""
        self._first.extend(answers)

    def add_checkpoint(self, body: str) -> str:
        """Handle a request as the protocol requires. Returns the cosignature line. Raises `Refused`."""
        asked = _parsed(body)
        self.asked.append(asked)
        text = asked.note.rpartition("\n\n")[0] + "\n"
        origin, size, root = text.split("\n")[:3]
        new, head = int(size), base64.b64decode(root)
        self._check_signature(origin, text, asked.note)
        if asked.old > new:
            raise Refused(400, "old size beyond the checkpoint")
        known, before = self.seen.get(origin, (0, b""))
        if asked.old != known:
            raise Refused(409, f"{known}\n", "text/x.tlog.size")
        if asked.old == new and before != head and new:
            raise Refused(409, "another root", "text/plain")
        if not is_consistent(asked.old, new, list(asked.proof), before, head):
            raise Refused(422, "the proof does not hold")
        self.seen[origin] = new, head
        return self.cosign(text) + self.cosign_tree(text)

    def cosign(self, text: str) -> str:
        """Return the cosignature line for the text of a checkpoint, without any check."""
        signature = self._key.sign(f"cosignature/v1\ntime {self.now_s}\n{text}".encode())
        blob = self._key_id() + self.now_s.to_bytes(8, "big") + signature
        return f"\N{EM DASH} {self.name} {base64.b64encode(blob).decode()}\n"

    def cosign_tree(self, text: str) -> str:
        """Return the line with ML-DSA-44 for the text of a checkpoint, without any check; nothing without such a key.

        What is signed is written out from the structure `cosigned_message` of the specification.
        """
        if self._tree_key is None:
            return ""
        origin, size, root = text.split("\n")[:3]
        name, log, at = self.name.encode(), origin.encode(), struct.pack(">Q", self.now_s)
        signed = b"subtree/v1\n\x00" + struct.pack(">B", len(name)) + name + at
        signed += struct.pack(">B", len(log)) + log + struct.pack(">QQ", 0, int(size)) + base64.b64decode(root)
        key = b"\x06" + self._tree_key.public_key().public_bytes_raw()
        blob = _id(self.name, key) + at + self._tree_key.sign(signed)
        return f"\N{EM DASH} {self.name} {base64.b64encode(blob).decode()}\n"

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = (await request.read()).decode()
        if self._first:
            return self._first.popleft()
        if (request.method, request.path) != ("POST", "/prefix/add-checkpoint"):
            return web.Response(status=404)
        try:
            return web.Response(text=self.add_checkpoint(body))
        except Refused as refused:
            return web.Response(status=refused.status, text=refused.text, content_type=refused.mimetype)

    def _check_signature(self, origin: str, text: str, note: str) -> None:
        if origin not in self._logs:
            raise Refused(404, "unknown log")
        for line in note.rpartition("\n\n")[2].splitlines():
            _, name, blob = line.split(" ")
            if name == origin and len(signature := base64.b64decode(blob)[4:]) == 64:
                try:
                    self._logs[origin].verify(signature, text.encode())
                    return
                except InvalidSignature:
                    pass
        raise Refused(403, "not signed by the log")

    def _key_id(self) -> bytes:
        return _id(self.name, b"\x04" + self._key.public_key().public_bytes_raw())


def _id(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]


def _parsed(body: str) -> Asked:
    head, gap, note = body.partition("\n\n")
    first, *lines = head.split("\n")
    if not all(re.fullmatch(r"[A-Za-z0-9+/]{43}=", line) for line in lines):
        raise Refused(400, "malformed")
    old = re.fullmatch(r"old (0|[1-9][0-9]*)", first)
    proof = tuple(base64.b64decode(line) for line in lines)
    checkpoint = re.fullmatch(r"[^\n]+\n(0|[1-9][0-9]*)\n[A-Za-z0-9+/]{43}=\n\n(\N{EM DASH} \S+ \S+\n)+", note)
    if not (old and gap and checkpoint) or len(proof) > 63:
        raise Refused(400, "malformed")
    return Asked(int(old[1]), proof, note)


def is_consistent(old: int, new: int, proof: list[bytes], before: bytes, after: bytes) -> bool:
    """Check a proof by rebuilding both roots along the recursion that defines it (RFC 6962, 2.1.2)."""
    if old == 0:
        return not proof
    try:
        roots = _rebuilt(old, new, proof, before, whole=True)
    except IndexError:
        return False
    return not proof and roots == (before, after)


def _rebuilt(m: int, n: int, proof: list[bytes], known: bytes, *, whole: bool) -> tuple[bytes, bytes]:
    """Return the old and new root of a subtree, SUBPROOF(m, D[n], b); consumes the proof from its end."""
    if m == n:
        own = known if whole else proof.pop()
        return own, own
    split = 1
    while split * 2 < n:
        split *= 2
    if m <= split:
        right = proof.pop()
        old, left = _rebuilt(m, split, proof, known, whole=whole)
        return old, _node(left, right)
    left = proof.pop()
    old, right = _rebuilt(m - split, n - split, proof, known, whole=False)
    return _node(left, old), _node(left, right)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
