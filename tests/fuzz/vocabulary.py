"""Hostile input: pieces of events, texts and names that have broken programs like ours.

Everything is a hypothesis strategy, so that it shrinks and can be guided by coverage (`guided.py`).
"""

from typing import Any

from hypothesis import strategies as st

SURROGATE = "\ud800"
BIDI = "\u202e\u2066\u200b\u2069\ufeff\u00ad\u034f"
NAMES = ("", "__proto__", "constructor", "toString", "__class__", "None", "true", "$ref", "..", "../../etc/passwd")

IDS = (
    "$event",
    "$../../../../etc/passwd",
    "$a\\..\\b",
    "$" + "a" * 254,
    "$" + "a" * 255,
    "$\u202etxt.exe",
    "$<script>alert(1)</script>",
    "$'; DROP TABLE events; --",
    "@ann:example.org",
    "@bot:example.org",
    "@:x",
    "@../../x:example.org",
    "@=cmd|' /C calc'!A0:example.org",
    "@ann:example.org\u202e",
    "@" + "a" * 300 + ":x",
    "@\ud800:example.org",
    "!room:example.org",
    "!/../..",
    "#alias:example.org",
    "mxc://example.org/../../../x",
    "mxc://" + "a" * 2000,
)
TEXTS = (
    "",
    " ",
    "hello",
    "a purple elephant",
    "forbidden 17",
    "a volcano",
    "p\u200bur\u202eple e\u0301lephant",
    BIDI + "moc.live" + BIDI,
    SURROGATE,
    "half a pair \udfff here",
    "\x00\x01\x1b[31m",
    "\ufffe\uffff\U0010ffff",
    '=HYPERLINK("http://evil.example")',
    "\t=1+1",
    "x;+cmd|' /C calc'!A0\r\n-2+3",
    '"\uff1d1',
    "\u200b=1+1",
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    '<a href="https://matrix.to/#/@ann:example.org">@room</a>',
    '<a href="https://matrix.to/#/%40ann%3Aexample.org">!ban</a>',
    "<mx-reply>" * 3,
    "<a " * 40,
    "<!" + "-" * 40,
    "<![x",
    "&#" + "9" * 60 + ";",
    "{who} {0} %s %n {0.__class__} {{",
    "]]>--><!--",
    "@room",
    "a\u0300" * 60,
    "\U0001f3f4\U000e0067\U000e007f",
    "\u2028\u2029\x85",
    "1234 5678",
    "!verify email a@b.example",
    "!mute @ann:example.org 1h",
    "!redact @ann:example.org 24h",
    "!ban @ben:example.org redact 24h",
    "Case 1 \u00b7 serious \u00b7 loud",
)
NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2**31, 2**53 - 1, 2**53, -(2**53), 2**63, 2**64, 10**40, 10**400, 1.5, -0.0, 1e308, 1e-320,
    float("nan"), float("inf"), float("-inf"), True,
)  # fmt: skip

ids = st.sampled_from(IDS)
# Any letter there is, halves of pairs among them.
letters = st.characters(exclude_categories=[])
texts = (
    st.sampled_from(TEXTS) | st.text(letters, max_size=12) | st.lists(st.sampled_from(TEXTS), max_size=4).map("".join)
)
scalars: st.SearchStrategy[Any] = (
    st.none() | st.sampled_from(NUMBERS) | st.booleans() | st.integers() | st.floats() | texts | ids
)


def deep(levels: int, bottom: Any = "bottom") -> Any:
    """Return a value nested `levels` deep."""
    inner = bottom
    for level in range(levels):
        inner = [inner] if level % 2 else {"x": inner}
    return inner


def json_values(keys: st.SearchStrategy[str], leaves: int = 12) -> st.SearchStrategy[Any]:
    """Return any JSON, and almost JSON, under names that the product reads."""
    names = keys | st.sampled_from(NAMES) | texts
    return st.recursive(
        scalars | st.sampled_from([70, 300, 1200]).map(deep),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
        max_leaves=leaves,
    )
