"""A link is judged by where it leads, whatever it looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from moderation.rules.addresses import host_of, written_links
from moderation.rules.check import Hit, View
from moderation.rules.links import Links, LinkSettings
from moderation.values.events import Text
from tests.unit.moderation.rules.posting import named, posted

EVIL = Links(LinkSettings(deny=("evil.com", "пример.рф")))
GOOD = Links(LinkSettings(allow=("good.com", "例子.中国")))
NONE = Links(LinkSettings(deny=("*",)))
INVISIBLE = ("", "\u200b", "\u00ad", "\u2060", "\ufe0f")


def matched(rule: Links, body: str, formatted: str | None = None) -> str | None:
    hit = rule.check(posted(body, formatted=formatted), View())
    return hit.matched if hit else None


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.com",
        "HTTPS://EVIL.COM/x?y#z",
        "http://www.evil.com:8080/",
        "https://good.com@evil.com/x",
        "https://good.com:pw@evil.com",
        "https://good.com%2f@evil.com",
        "https://e%76il.com/",
        "https://evil.com.",
        "https://evil\u200b.c\u00adom/",
        "https://ｅｖｉｌ．ｃｏｍ/",
        "https://evil。com/x",
        "https:\\\\evil.com\\x",
        "evil.com",
        "a.b.evil.com/path",
        "tg://evil.com",
        "https://xn--e1afmkfd.xn--p1ai/",
        "https://ПРИМЕР.рф/x",
        "пример.рф",
    ],
)
def test_a_denied_domain_is_found(link: str) -> None:
    assert matched(EVIL, f"see ({link} now") is not None
    assert matched(GOOD, f"see {link} now") is not None


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ("看https://evil.com啊这", "https://evil.com啊这"),
        ("看evil.com啊", "看evil.com啊"),
        ("看：evil.com。好", "evil.com"),
        ("[x](https://evil.com/a)", "https://evil.com/a)"),
        ("«https://evil.com»", "https://evil.com»"),
    ],
)
def test_a_link_needs_no_space_around_it(body: str, written: str) -> None:
    assert (matched(EVIL, body) or "").startswith(written[:8])


@pytest.mark.parametrize(
    "body",
    [
        "https://notevil.com",
        "https://evil.com.example.org",
        "https://example.org/evil.com",
        "https://example.org/?u=https://evil.com",
        "https://example.org@good.com/@evil.com",
        "mail me@evil.com",
        "@alice:evil.com and #room:evil.com",
        "evil.comx",
        "evil com",
        "no link at all. e.g. this",
    ],
)
def test_other_places_are_not_denied(body: str) -> None:
    assert matched(EVIL, body) is None


@pytest.mark.parametrize(
    "body",
    ["https://good.com", "http://a.good.com/x", "看good.com吧", "https://good.com啊", "例子.中国", "v1.2 e.g. 3.14"],
)
def test_only_allowed_domains_pass(body: str) -> None:
    assert matched(GOOD, body) is None


@pytest.mark.parametrize(
    "body",
    [
        "https://gооd.com",
        "https://good.com.evil.com",
        "https://1.2.3.4/",
        "http://[::1]/",
        "http://localhost",
        "good.com evil.org",
    ],
)
def test_domains_not_allowed_are_found(body: str) -> None:
    assert matched(GOOD, body) is not None


def test_denying_wins_over_allowing() -> None:
    rule = Links(LinkSettings(allow=("good.com",), deny=("bad.good.com",)))
    assert matched(rule, "https://x.bad.good.com") == "https://x.bad.good.com"
    assert matched(rule, "https://good.com") is None


def test_every_link_can_be_denied_but_those_allowed() -> None:
    assert matched(NONE, "https://good.com") == "https://good.com"
    assert matched(Links(LinkSettings(allow=("good.com",), deny=("*",))), "https://good.com") is None


def test_a_whole_top_level_domain_can_be_denied() -> None:
    assert matched(Links(LinkSettings(deny=("zip",))), "invoice.zip") == "invoice.zip"


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.com",
        "https://good.com&#64;evil.com",
        "&#104;ttps://evil.com",
        "ht\ntps://evil.com",
        "//evil.com/x",
        "\\\\evil.com",
        "https:evil.com",
        " https://evil.com ",
        "evil.com/x",
    ],
)
@pytest.mark.parametrize("tag", ['<a href="{}">x</a>', "<A class=y HREF = '{}'>x</A>"])
def test_the_formatted_body_is_read_for_where_links_lead(tag: str, href: str) -> None:
    event = posted("good.com", formatted=tag.format(href))
    assert EVIL.check(event, View()) == Hit(where="formatted", matched=href)


def test_a_match_in_an_edit_is_found() -> None:
    event = posted("x")
    event = type(event)(
        **{name: getattr(event, name) for name in event.__dataclass_fields__ if name != "content"},
        content={"m.new_content": {"formatted_body": '<a href="https://evil.com">x</a>'}},
    )
    assert EVIL.check(event, View()) == Hit(where="formatted", matched="https://evil.com")


def test_matrix_links_are_fine_unless_said_otherwise() -> None:
    body, formatted = "https://matrix.to/#/@a:evil.com", '<a href="matrix:u/a:x">x</a>'
    strict = Links(LinkSettings(deny=("*",), matrix_links=False))
    assert matched(NONE, body, formatted) is None
    assert matched(strict, body) == body
    assert matched(strict, "", formatted) == "matrix:u/a:x"
    assert matched(NONE, "https://matrix.to@evil.com") == "https://matrix.to@evil.com"
    assert matched(NONE, "https://matrix.to.evil.com") == "https://matrix.to.evil.com"


def test_schemes_can_be_limited() -> None:
    rule = Links(LinkSettings(schemes=("https", "mailto:")))
    assert matched(rule, "https://a.com b.com", '<a href="mailto:a@b.com">') is None
    assert matched(rule, "http://a.com") == "http://a.com"
    assert matched(rule, "", '<a href="javascript:x">') == "javascript:x"


def test_bare_domains_can_be_let_pass() -> None:
    rule = Links(LinkSettings(deny=("*",), bare=False))
    assert matched(rule, "see main.py and evil.com") is None
    assert matched(rule, "https://evil.com") == "https://evil.com"


def test_only_the_places_asked_for_are_read() -> None:
    event = posted("evil.com", Text("filename", "evil.com"), formatted='<a href="https://evil.com">')
    rule = Links(LinkSettings(deny=("evil.com",)), frozenset({"caption"}))
    assert rule.check(event, View()) is None
    assert EVIL.check(named("evil.com"), View()) == Hit(where="display_name", matched="evil.com")


@pytest.mark.parametrize(
    "bad",
    [{}, {"allow": ["*"]}, {"allow": ["https://a.com"]}, {"deny": ["a.com/x"]}, {"deny": [""]}, {"schemes": ["ht tp"]}],
)
def test_settings_that_make_no_sense_say_what_was_expected(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"expected|allows every link"):
        LinkSettings.model_validate(bad)


@given(
    st.sampled_from(INVISIBLE),
    st.sampled_from(["", "www.", "user:pw@", "a@b@"]),
    st.sampled_from(["", ":443", "/x", "?a"]),
)
def test_no_disguise_of_the_same_host_hides_it(invisible: str, before: str, after: str) -> None:
    assert matched(EVIL, f"x https://{before}{invisible.join('eViL.cOm')}{after}") is not None


@given(st.text(st.characters(), max_size=60) | st.text(st.sampled_from("ahttps:/\\@.com?#[]%25xn--中 "), max_size=40))
def test_no_text_fails_and_what_matched_is_in_it(text: str) -> None:
    for rule in (EVIL, GOOD, NONE):
        for body in (text, f"https://{text}"):
            hit = rule.check(posted(body, formatted=f'<a href="{text}">'), View())
            assert hit is None or hit.where == "formatted" or hit.matched in body


@given(st.text(st.characters(), max_size=30))
def test_the_form_of_a_host_is_stable(text: str) -> None:
    once = host_of(text.replace("%", ""))
    assert "xn--" in once or host_of(once) == once


@pytest.mark.parametrize(
    "unit", ["a.", "https://", "a.com ", "@", 'href="', "看evil.cn", "https://a@", "1.", "xn--.", "[", "%"]
)
def test_the_largest_body_is_searched(unit: str) -> None:
    body = unit * (65_536 // len(unit.encode()))
    assert list(written_links(f"{body} https://evil.com", bare=True))[-1].hosts[-1:] != ()
    EVIL.check(posted(body, formatted=body), View())
