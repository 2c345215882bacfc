"""A record as a line: it has exactly one form."""

import base64
import hashlib
import json
import shutil
import subprocess
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from moderation.values.errors import Broken
from moderation.values.ids import PersonId
from storage.journal.line_format import (
    MAX_LINE,
    BadLine,
    commitment,
    day_of,
    decode,
    encode,
    erased_by,
    is_time,
    open_line,
    time_ms,
    time_text,
)
from storage.journal.merkle import leaf_hash
from storage.journal.record import NOBODY, Draft, Part, Record

ANNA = PersonId("@anna:example.org")
SALT = "qdV7NSjujNKpCo8neSLW6Q=="
DRAFT = Draft(
    "case",
    1_795_511_540_740,
    "G-7F3K",
    {"n": 3, "rule": "no-links"},
    (Part(ANNA, {"mxid": ANNA, "body": "hi\n"}), Part(NOBODY, {"text": "规则"}), Part(ANNA, {"b": 2, "a": [1.5]})),
)
WRITTEN = encode(740, DRAFT, ["panna", "", "panna"], [SALT] * 3)


def test_the_line_is_exactly_this() -> None:
    parts: list[Any] = [
        {"p": "panna", "mxid": "@anna:example.org", "body": "hi\n", "s": SALT},
        {"text": "规则", "s": SALT},
        {"p": "panna", "b": 2, "a": ["1.5"], "s": SALT},
    ]
    commitments = [
        base64.b64encode(hashlib.sha256(b"privpart/v1\0" + rfc8785.dumps(part)).digest()).decode() for part in parts
    ]
    line: dict[str, Any] = {
        "i": 740,
        "t": "2026-11-24T09:12:20.740Z",
        "k": "case",
        "g": "G-7F3K",
        "p": ["panna"],
        "c": commitments,
        "n": 3,
        "rule": "no-links",
        "x": parts,
    }
    assert WRITTEN.line.decode() == json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n"
    skeleton = {key: value for key, value in line.items() if key != "x"}
    assert WRITTEN.leaf == leaf_hash(rfc8785.dumps(skeleton))


def test_a_line_without_room_and_parts() -> None:
    written = encode(0, Draft("start", 0, fields={"version": "1"}), [], [])
    assert written.line == b'{"i":0,"t":"1970-01-01T00:00:00.000Z","k":"start","p":[],"c":[],"version":"1","x":[]}\n'


def test_there_and_back() -> None:
    assert decode(WRITTEN.line[:-1]) == Record(
        index=740,  # type: ignore[arg-type]
        kind="case",
        at_ms=DRAFT.at_ms,
        group="G-7F3K",
        fields={"n": 3, "rule": "no-links"},
        parts=(
            {"p": "panna", "mxid": "@anna:example.org", "body": "hi\n", "s": SALT},
            {"text": "规则", "s": SALT},
            {"p": "panna", "b": 2, "a": ["1.5"], "s": SALT},
        ),
    )
    assert open_line(WRITTEN.line[:-1]).leaf == WRITTEN.leaf


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed; the next test does the same without")
def test_jq_and_sha256sum_give_the_leaf_hash() -> None:
    recipe = r"(printf '\0'; jq -cSj 'del(.x)') | sha256sum"
    found = subprocess.run(["sh", "-c", recipe], input=WRITTEN.line, capture_output=True, check=True).stdout
    assert found.split()[0].decode() == WRITTEN.leaf.hex()


def test_pythons_own_json_gives_the_leaf_hash(tools: Any) -> None:
    assert tools.leaf_by_json(json.loads(WRITTEN.line)) == WRITTEN.leaf


