"""Records in words: all kinds and steps have some, in both languages; nobody is named and nothing quoted unasked."""

import itertools
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import orjson
import pytest

from bot.texts.catalog import LANGUAGES, Catalog
from bot.texts.record_words import Wording, sentence_key
from moderation.model.facts import FACTS, CaseDecided, Fact
from moderation.values.ids import GroupCode, PersonId, RoomId, UserId
from storage.database.place import FILE, DatabasePlace
from storage.journal.journal import Journal
from storage.journal.line_format import encode
from storage.journal.record import Draft, Part
from storage.journal.record_keys import PersonKeys
from storage.journal.record_kinds.table import KINDS
from storage.record_mapping import draft_of_fact
from tests.unit.bot.cli.conftest import ANNA, BEN, GARDEN, NOW, Answerable

CODE = GroupCode("G-7F3K")
HOSTILE = "words\x1b[2J\u202e\nFAKE"


def record(draft: Draft) -> dict[str, Any]:
    """Return a draft as `logs show` reads it."""
    salts = ["AAAAAAAAAAAAAAAAAAAAAA=="] * len(draft.parts)
    made: dict[str, Any] = orjson.loads(encode(123, draft, [str(part.person) for part in draft.parts], salts).line)
    return made


def facts() -> Iterator[Fact]:
    """Yield a fact of each class for each of its steps, and of each other choice at least one."""
    for cls in FACTS:
        hints = get_type_hints(cls)
        choices = [_choices(name, hints[name]) for name in (each.name for each in fields(cls))]
        longest = max(map(len, choices))
        steps = [some if name in ("step", "what", "result", "entry") else None for name, some in _named(cls, choices)]
        for chosen in itertools.product(*[some or [None] for some in steps]):
            for n in range(longest):
                values = {
                    name: step if step is not None else some[n % len(some)]
                    for step, (name, some) in zip(chosen, _named(cls, choices), strict=True)
                }
                yield cls(**values)


def _named(cls: type[Fact], choices: list[list[Any]]) -> list[tuple[str, list[Any]]]:
    return list(zip((each.name for each in fields(cls)), choices, strict=True))


def _choices(name: str, hint: Any) -> list[Any]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if get_origin(hint) is Union and all(get_origin(each) is Literal for each in get_args(hint)):
        return [choice for each in get_args(hint) for choice in get_args(each)]
    if name == "room":
        return [RoomId(GARDEN)]
    if hint is int:
        return [7]
    return [UserId(ANNA), UserId("")] if hint is UserId else [HOSTILE if name in ("reason", "words") else "a-word"]


