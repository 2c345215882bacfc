"""No field of a text becomes more than text, and values are written as each language writes them."""

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.texts.catalog import LANGUAGES, Catalog, Rendered, ShownPerson, cli_language
from bot.texts.matrix_message import Speech
from moderation.policy import Policy
from moderation.values.notices import Code, Moment, Phrase, Span, Who, line

CATALOG = Catalog.load()

HOSTILE = (
    "<b>bold</b><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "two\nlines\r\nand\u2028more\u2029and\x85more",
    "\u202egnorw\u202c \u2066x\u2069 \u200fx",
    "`code` and ```more```",
    "{x} {n} {} {0} {who!r} {who.user} %s",
    "&lt;b&gt; &amp;",
    "@room [link](https://example.org) **bold**",
)
TAG = re.compile(r"<[^>]*>?")
BREAKS = re.compile(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
REORDERING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
one_field = Catalog({"en": {"said": "They said “{x}”, `!why {x}`\nEnd."}, "zh": {}})


def said(value: object) -> Rendered:
    return one_field.render("en", "said", x=value)


ALONE = said("")


class TestFields:
    @pytest.mark.parametrize("name", HOSTILE)
    @pytest.mark.parametrize("kind", [str, Who, Code], ids=["text", "who", "code"])
    def test_never_become_markup_or_another_line(self, name: str, kind: Any) -> None:
        text = said(kind(name))
        own = re.sub(r"</?code>|</?a[^>]*>", "", text.html) if kind is not str else text.html
        expected = re.sub(r"</?code>", "", ALONE.html) if kind is not str else ALONE.html
        assert TAG.findall(own) == TAG.findall(expected)
        assert not BREAKS.search(text.plain.replace("\nEnd.", ""))
        assert not REORDERING.search(text.plain + text.html)

    def test_that_look_like_fields_stay_as_they_are(self) -> None:
        assert said("{x} {x!r} {}").plain.startswith("They said “{x} {x!r} {}”")

    def test_keep_their_backticks_as_text(self) -> None:
        text = one_field.render("en", "said", x="`a`")
        assert text.plain == "They said “`a`”, !why `a`\nEnd."
        assert text.html == "They said “`a`”, <code>!why `a`</code><br>End."

    @given(st.text())
    @example("<a>\n`{x}`\u202e")
    def test_of_any_text_add_no_tag_and_no_line(self, value: str) -> None:
        text = said(value)
        assert TAG.findall(text.html) == TAG.findall(ALONE.html)
        assert text.plain.splitlines()[1:] == ["End."]
        assert len(one_field.text("en", "said", x=value).splitlines()) == 2
        assert "\n" not in text.html

    @given(st.text())
    def test_of_any_text_are_a_link_only_to_that_person(self, value: str) -> None:
        html = said(Who(value)).html
        links = re.findall(r'<a href="([^"]*)">', html)
        assert len(links) == 2
        assert all(re.fullmatch(r"https://matrix\.to/#/[A-Za-z0-9@:%._~-]*", link) for link in links)
        assert "\n" not in html

    def test_that_are_texts_of_ours_keep_their_markup(self) -> None:
        inner = CATALOG.render("en", "command.back.usage")
        outer = CATALOG.render("en", "help.usage", usage=inner)
        assert outer == Rendered("Usage: !back", "Usage: <code>!back</code>")


class TestValues:
    MOMENT = Moment(1_795_511_540_740)  # 24 November 2026, 09:12:20 UTC

    @pytest.mark.parametrize(
        ("language", "written"), [("en", "24 Nov 2026, 09:12 UTC"), ("zh", "2026年11月24日 09:12 UTC")]
    )
    def test_a_moment_is_written_in_utc_and_says_so(self, language: str, written: str) -> None:
        assert CATALOG.text(language, "cli.value", value=self.MOMENT) == written

    @pytest.mark.parametrize(
        ("language", "zone", "written"),
        [
            ("en", "Europe/Berlin", "24 Nov 2026, 10:12 UTC+1"),
            ("zh", "Asia/Shanghai", "2026年11月24日 17:12 UTC+8"),
            ("en", "Asia/Kathmandu", "24 Nov 2026, 14:57 UTC+5:45"),
            ("en", "America/St_Johns", "24 Nov 2026, 05:42 UTC-3:30"),
            ("en", "Europe/London", "24 Nov 2026, 09:12 UTC"),
            ("zh", "UTC", "2026年11月24日 09:12 UTC"),
        ],
    )
    def test_a_moment_is_written_as_clocks_of_a_place_show_it(self, language: str, zone: str, written: str) -> None:
        local = CATALOG.with_zone(zone).with_prefix("!")
        assert local.text(language, "cli.value", value=self.MOMENT) == written
        assert local.render(language, "cli.value", value=self.MOMENT) == Rendered(written, written)

    def test_the_hour_that_a_night_has_twice_is_told_apart(self) -> None:
        first = Moment(1_792_890_000_000)  # 25 October 2026, 01:00 UTC
        local = CATALOG.with_zone("Europe/Berlin")
        shown = [local.text("en", "cli.value", value=Moment(first.ms + add)) for add in (-3_600_000, 0)]
        assert shown == ["25 Oct 2026, 02:00 UTC+2", "25 Oct 2026, 02:00 UTC+1"]

    @pytest.mark.parametrize(
        ("seconds", "en", "zh"),
        [
            (190 * 86_400, "190 days", "190 天"),
            (7 * 86_400, "7 days", "7 天"),
            (36 * 3_600, "36 hours", "36 小时"),
            (90 * 60, "90 minutes", "90 分钟"),
            (90, "90 seconds", "90 秒"),
            (1, "1 second", "1 秒"),
            (0.2, "1 second", "1 秒"),
            (86_400 + 3_723, "25 hours", "25 小时"),
        ],
    )
    def test_a_span_is_exact_where_one_unit_can_say_it(self, seconds: float, en: str, zh: str) -> None:
        span = Span(int(seconds * 1000))
        assert CATALOG.text("en", "cli.value", value=span) == en
        assert CATALOG.text("zh", "cli.value", value=span) == zh

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_a_person_is_shown_by_their_id_and_linked(self, language: str) -> None:
        assert CATALOG.render(language, "cli.value", value=Who("@ann/x:example.org")) == Rendered(
            "@ann/x:example.org", '<a href="https://matrix.to/#/@ann%2Fx:example.org">@ann/x:example.org</a>'
        )

    @pytest.mark.parametrize(
        ("name", "en", "zh", "html"),
        [
            ("Anna B.", "Anna B. (@ann:a.org)", "Anna B.（@ann:a.org）", "{}Anna B.</a> (@ann:a.org)"),
            ("", "@ann:a.org", "@ann:a.org", "{}@ann:a.org</a>"),
            ("Ann", "@ann:a.org", "@ann:a.org", "{}@ann:a.org</a>"),  # says nothing more
            ("Ben (@ben:a.org)", "@ann:a.org", "@ann:a.org", "{}@ann:a.org</a>"),  # looks like somebody else's id
            ("<b>\u202eX", "<b>X (@ann:a.org)", "<b>X（@ann:a.org）", "{}&lt;b&gt;X</a> (@ann:a.org)"),
            ("x" * 50, f"{'x' * 40} (@ann:a.org)", f"{'x' * 40}（@ann:a.org）", f"{{}}{'x' * 40}</a> (@ann:a.org)"),
        ],
    )
    def test_a_person_is_shown_by_name_with_the_id_behind(self, name: str, en: str, zh: str, html: str) -> None:
        person, link = ShownPerson("@ann:a.org", name), '<a href="https://matrix.to/#/@ann:a.org">'
        assert CATALOG.render("en", "cli.value", value=person) == Rendered(en, html.format(link))
        assert CATALOG.text("zh", "cli.value", value=person) == zh

    @pytest.mark.parametrize(
        ("minutes", "en", "zh"),
        [
            (24 * 60, "25 Nov, 09:12 UTC, 24 h", "11月25日 09:12 UTC, 24 小时"),
            (24 * 60 - 0.4, "25 Nov, 09:11 UTC, 24 h", "11月25日 09:11 UTC, 24 小时"),
            (72 * 60, "27 Nov, 09:12 UTC, 3 days", "11月27日 09:12 UTC, 3 天"),
            (45, "24 Nov, 09:57 UTC, 45 min", "11月24日 09:57 UTC, 45 分钟"),
            (-5, "24 Nov, 09:07 UTC, 1 min", "11月24日 09:07 UTC, 1 分钟"),
            (400 * 1440, "29 Dec 2027, 09:12 UTC, 400 days", "2027年12月29日 09:12 UTC, 400 天"),
        ],
    )
    def test_a_time_is_shown_short_and_by_what_is_left(self, minutes: float, en: str, zh: str) -> None:
        texts = {"en": {"due": "**{due:short}**, {due:left}"}, "zh": {"due": "{due:short}, {due:left}"}}
        catalog = Catalog(texts, clock=lambda: self.MOMENT.ms)
        due = Moment(self.MOMENT.ms + round(minutes * 60_000))
        assert catalog.text("en", "due", due=due) == en
        assert catalog.render("zh", "due", due=due) == Rendered(zh, zh)
        first, last = en.rsplit(", ", 1)
        assert catalog.render("en", "due", due=due) == Rendered(en, f"<strong>{first}</strong>, {last}")

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_something_to_type_is_marked(self, language: str) -> None:
        assert CATALOG.render(language, "cli.value", value=Code("!why 3 <x>")) == Rendered(
            "!why 3 <x>", "<code>!why 3 &lt;x&gt;</code>"
        )

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_amounts_are_grouped_but_numbers_of_cases_can_be_typed_back(self, language: str) -> None:
        assert "12,345" in CATALOG.text(language, "status.numbers", records=12_345, members=1, open=0)
        assert "!why 12345" in CATALOG.render(language, "notice.foot", n=12_345).plain


class TestLanguage:
    def test_that_is_unknown_falls_back_to_english(self) -> None:
        moment = Moment(0)
        assert CATALOG.render("tlh", "notice.until", until=moment) == CATALOG.render("en", "notice.until", until=moment)
        assert CATALOG.text("", "cli.yes") == "yes"

    @pytest.mark.parametrize(
        ("environ", "language"),
        [
            ({}, "en"),
            ({"LANG": "zh_CN.UTF-8"}, "zh"),
            ({"LANG": "de_DE.UTF-8"}, "en"),
            ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
            ({"LC_ALL": "", "LC_MESSAGES": "ZH", "LANG": "en_GB"}, "zh"),
            ({"ANSWERABLE_LANG": "en", "LC_ALL": "zh_CN.UTF-8"}, "en"),
            ({"ANSWERABLE_LANG": "zh", "LC_ALL": "C"}, "zh"),
        ],
    )
    def test_of_the_terminal_is_the_first_that_is_set(self, environ: dict[str, str], language: str) -> None:
        assert cli_language(environ) == language

    def test_of_a_notice_is_also_that_of_the_texts_inside_it(self) -> None:
        speech = Speech(CATALOG, Policy(), "en")
        notice = (line("measure.ended.slow", why=Phrase("why-ended.time")),)
        assert speech.text(notice, "zh", {}).plain == "这里的慢速模式已结束。期限已到。"
        assert speech.text(notice, "en", {}).plain == "Slow mode is over here. The time is over."
