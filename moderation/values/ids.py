"""Ids as the Matrix specification writes them, and our own short codes.

Section references are to the Matrix specification v1.19, appendices, "Identifier grammar". Nothing here does I/O:
strings are only checked and given a type.
"""

import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import NewType

RoomId = NewType("RoomId", str)  # "!opaque" (room version 12) or "!opaque:server"
EventId = NewType("EventId", str)  # "$opaque"
UserId = NewType("UserId", str)  # "@localpart:server"
GroupCode = NewType("GroupCode", str)  # "G-7F3K", ours: stays when the room is upgraded
PersonId = NewType("PersonId", str)  # the first account of a person; several accounts may share it
RecordIndex = NewType("RecordIndex", int)  # the place of a record in the journal, from 0
CaseNumber = NewType("CaseNumber", int)  # from 1, in the order cases were opened

NO_USER = UserId("")  # nobody: a rule decided, or who it was is erased
NO_EVENT = EventId("")

MAX_ID_BYTES = 255  # "The length of a user ID ... MUST NOT exceed 255 bytes", likewise rooms and events
SAFE_INT = 2**53 - 1  # canonical JSON: integers beyond this do not survive

_USER = re.compile(r"@[^:\s\x00-\x1f]*:[^\s\x00-\x1f/\\]+\Z")
_ROOM = re.compile(r"![^\s\x00-\x1f]+\Z")
_EVENT = re.compile(r"\$[^\s\x00-\x1f]+\Z")
_CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # nothing that reads like another letter
_CODE = re.compile(rf"G-[{_CODE_ALPHABET}]{{4}}\Z")


def is_user_id(text: object) -> bool:
    """Return whether `text` has the form of a user id; historical localparts are accepted."""
    return _has_form(text, _USER)


def is_room_id(text: object) -> bool:
    """Return whether `text` has the form of a room id, with a server name or (room version 12) without."""
    return _has_form(text, _ROOM)


def is_event_id(text: object) -> bool:
    """Return whether `text` has the form of an event id."""
    return _has_form(text, _EVENT)


def _has_form(text: object, form: re.Pattern[str]) -> bool:
    if not isinstance(text, str) or not form.match(text):
        return False
    try:
        return len(text.encode()) <= MAX_ID_BYTES
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can carry and UTF-8 cannot
        return False


def is_group_code(text: object) -> bool:
    """Return whether `text` is one of our group codes, such as ``G-7F3K``."""
    return isinstance(text, str) and bool(_CODE.match(text))


def group_code(seed: int) -> GroupCode:
    """Return the group code for a number that the caller drew; the caller must avoid collisions of codes."""
    letters = []
    for _ in range(4):
        seed, digit = divmod(seed, len(_CODE_ALPHABET))
        letters.append(_CODE_ALPHABET[digit])
    return GroupCode("G-" + "".join(letters))


def is_named(rooms: Collection[str], *names: str, community: str = "") -> bool:
    """Return whether a setting is about a room: by a glob over its `names` (id, alias, code), or by its community."""
    return (community != "" and community in rooms) or any(fnmatchcase(name, glob) for glob in rooms for name in names)


def server_of(user: str) -> str:
    """Return the server name of a user id: everything after the first colon."""
    return user.partition(":")[2]
