"""The lines of new records: the pseudonym and the salt that the journal gives to each part.

Rules kept here:
- A person has one pseudonym in one group on one day.
- New keys are made in one transaction for all records that are written together.
Left to others: how a pseudonym is computed and where keys are stored (`record_keys.py`).
"""

import secrets
from binascii import b2a_base64
from collections.abc import Iterable, Sequence

from moderation.values.ids import PersonId

from .line_format import Written, day_of, encode
from .record import NOBODY, Draft
from .record_keys import PersonKeys, pseudonym

_SALT_BYTES = 16


class Names:
    """Pseudonyms, computed once for each person, group and day."""

    def __init__(self, keys: PersonKeys) -> None:
        self._keys = keys
        self._known: dict[tuple[PersonId, str | None, str], str] = {}
        self._day = ""

    def encode(self, drafts: Sequence[Draft], start: int) -> list[Written]:
        """Return the lines of drafts, the first of which becomes the record `start`, with names and new salts."""
        salts = _new_salts(sum([len(draft.parts) for draft in drafts]))
        self._prepare(drafts)
        lines = []
        used = 0
        for index, draft in enumerate(drafts, start):
            end = used + len(draft.parts)
            names = [self._name(part.person, draft) for part in draft.parts]
            lines.append(encode(index, draft, names, salts[used:end]))
            used = end
        return lines

    def _prepare(self, drafts: Iterable[Draft]) -> None:
        """Load the keys of all persons in `drafts`; create the missing ones in one transaction."""
        self._keys.keys_of({part.person for draft in drafts for part in draft.parts} - {NOBODY})

    def forget(self, person: PersonId) -> None:
        self._keys.destroy(person)
        self._known.clear()

    def _name(self, person: PersonId, draft: Draft) -> str:
        if person == NOBODY:
            return ""
        day = day_of(draft.at_ms)
        if day != self._day:
            self._known.clear()
            self._day = day
        known = self._known.get((person, draft.group, day))
        if known is None:
            known = pseudonym(self._keys.key_of(person), draft.group, day)
            self._known[person, draft.group, day] = known
        return known


def _new_salts(count: int) -> list[str]:
    """Return `count` salts, each 128 random bits in base64."""
    data = secrets.token_bytes(_SALT_BYTES * count)
    return [b2a_base64(data[at : at + _SALT_BYTES], newline=False).decode() for at in range(0, len(data), _SALT_BYTES)]
