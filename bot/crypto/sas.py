"""The emoji comparison with a person: the steps of one verification, independent of transport.

Rules this module keeps:
- An illegal step, a malformed message or a device that is not the one it claimed ends the verification, and the other
  side is told a code of the specification.
- Nothing counts as verified before a person has said that both sides see the same.
- Verified is what both MACs cover: the other device's key and their master key, as the homeserver told us.
- Nothing is remembered after the end.
- It works the same in a room and between devices.
Left to others: sending messages, and whose requests are answered (`verifier.py`), the consequences of a verification
(`cross_signing.py`).

The steps, as seen from our side (either side may start):

    asked -> ready -> started -> agreed -> shown -> (confirmed, MAC heard, in any order) -> done
                      any of them -> cancelled

Specification: client-server API v1.19, "Key verification framework", "Short Authentication String (SAS) verification".
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import vodozemac

from .emoji import EMOJI
from .encoding import MalformedKey, Object, b64, canonical, object_of, text_of, unb64
from .signing import ED25519

SAS = "m.sas.v1"
PREFIX = "m.key.verification."
LASTS_MS = 600_000
_AGREEMENT, _HASH = "curve25519-hkdf-sha256", "sha256"
_MAC, _OLD_MAC = "hkdf-hmac-sha256.v2", "hkdf-hmac-sha256"
_SHOWN = ("emoji", "decimal")


class SasStage(StrEnum):
    """The stage of a verification."""

    ASKED = "asked"
    READY = "ready"
    STARTED = "started"
    AGREED = "agreed"
    SHOWN = "shown"  # the emoji are known: a person must compare them
    CONFIRMED = "confirmed"  # on our side; the other side has not confirmed yet
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Party:
    """A participating device, with the keys by which we know it. `master` is empty if its user has none."""

    user: str
    device: str
    ed25519: str
    master: str = ""

    def keys(self) -> dict[str, str]:
        """Return its keys that can be verified, by key id."""
        found = {f"{ED25519}:{self.device}": self.ed25519}
        return found | ({f"{ED25519}:{self.master}": self.master} if self.master else {})


@dataclass(frozen=True, slots=True)
class SasMessage:
    """A message to the other side."""

    type: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ShortString:
    """The seven emoji (picture and name) or three numbers that both sides see if nobody intercepts."""

    emoji: tuple[tuple[str, str], ...]
    numbers: tuple[int, int, int]


class _End(Exception):
    """Raised if the verification cannot continue: the code says why."""


@dataclass(slots=True)
class _Talk:
    """The data exchanged so far."""

    sas: vodozemac.Sas | None = None
    public: str = ""
    established: vodozemac.EstablishedSas | None = None
    start: Object = field(default_factory=dict)
    commitment: str = ""
    mac_method: str = _MAC
    macs: Object | None = None
    verified: tuple[str, ...] = ()


class Verification:
    """One verification between `us` and a device of `user`."""

    def __init__(self, us: Party, user: str, id: str, now_ms: int, *, in_room: bool) -> None:
        self.id = id
        self.user = user
        self.in_room = in_room
        self.stage = SasStage.ASKED
        self.code = ""  # why it was cancelled
        self.them: Party | None = None
        self.shown: ShortString | None = None
        self._us = us
        self._we_start = False
        self._ends_ms = now_ms + LASTS_MS
        self._talk = _Talk()
        self._steps: Mapping[str, tuple[tuple[SasStage, ...], Callable[[Object], list[SasMessage]]]] = {
            "ready": ((SasStage.ASKED,), self._ready),
            "start": ((SasStage.ASKED, SasStage.READY, SasStage.STARTED), self._started),
            "accept": ((SasStage.STARTED,), self._accepted),
            "key": ((SasStage.AGREED,), self._key),
            "mac": ((SasStage.SHOWN, SasStage.CONFIRMED), self._macs),
            "done": ((SasStage.CONFIRMED, SasStage.DONE), self._done),
        }

    def __repr__(self) -> str:
        return f"Verification({self.user!r}, {self.stage.value!r})"

    @property
    def over(self) -> bool:
        """True if the verification is done or cancelled."""
        return self.stage in (SasStage.DONE, SasStage.CANCELLED)

    @property
    def verified(self) -> Mapping[str, str]:
        """The other side's verified keys, by key id; empty unless it is done."""
        if self.stage is not SasStage.DONE or self.them is None:
            return {}
        return {id: key for id, key in self.them.keys().items() if id in self._talk.verified}

    def meet(self, them: Party) -> None:
        """Set the device on the other side, with its keys as the homeserver has them. Only the first call counts."""
        if self.them is None and them.user == self.user:
            self.them = them

    # Our actions

    def accept(self) -> list[SasMessage]:
        """Answer a request with "ready"."""
        if self.stage is not SasStage.ASKED:
            return []
        self.stage = SasStage.READY
        return [self._message("ready", {"from_device": self._us.device, "methods": [SAS]})]

    def start(self) -> list[SasMessage]:
        """Start the comparison, instead of waiting until the other side does."""
        if self.stage is not SasStage.READY:
            return []
        message = self._message(
            "start",
            {
                "from_device": self._us.device,
                "method": SAS,
                "key_agreement_protocols": [_AGREEMENT],
                "hashes": [_HASH],
                "message_authentication_codes": [_MAC, _OLD_MAC],
                "short_authentication_string": list(_SHOWN),
            },
        )
        self._we_start, self.stage = True, SasStage.STARTED
        self._talk.start = message.content
        return [message]

    def confirm(self) -> list[SasMessage]:
        """Confirm that a person has compared and both sides show the same."""
        if self.stage is not SasStage.SHOWN:
            return []
        self.stage = SasStage.CONFIRMED
        return [self._our_macs(), *self._finish()]

    def cancel(self, code: str = "m.user") -> list[SasMessage]:
        """End it: `m.user`, or `m.mismatched_sas` if a person has compared and the emoji differ."""
        if self.over:
            return []
        self.stage, self.code = SasStage.CANCELLED, code
        return [self._message("cancel", {"code": code, "reason": code})]

    def expire(self, now_ms: int) -> list[SasMessage]:
        """End it if it has taken too long."""
        return self.cancel("m.timeout") if now_ms >= self._ends_ms else []

    # Messages of the other side

    def take(self, type: str, content: Object) -> list[SasMessage]:
        """Take a message of the other side. Returns the messages to send in reply. Never raises."""
        step = type.removeprefix(PREFIX)
        if self.over:
            return []
        if step == "cancel":
            self.stage, self.code = SasStage.CANCELLED, str(content.get("code", "m.user"))[:100]
            return []
        stages, do = self._steps.get(step, ((), self._done))
        try:
            if self.stage not in stages:
                raise _End("m.unexpected_message")
            return do(content)
        except _End as end:
            return self.cancel(str(end))
        except MalformedKey:
            return self.cancel("m.invalid_message")

    def _ready(self, content: Object) -> list[SasMessage]:
        methods = content.get("methods")
        if not isinstance(methods, list) or SAS not in methods:
            raise _End("m.unknown_method")
        self.stage = SasStage.READY
        return []

    def _started(self, content: Object) -> list[SasMessage]:
        if content.get("method") != SAS:
            raise _End("m.unknown_method")
        self._is_them(content)
        if self.stage is SasStage.STARTED and self._ours_goes_first(content):
            return []  # both sides started: ignore theirs
        mac = _first(content, "message_authentication_codes", (_MAC, _OLD_MAC))
        _first(content, "key_agreement_protocols", (_AGREEMENT,))
        _first(content, "hashes", (_HASH,))
        shown = [each for each in _SHOWN if each in _list(content, "short_authentication_string")]
        if "decimal" not in shown:
            raise _End("m.unknown_method")
        self._new_sas()
        self._we_start, self._talk.start, self._talk.mac_method = False, content, mac
        self.stage = SasStage.AGREED
        answer = {
            "method": SAS,
            "key_agreement_protocol": _AGREEMENT,
            "hash": _HASH,
            "message_authentication_code": mac,
            "short_authentication_string": shown,
            "commitment": _commitment(self._talk.public, content),
        }
        return [self._message("accept", answer)]

    def _accepted(self, content: Object) -> list[SasMessage]:
        if (content.get("key_agreement_protocol"), content.get("hash")) != (_AGREEMENT, _HASH):
            raise _End("m.unknown_method")
        mac = content.get("message_authentication_code")
        if mac not in (_MAC, _OLD_MAC):
            raise _End("m.unknown_method")
        self._talk.commitment, self._talk.mac_method = text_of(content, "commitment"), str(mac)
        self._new_sas()
        self.stage = SasStage.AGREED
        return [self._message("key", {"key": self._talk.public})]

    def _key(self, content: Object) -> list[SasMessage]:
        theirs = text_of(content, "key")
        unb64(theirs, 32)
        if self._we_start and _commitment(theirs, self._talk.start) != self._talk.commitment:
            raise _End("m.mismatched_commitment")
        self._establish(theirs)
        self.stage = SasStage.SHOWN
        return [] if self._we_start else [self._message("key", {"key": self._talk.public})]

    def _macs(self, content: Object) -> list[SasMessage]:
        if self._talk.macs is not None:
            raise _End("m.unexpected_message")
        self._talk.verified = self._checked(object_of(content.get("mac")), text_of(content, "keys"))
        self._talk.macs = content
        return self._finish()

    def _done(self, _content: Object) -> list[SasMessage]:
        return []  # they are done; we are once their MAC was checked and a person here has compared

    def _finish(self) -> list[SasMessage]:
        if self.stage is not SasStage.CONFIRMED or self._talk.macs is None:
            return []
        self.stage = SasStage.DONE
        return [self._message("done", {})]

    # Keys

    def _is_them(self, content: Object) -> None:
        """Check that the device that starts is the one set by `meet`. Raises `_End` otherwise."""
        if self.them is None or content.get("from_device") != self.them.device:
            raise _End("m.user_mismatch")

    def _ours_goes_first(self, content: Object) -> bool:
        return (self._us.user, self._us.device) < (self.user, str(content.get("from_device", "")))

    def _new_sas(self) -> None:
        self._talk.sas = vodozemac.Sas()
        self._talk.public = self._talk.sas.public_key.to_base64()

    def _establish(self, theirs: str) -> None:
        them = self._them()
        assert self._talk.sas is not None, "made before either key is sent"
        try:
            self._talk.established = self._talk.sas.diffie_hellman(vodozemac.Curve25519PublicKey.from_base64(theirs))
        except ValueError:
            raise _End("m.invalid_message") from None
        mine = (self._us.user, self._us.device, self._talk.public)
        other = (them.user, them.device, theirs)
        parts = (*mine, *other) if self._we_start else (*other, *mine)
        found = self._talk.established.bytes("|".join(("MATRIX_KEY_VERIFICATION_SAS", *parts, self.id)))
        self.shown = ShortString(tuple(EMOJI[number] for number in found.emoji_indices), found.decimals)

    def _our_macs(self) -> SasMessage:
        keys = self._us.keys()
        macs = {id: self._mac(key, self._us, self._them(), id) for id, key in keys.items()}
        return self._message(
            "mac", {"mac": macs, "keys": self._mac(",".join(sorted(macs)), self._us, self._them(), "KEY_IDS")}
        )

    def _checked(self, macs: Mapping[str, Any], keys: str) -> tuple[str, ...]:
        """Return the ids of their proved keys. A wrong MAC ends the verification; an unknown key is left out."""
        them = self._them()
        known = them.keys()
        wrong = self._mac(",".join(sorted(macs)), them, self._us, "KEY_IDS") != keys
        wrong |= any(self._mac(key, them, self._us, id) != macs[id] for id, key in known.items() if id in macs)
        if wrong or not any(id in macs for id in known):
            raise _End("m.key_mismatch")
        return tuple(id for id in known if id in macs)

    def _mac(self, text: str, owner: Party, other: Party, id: str) -> str:
        assert self._talk.established is not None, "keys were exchanged"
        info = "MATRIX_KEY_VERIFICATION_MAC" + "".join(
            (owner.user, owner.device, other.user, other.device, self.id, id)
        )
        if self._talk.mac_method == _MAC:
            return self._talk.established.calculate_mac(text, info)
        return self._talk.established.calculate_mac_invalid_base64(text, info)

    def _them(self) -> Party:
        if self.them is None:
            raise _End("m.user_mismatch")
        return self.them

    def _message(self, step: str, content: dict[str, Any]) -> SasMessage:
        relation: dict[str, Any]
        if self.in_room:
            relation = {"m.relates_to": {"rel_type": "m.reference", "event_id": self.id}}
        else:
            relation = {"transaction_id": self.id}
        return SasMessage(PREFIX + step, {**content, **relation})


def _commitment(public: str, start: Object) -> str:
    return b64(hashlib.sha256(public.encode() + canonical(start)).digest())


def _list(content: Object, name: str) -> list[object]:
    found = content.get(name)
    if not isinstance(found, list):
        raise MalformedKey(f"{name} is no list")
    return found


def _first(content: Object, name: str, ours: tuple[str, ...]) -> str:
    """Return the first of `ours` that the other side supports as well. Raises `_End` if there is none."""
    theirs = _list(content, name)
    for each in ours:
        if each in theirs:
            return each
    raise _End("m.unknown_method")