OTHERS = [
    *[Draft(kind, NOW, CODE, {"membership": step}, parts=parts)
      for kind, step in (("join", "join"), *(("leave", each) for each in ("leave", "ban", "invite", "knock")))
      for parts in ((Part(PersonId(ANNA), {"mxid": ANNA}),),
                    (Part(PersonId(ANNA), {"mxid": ANNA, "reason": HOSTILE}),
                     Part(PersonId(BEN), {"as": "target", "mxid": BEN})))],
    *[Draft(kind, NOW, CODE, {}, parts=(Part(PersonId(ANNA), {"mxid": ANNA, "body": HOSTILE, **more}),))
      for kind in ("message", "edit", "redact") for more in ({}, {"own": 1})],
    Draft("message", NOW, CODE, {"media": "image"}, parts=(Part(PersonId(ANNA), {"mxid": ANNA}),)),
    Draft("state", NOW, CODE, {"what": "event"}, parts=(Part(PersonId(ANNA), {"mxid": ANNA}),)),
    *[Draft("coverage", NOW, CODE, {"what": each})
      for each in ("unreadable", "undecryptable", "clock", "unsigned", "foreign")],
    Draft("genesis", NOW, None, {"format": 1}),
]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_record_has_words(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", language)
    wording = Wording({ANNA: "Anna\x1b[31m\u202e", BEN: ""}.__getitem__, "example.org", NOW, content=True)
    hidden = Wording(str, "example.org", NOW, content=False)
    seen, keys = set(), set[str]()
    of_facts = [draft_of_fact(fact, NOW, CODE, PersonId) for fact in facts()]
    for draft in (*of_facts, *OTHERS):
        made = record(draft)
        keys |= {sentence_key(made, made["x"], {"is_by": by, "is_about": who}) for by in ("", "1") for who in ("", "1")}
        for line in (wording.line(made), hidden.line(made)):
            assert re.fullmatch(r"\d+\S* ?\w* \d\d:\d\d  #123  (G-7F3K  )?\S[^\x00-\x1f\u202e{}]+", line), (made, line)
        assert not re.search("@|Anna|words|FAKE", hidden.line(made)), made
        if {ANNA} & {part.get("mxid") for part in made["x"]} and made["k"] not in ("message", "edit", "outcome"):
            seen.add((made["k"], "Anna" in wording.line(made)))
    assert {draft.kind for draft in (*of_facts, *OTHERS)} == KINDS.keys()
    assert ("decision", True) in seen
    # A new step of a record needs its words: `cli.record` in both message files, `KIND-STEP`.
    assert keys == {key for key in Catalog.load().keys("en") if re.match(r"cli\.record\.[^.]+-", key)}


def test_a_decision_reads_like_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERABLE_LANG", "en")
    fact = CaseDecided(
        room=RoomId(GARDEN),
        on=7,
        n=5,
        what="upheld",
        state="decided",
        subject=UserId(BEN),
        by=UserId(ANNA),
        reason="he did",
    )
    made = record(draft_of_fact(fact, 1_795_960_800_000, CODE, PersonId))
    line = Wording({ANNA: "Anna K.", BEN: ""}.__getitem__, "example.org", 1_795_960_800_000, content=True).line(made)
    assert line == "29 Nov 14:00  #123  G-7F3K  Anna K. (@anna) decided case 5: rule broken · “he did”"
    made["x"] = [{"erased": "2026-12-01", "by": 1204}, made["x"][1]]
    assert "see record 1204" in Wording({ANNA: ""}.__getitem__, "", NOW, content=True).line(made)


@pytest.fixture
def log(config_file: Path, data_dir: Path) -> Path:
    """Provide two records, beside a database that knows the names."""
    del config_file
    keys = PersonKeys.open(DatabasePlace(data_dir))
    said = Draft("message", NOW, "G-7F3K", parts=(Part(PersonId(BEN), {"mxid": BEN, "body": "Free\x1b[31m coins"}),))
    case = Draft("case", NOW, "G-7F3K", {"n": 5, "step": "opened", "rule": "calm", "on": 1},
                 parts=(Part(PersonId(BEN), {"as": "subject", "mxid": BEN, "excerpt": "Free"}),))  # fmt: skip
    with Journal.open(data_dir, "example.org/log", keys, NOW) as journal:
        journal.append([said, case])
        journal.close(NOW)
    keys.close()
    with closing(sqlite3.connect(data_dir / FILE)) as database, database:
        database.execute("UPDATE members SET display_name = 'Ben K.' WHERE user = ?", (BEN,))
    return data_dir


@pytest.mark.usefixtures("log")
def test_show_speaks_in_words_and_names_people_for_a_reason(answerable: Answerable) -> None:
    shown = answerable("logs", "show")
    assert shown.out.splitlines()[-2].endswith("#1  G-7F3K  somebody wrote a message")
    assert "Names and content are hidden" in shown.err
    out = answerable("logs", "show", "--reason", "an audit").out
    assert "Ben K. (@ben) wrote a message · “Free[31m coins”" in out
    assert answerable("logs", "show", "--raw").out.splitlines()[-1].count("n=5  step=opened  rule=calm  on=1")


@pytest.mark.usefixtures("log")
def test_a_case_is_shown_alone(answerable: Answerable) -> None:
    (line,) = answerable("logs", "show", "--case", "5", "--reason", "an audit").out.splitlines()
    assert "Case 5 about Ben K. (@ben) was opened · Rule: calm · message #1 · “Free”" in line
    assert answerable("logs", "show", "--case", "6").out == ""
    assert "--case 12" in answerable("logs", "show", "--help").out
