"""A record in words, one line: when, which, where, who did what, and with a reason what they wrote.

    29 Nov 13:40  #123  G-7F3K  Anna (@anna) decided case 5: rule broken · “insulted Ben”

Rules kept here:
- Every kind of record and every step of one has words (`cli.record` in the message files); a kind of a newer version is
  shown by its name.
- Without content nobody is named and nothing is quoted.
- What people wrote stays on its line and cannot control the terminal.

Left to others: which records, and who may see content (`bot/cli/logs/`, `bot/console/pages/`).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from moderation.values.notices import Moment
from storage.journal.line_format import time_ms

from .catalog import Catalog, ShownPerson, cli_language, fields_of, short_time
from .catalog_words import word_key

# The words of a record depend on these fields, and on two of them together.
_STEPS = ("step", "what", "result", "entry", "membership", "channel")
_PAIRS = (("step", "what"), ("step", "result"), ("step", "state"))
# What follows the sentence, unless it is in there: fields of the skeleton, with a name of their own in the exports.
_MORE = ("n", "rule", "class", "kind", "basis", "why", "until", "due", "cost", "left", "level", "method", "media",
         "count", "version", "purpose")  # fmt: skip
_ON = frozenset({"case", "finding", "report", "trial"})  # kinds of which one wants to see the message
_QUOTED = ("body", "reason", "words", "excerpt", "matched", "detail", "problem", "duty")
_TIMES = frozenset({"until", "due"})
_MOST_KNOWN = 1_000
_LONGEST = 200  # of a quotation


class Wording:
    """The words for records of one deployment. `names` knows display names; `home` is left out of ids."""

    def __init__(
        self, names: Callable[[str], str], home: str, now_ms: int, *, content: bool, language: str = ""
    ) -> None:
        self._names, self._home, self._now, self._content = names, home, now_ms, content
        self._language = language or cli_language()
        self._minute, self._name = lru_cache(_MOST_KNOWN)(self._minute_in_words), lru_cache(_MOST_KNOWN)(self._name_of)

    def line(self, record: Mapping[str, Any]) -> str:
        """Return a record as one line."""
        at = self._minute(time_ms(record["t"]) // 60_000)
        where = f"  {record['g']}" if "g" in record else ""
        return f"{at}  #{record['i']}{where}  {self.sentence(record)}"

    def _minute_in_words(self, minute: int) -> str:
        return short_time(minute * 60_000, self._language, self._now)

    def text(self, key: str, **fields: object) -> str:
        """Return a text in the language of the reader."""
        return Catalog.load().text(self._language, key, **fields)

    def sentence(self, record: Mapping[str, Any]) -> str:
        """Return what a record says, without when, which and where."""
        parts = [part for part in record["x"] if isinstance(part, Mapping)]
        people = self._people(parts)
        key = sentence_key(record, parts, people)
        used = fields_of(Catalog.load().template("en", key))
        told = self.text(key, **{name: people.get(name) or self._value(name, record.get(name, "-")) for name in used})
        return " · ".join([told, *self._more(record, people, used), *self._quoted(parts)])

    def _people(self, parts: list[Mapping[str, Any]]) -> dict[str, str]:
        """Return who it is about (`who`), who did it (`by`), and the third one (`other`)."""
        acting = {str(part.get("as", "sender")): self._name(part["mxid"]) for part in parts if "mxid" in part}
        readers = [part["reader"] for part in parts if part.get("reader")] if self._content else []
        reader = self.text("cli.value", value=readers[0]) if readers else ""
        who = acting.get("subject") or acting.get("target") or acting.get("sender")
        by = acting.get("by") or ("target" in acting and acting.get("sender")) or reader
        nobody = self.text("cli.record.somebody")
        return {"who": who or nobody, "by": by or nobody, "other": acting.get("target", nobody),
                "is_by": "by" if by else "", "is_about": "1" if who else ""}  # fmt: skip

    def _name_of(self, user: str) -> str:
        if not self._content:
            return self.text("cli.record.somebody")
        local = user.removesuffix(f":{self._home}") if self._home else user
        return self.text("cli.value", value=ShownPerson(local, self._names(user)))

    def _more(self, record: Mapping[str, Any], people: Mapping[str, str], used: frozenset[str]) -> Iterator[str]:
        for name in _MORE:
            if name not in used and record.get(name, 0) not in (0, "-", "", -1):
                yield self.text(
                    "cli.record.more", name=self.text(f"export.field.{name}"), value=self._value(name, record[name])
                )
        if self._content and people["is_by"] and "by" not in used:
            yield self.text("cli.record.more", name=self.text("cli.column.by"), value=people["by"])
        if record["k"] in _ON and record.get("on", -1) >= 0:
            yield self.text("cli.record.of_message", index=str(record["on"]))

    def _quoted(self, parts: list[Mapping[str, Any]]) -> Iterator[str]:
        """Yield what people wrote, and what is said of parts that are erased."""
        for part in parts if self._content else ():
            if "erased" in part:
                yield self.text("cli.logs.erased", date=str(part["erased"]), by=str(part.get("by")))
            for name in _QUOTED:
                if isinstance(said := part.get(name), str) and said:
                    cut = said if len(said) <= _LONGEST else said[:_LONGEST] + "…"
                    yield self.text("cli.record.quote", words=cut)

    def _value(self, name: str, value: object) -> object:
        """Return the value of a field in words."""
        if name in _TIMES and isinstance(value, int):
            return Moment(value)
        known = Catalog.load()
        keys = (word_key(name, value), f"action.{value}", f"export.word.{value}") if isinstance(value, str) else ()
        for key in keys:
            if known.has(key):
                return self.text(key)
        return value if name == "count" else str(value)


def sentence_key(record: Mapping[str, Any], parts: list[Mapping[str, Any]], people: Mapping[str, str]) -> str:
    """Return the key of the sentence: the most exact one that there is."""
    kind, known = record["k"], Catalog.load()
    steps = ["-".join(str(record[name]) for name in pair) for pair in _PAIRS if all(name in record for name in pair)]
    steps += ["own"] if any(part.get("own") for part in parts) else []
    steps += [str(record[name]) for name in _STEPS if name in record]
    for step in (*steps, *(["media"] if "media" in record else []), "any"):
        whole = f"{kind}-{step}"
        for exact in (
            f"{whole}-by" if people["is_by"] else whole,
            whole if people["is_about"] else f"{whole}-room",
            whole,
        ):
            if known.has(key := f"cli.record.{exact}"):
                return key
    return f"export.kind.{kind}" if known.has(f"export.kind.{kind}") else "cli.record.unknown"
