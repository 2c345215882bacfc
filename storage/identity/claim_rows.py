"""The rows of claims, sealed as they stand in the database, each under the key of its person.

Left to others: transactions, threads and what may be done without the key (`store.py`), keys (`keyring.py`), what a
seal is bound to (`claims.py`).
"""

from collections.abc import Iterable, Mapping, Sequence

from moderation.values.errors import Broken
from moderation.values.ids import PersonId
from storage.database.small_store import SmallStore

from .claims import COLUMNS, Claim, HeldClaim, Row
from .keyring import Keyring
from .sealing import padded, seal, unpadded, unseal
from .tables import CLAIM_FIELDS, CLAIMS


class ClaimRows:
    """The rows in one database, sealed under the keys of a keyring."""

    def __init__(self, database: SmallStore, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    def of_person(self, person: PersonId) -> list[Row]:
        """Return the claims of a person, oldest first."""
        return self._where("person = ?", person)

    def marked(self, mark: bytes) -> list[Row]:
        """Return the claim that has this mark, in a list."""
        return self._where("blind = ?", mark)

    def ended_by(self, now_ms: int) -> list[Row]:
        """Return the claims whose time is over, oldest first."""
        return self._where("expires <= ?", now_ms)

    def insert(self, row: Row, record: int, key: bytes, fields: Mapping[str, str]) -> None:
        """Seal a claim and its fields under the person's key, and write both."""
        values = (row.id, row.person, row.method, row.issuer, row.blind, seal(key, b"", *row.place))
        times = (row.created, row.expires, record)
        self._database.execute(CLAIMS.insert(), (*values, *times))
        sealed = [(row.id, name, seal(key, padded(value), *row.field(name))) for name, value in fields.items()]
        self._database.executemany(CLAIM_FIELDS.insert(), sealed)

    def opened(self, row: Row) -> Claim:
        """Open a claim. Raises `Broken` if anything was changed."""
        return Claim(
            id=row.id,
            person=PersonId(row.person),
            method=row.method,
            issuer=row.issuer,
            fields=self._fields(row, self.must_be_sealed(row)),
            created_ms=row.created,
            expires_ms=row.expires,
            record=row.record,
        )

    def held(self, row: Row) -> HeldClaim:
        """Return a claim without opening it."""
        query = "SELECT count(*) FROM claim_fields WHERE claim = ?"
        (fields,) = self._database.execute(query, (row.id,)).fetchone()
        person = PersonId(row.person)
        return HeldClaim(id=row.id, person=person, created_ms=row.created, record=row.record, fields=fields)

    def must_be_sealed(self, row: Row) -> bytes:
        """Return the key of the person. Raises `Broken` if it is missing, or does not fit the seal of the row."""
        key = self._keyring.get(PersonId(row.person))
        if key is None:
            raise Broken(f"identity store: the key of claim {row.id} is missing")
        unseal(key, row.seal, *row.place)
        return key

    def hand_over(self, rows: Sequence[Row], person: PersonId) -> None:
        """Open the claims and seal them as those of another person."""
        key = self._keyring.get_or_make(person)
        for row in rows:
            claim = self.opened(row)
            self.drop(row.id)
            theirs = Row(row.id, person, row.method, row.issuer, row.blind, row.created, row.expires)
            self.insert(theirs, row.record, key, claim.fields)

    def seal_again(self, rows: Sequence[Row], person: PersonId) -> None:
        """Seal the marks under the person's new key; the old one, which opens old copies, is destroyed already."""
        key = self._keyring.get_or_make(person)
        for row in rows:
            self._database.execute("UPDATE claims SET seal = ? WHERE id = ?", (seal(key, b"", *row.place), row.id))

    def strip(self, claims: Iterable[str]) -> None:
        """Delete all fields of the claims; the marks stay."""
        self._database.executemany("DELETE FROM claim_fields WHERE claim = ?", [(claim,) for claim in claims])

    def drop(self, claim: str) -> None:
        """Delete a claim with its fields."""
        self._database.execute("DELETE FROM claim_fields WHERE claim = ?", (claim,))
        self._database.execute("DELETE FROM claims WHERE id = ?", (claim,))

    def _where(self, where: str, value: object) -> list[Row]:
        query = f"SELECT {COLUMNS} FROM claims WHERE {where} ORDER BY created, id"  # noqa: S608 - words of this file
        return [Row(*columns) for columns in self._database.execute(query, (value,)).fetchall()]

    def _fields(self, row: Row, key: bytes) -> dict[str, str]:
        query = "SELECT field, sealed FROM claim_fields WHERE claim = ? ORDER BY field"
        rows = self._database.execute(query, (row.id,)).fetchall()
        return {name: unpadded(unseal(key, sealed, *row.field(name))) for name, sealed in rows}