@given(
    st.dictionaries(
        st.text(max_size=5).filter(lambda key: key not in ("p", "s", "erased")),
        st.recursive(
            st.text(st.characters(), max_size=5) | st.integers() | st.floats() | st.booleans() | st.none(),
            lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3),
            max_leaves=6,
        ),
        max_size=5,
    )
)
def test_any_data_gives_a_line_that_can_be_opened_and_checked(data: dict[str, Any]) -> None:
    written = encode(1, Draft("message", 1, parts=(Part(ANNA, data),)), ["panna"], [SALT])
    opened = open_line(written.line[:-1])
    assert opened.leaf == written.leaf
    assert opened.skeleton["c"] == [commitment(part) for part in opened.parts]
    assert opened.parts == json.loads(written.line)["x"]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "unreadable"),
        (b"\xff\xfe", "unreadable"),
        (b"[" * 100_000, "unreadable"),
        (b'{"a":' * 800 + b"1" + b"}" * 800, "unreadable"),
        (b"[]", "spelling"),
        (b"1", "spelling"),
        (b"{}", "form"),
        (WRITTEN.line, "spelling"),  # with its newline
        (WRITTEN.line[:-1].replace(b'{"i":740', b'{ "i":740'), "spelling"),
        (WRITTEN.line[:-1].replace(b'"i":740', b'"i":740,"i":740'), "spelling"),
        (WRITTEN.line[:-1].replace(b'"case"', b'"\\u0063ase"'), "spelling"),
        (WRITTEN.line[:-1].replace(b'"n":3', b'"n":3.0'), "form"),
        (WRITTEN.line[:-1].replace(b'"n":3', b'"n":null'), "form"),
        (WRITTEN.line[:-1].replace(b'"n":3', b'"n":true'), "form"),
        (WRITTEN.line[:-1].replace(b'"n":3', b'"n":[]'), "form"),
        (WRITTEN.line[:-1].replace(b'"n":3', b'"n":9007199254740993'), "unreadable"),
        (WRITTEN.line[:-1].replace(b'"n":3', b'"n":99999999999999999999999'), "spelling"),
        (WRITTEN.line[:-1].replace(b'"p":["panna"]', b'"p":[1]', 1), "form"),
        (WRITTEN.line[:-1].replace(b'"p":["panna"]', b'"p":"panna"', 1), "form"),
        (WRITTEN.line[:-1].replace(b'"i":740,"t"', b'"t"'), "form"),
        (WRITTEN.line[:-1].replace(b',"x":[{', b',"y":[{'), "form"),
    ],
)
def test_an_invalid_line_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(BadLine) as raised:
        open_line(raw)
    assert raised.value.code == code


@given(
    st.binary(max_size=60) | st.recursive(st.text(max_size=3), lambda v: st.lists(v)).map(lambda v: repr(v).encode())
)
def test_any_bytes_are_refused_in_one_way(raw: bytes) -> None:
    with pytest.raises(BadLine):
        open_line(raw)
    with pytest.raises(BadLine):
        decode(raw)


def test_a_line_may_not_be_longer_than_a_reader_takes() -> None:
    with pytest.raises(Broken, match="more than a line may have"):
        encode(1, Draft("message", 1, parts=(Part(ANNA, {"body": "x" * MAX_LINE}),)), ["panna"], [SALT])


def test_only_a_mark_counts_as_erased() -> None:
    assert erased_by({"erased": "2026-11-24", "by": 12}) == 12
    for part in (
        {"erased": "2026-11-24", "by": "12"},
        {"erased": "2026-11-24"},
        {"erased": 1, "by": 1},
        "erased",
        None,
    ):
        assert erased_by(part) is None  # type: ignore[arg-type]
    assert erased_by({"erased": "2026-11-24", "by": 12, "body": "still here"}) is None


@given(st.integers(0, 253_402_300_799_999))
def test_times_there_and_back(ms: int) -> None:
    assert time_ms(time_text(ms)) == ms
    assert time_text(ms).startswith(day_of(ms))


@pytest.mark.parametrize(
    "text", ["", "2026-11-24", "2026-11-24T09:12:20.740", "2026-11-24 09:12:20.740Z", "2026-13-24T09:12:20.740Z",
             "2026-11-24T09:12:20.74٣Z", "2026-11-24T9:12:20.7400Z", "2026-11-24T09:12:20.+40Z"]
)  # fmt: skip
def test_times_have_one_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        time_ms(text)


@pytest.mark.parametrize("text", ["0026-11-25T12:00:00.000Z", "0001-01-01T00:00:00.000Z", "1969-12-31T23:59:59.999Z"])
def test_a_time_before_any_record_is_invalid(text: str) -> None:
    """Found by changing bytes: the checker took it for one and could not compare it."""
    assert not is_time(text)


@given(st.integers(0, 253_402_300_799_999))
def test_every_time_of_a_record_is_one(ms: int) -> None:
    assert is_time(time_text(ms))
