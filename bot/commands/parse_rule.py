"""The parser of rules written in chat: ``no-ads terms "buy now" "cheap watches" moderate redact manager``. Pure.

Rules kept here:
- What is looked for stands in quotes, of any kind that a keyboard makes.
- A word without quotes must be a known one or (a domain) have a dot: a typing error never becomes a term.
- A setting with one value is written with the value behind its name, the rule in words behind `text`.
- Each condition under which the rule does not apply is written behind `unless`.

Left to others: whether the values make sense (`bot/config/checks.py`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from moderation.policy import GRADES, Decide, Measure
from moderation.rules.registry import KINDS
from moderation.rules.unless import Unless
from moderation.values.errors import Refused
from moderation.values.notices import Code

_OPENING = "\"“”„«»「『'‘"
_CLOSING = {"“": "”", "”": "”", "„": "“”", "«": "»", "»": "«", "「": "」", "『": "』", "‘": "’"}
_DURATION = re.compile(r"\d+[smhdw]", re.ASCII | re.IGNORECASE)
BY_CHAT = {name: kind.IN_CHAT for name, kind in KINDS.items() if kind.IN_CHAT is not None}
TEXT, NOTHING, UNLESS = ("text", "文字", "说明"), ("nothing", "无"), ("unless", "除非")
DRY_RUN = ("dry-run", "试运行")
MOST_WORDS = 200  # characters of a rule in words
MEASURES: tuple[str, ...] = get_args(Measure)
DECIDES: tuple[str, ...] = get_args(Decide)


@dataclass(frozen=True, slots=True)
class Token:
    """One word, or what stood between quotes."""

    text: str
    quoted: bool


def written(text: str, language: str) -> dict[str, Any]:
    """Return the rule as it would stand in `[[rules]]`, in words of `language`. Raises `Refused`."""
    tokens = list(tokens_of(text))
    if not tokens or tokens[0].quoted:
        raise Refused("error.rule.name")
    rule: dict[str, Any] = {"name": tokens[0].text.lower()}
    if len(tokens) < 2 or tokens[1].text.lower() not in BY_CHAT:
        given = tokens[1].text if len(tokens) > 1 else ""
        raise Refused("error.rule.kind", given=given[:40], kinds=", ".join(BY_CHAT))
    rule["kind"] = tokens[1].text.lower()
    _options(rule, tokens[2:], language)
    return rule


def tokens_of(text: str) -> Iterator[Token]:
    """Split a text into words; a quoted text is one word."""
    at = 0
    while at < len(text):
        if text[at].isspace() or text[at] == ",":
            at += 1
        elif text[at] in _OPENING:
            end = closing_quote(text, at)
            if end is None:
                raise Refused("error.rule.quote", given=text[at : at + 40])
            yield Token(text[at + 1 : end], True)
            at = end + 1
        else:
            word = re.match(r"[^\s,]+", text[at:])
            assert word is not None
            yield Token(word[0], False)
            at += len(word[0])


def is_quote(sign: str) -> bool:
    """Tell whether a sign opens a quotation."""
    return sign != "" and sign in _OPENING


def closing_quote(text: str, start: int) -> int | None:
    """Return where the quotation that begins at `start` ends; None if it does not."""
    closing = _CLOSING.get(text[start], text[start])
    for at in range(start + 1, len(text)):
        if text[at] in closing and (at + 1 == len(text) or text[at + 1].isspace() or text[at + 1] == ","):
            return at
    return None


def _options(rule: dict[str, Any], tokens: list[Token], language: str) -> None:
    form = BY_CHAT[rule["kind"]]
    into = next(iter(form.lists), "")
    rest = iter(tokens)
    for token in rest:
        word = token.text if token.quoted else token.text.lower()
        name = word.replace("-", "_")
        if into and (token.quoted or form.plain(word)):
            rule.setdefault(into, []).append(word)
        elif token.quoted:
            raise Refused("error.rule.no-quotes", given=word[:40], kind=rule["kind"])
        elif word in TEXT:
            rule["text"] = {language: _words(next(rest, None))}
        elif word in UNLESS:
            _unless(rule.setdefault("unless", {}), next(rest, None), next(rest, None))
        elif word in NOTHING and into and into not in rule:
            rule[into] = []
        elif name in form.values:
            rule[name] = _value(word, next(rest, None))
        elif word in form.words:
            into = name
        elif not _known(rule, word):
            raise _unknown(word, rule["kind"])


def _unless(unless: dict[str, Any], setting: Token | None, value: Token | None) -> None:
    """Take one condition under which the rule does not apply."""
    name = setting.text.lower().replace("-", "_") if setting else ""
    if name not in Unless.model_fields:
        known = ", ".join(each.replace("_", "-") for each in Unless.model_fields)
        raise Refused("error.rule.unless", given=setting.text[:40] if setting else "", known=Code(known))
    written = _value(name.replace("_", "-"), value)
    unless[name] = [*unless.get(name, ()), str(written)] if name == "users" else written


def _value(setting: str, token: Token | None) -> int | str:
    if token is None:
        raise Refused("error.rule.value", setting=Code(setting))
    number = token.text.isascii() and token.text.isdecimal() and len(token.text) < 10
    return int(token.text) if number else token.text


def _words(token: Token | None) -> str:
    if token is None or not token.quoted or not token.text.strip():
        raise Refused("error.rule.text")
    if len(token.text) > MOST_WORDS:
        raise Refused("error.rule.text-long", limit=MOST_WORDS)
    return " ".join(token.text.split())


def _known(rule: dict[str, Any], word: str) -> bool:
    """Take one of the words that every kind knows. Return whether it was one."""
    if word in GRADES:
        rule["class"] = word
    elif word in MEASURES:
        rule["measure"] = word
    elif word in DECIDES:
        rule["decide"] = word
    elif word in DRY_RUN:
        rule["dry_run"] = True
    elif _DURATION.match(word) and rule.get("measure") in ("mute", "ban"):
        rule[f"{rule['measure']}_for"] = word
    else:
        return False
    return True


def _unknown(word: str, kind: str) -> Refused:
    known = (*BY_CHAT[kind].words, *GRADES, *MEASURES, *DECIDES, TEXT[0], UNLESS[0], DRY_RUN[0])
    near = get_close_matches(word, known, n=1, cutoff=0.7)
    if near:
        return Refused("error.rule.near-word", given=word[:40], near=Code(near[0]))
    return Refused(f"error.rule.word-{kind}", given=word[:40], known=Code(", ".join(known)))
