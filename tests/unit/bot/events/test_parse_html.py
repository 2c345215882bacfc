"""The text that a client shows for a formatted body, especially one written to hide something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.events.parse_html import shown, user_of_link, without_reply
from moderation.values.ids import UserId

SIZE = 64_000


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a &lt;b&gt; &amp;amp; &#33;&#x21;", "a <b> &amp; !!"),
        ("<p>one</p><p>two<br/>three</p>", "one\n\ntwo\nthree"),
        ('<a href="https://e.org" title="t">here</a>', "here"),
        ('<img src="mxc://e/a" alt="&#58;cat:" title="t">', ":cat:"),
        ('<span data-mx-spoiler="the end">dies</span>', "the end dies"),
        ("<font data-mx-color=red>red</font>", "red"),
        ("1 < 2 <3 <", "1 < 2 <3 <"),
        ("", ""),
    ],
)
def test_tags_go_and_text_stays(html: str, text: str) -> None:
    assert shown(html).text == text


@pytest.mark.parametrize(
    ("html", "height"),
    [
        ('<img src="mxc://e/a" data-mx-emoticon height="32">', 32),
        ("<img height=32 src=mxc://e/a><img src=mxc://e/b height=' 1200px'>", 1200),
        ('<img src="mxc://e/a" height="&#57;00">', 900),
        ('<img src="mxc://e/a" height="00000000000400" height="20">', 400),
        (f'<img src="mxc://e/a" height="{"9" * 5000}">', 1_000_000),
        ('<img src="mxc://e/a" height="tall">', 0),
        ('<img src="mxc://e/a">', 0),
        ('<img src="https://e.org/a.png" height="900">', 0),  # clients do not load it
    ],
)
def test_a_picture_is_as_high_as_a_browser_reads_it(html: str, height: int) -> None:
    assert shown(html).tallest == height


@pytest.mark.parametrize(
    "inside",
    [
        "<b>",
        "</b>",
        "<b/>",
        "<B x>",
        '<b x=y">',
        "<b x='>'>",
        '<b x=">">',
        "<b <i>",
        '<b =">',
        "<b x = 'y'z>",
        "<!---->",
        "<!-->",
        "<!--->",
        "</ >",
        "</>",
        "<?>",
        "<!>",
        "<b\n/x='<a \"'>",
        "<svg:a>",
        "<b x=<>",
        "<b>&#0001;</b>",
    ],
)
def test_no_markup_splits_a_word(inside: str) -> None:
    assert shown(f"ca{inside}sino").text == "casino"


@pytest.mark.parametrize("inside", ["<!-- x -->", "<style>x</style>", "<script>x<b></script>", "<!x -->", "<?x ?>"])
def test_text_that_only_some_clients_show_comes_last(inside: str) -> None:
    first, *rest = shown(f"ca{inside}sino").text.split("\n")
    assert first == "casino"
    assert "x" in "".join(rest)


@pytest.mark.parametrize("html", ["<!--> coins", "<!-- coins", "<style>coins", "<b coins", '<b x=y"> coins <b z="">'])
def test_no_markup_hides_text(html: str) -> None:
    assert "coins" in shown(html).text


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<a",
        "<a ",
        "<a '",
        '<a b="',
        "<a b=",
        "<a/",
        "</",
        "</a ",
        "<!",
        "<!--",
        "<![",
        "<![CDATA[",
        "<?",
        "&",
        "&#",
        "&#9",
        "&#x0",
        "<b>",
        "<p>",
        "<script>",
        "<a b='>'>",
        "<mx-reply>",
        "<a b=\"'<a b='\"",
    ],
)
@pytest.mark.parametrize("tail", ["", ">", "'>", '">'])
def test_64_kib_of_anything_is_read_at_once(unit: str, tail: str) -> None:
    # html.parser takes up to half a minute for one of these, all of them together would not end in time.
    shown(unit * (SIZE // len(unit)) + tail)


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("&#" + "9" * SIZE + ";", "\ufffd"),
        ("&#x" + "f" * SIZE + ";", "\ufffd"),
        ("&#" + "0" * SIZE + "65;", "A"),
        ("&#xd800;", "\ufffd"),
        ("&nosuch;", "&nosuch;"),
    ],
)
def test_references_to_no_character_do_no_harm(reference: str, text: str) -> None:
    assert shown(reference).text == text


@pytest.mark.parametrize(
    ("link", "user"),
    [
        ("https://matrix.to/#/@ann:example.org", "@ann:example.org"),
        ("https://matrix.to/#/%40ann%3Aexample.org?via=example.org", "@ann:example.org"),
        (" HTTPS://MATRIX.TO/#/@ann:example.org:8448", "@ann:example.org:8448"),
        ("matrix:u/ann:example.org?action=chat", "@ann:example.org"),
        ("https://matrix.to/#/!room:example.org", None),
        ("https://matrix.to/#/!room:example.org/$event", None),
        ("https://matrix.to.evil.org/#/@ann:example.org", None),
        ("https://matrix.to/#/@ann", None),
        ("matrix:r/room:example.org", None),
        ("https://matrix.to/#/@%ff%ed%a0%80:example.org", "@\ufffd\ufffd\ufffd\ufffd:example.org"),
    ],
)
def test_links_to_people_are_recognised(link: str, user: str | None) -> None:
    assert user_of_link(link) == user


def test_the_first_of_two_addresses_counts() -> None:
    html = "<a href='https://matrix.to/#/@a:a.org' href=https://matrix.to/#/@b:b.org>A</a>"
    assert UserId("@a:a.org") in shown(html).mentions


@pytest.mark.parametrize(
    ("html", "own"),
    [
        ("<mx-reply>quoted</mx-reply>own", "own"),
        ("own<mx-reply>quoted</mx-reply>", "own<mx-reply>quoted</mx-reply>"),
        ("<mx-reply>never closed", "<mx-reply>never closed"),
        ("<mx-reply>all there is</mx-reply> ", "<mx-reply>all there is</mx-reply> "),
    ],
)
def test_only_a_whole_quotation_in_front_goes(html: str, own: str) -> None:
    assert without_reply(html) == own


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("<>&#;\"'=/!-? ax"), max_size=80))
def test_any_text_can_be_read(html: str) -> None:
    shown(html).text.encode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<&")))
def test_text_without_markup_is_left_as_it_is(text: str) -> None:
    assert shown(text).text == text.strip()
