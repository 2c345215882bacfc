"""A notice is read from a mail of any form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.mail_notice import MailNotice, read_mail

LINK = "https://matrix.to/#/!garden:example.org/$said?via=example.org"
PLAIN = f"""From: Ann <ann@example.org>
To: report@bot.example.org
Subject: My address

It is in here:
{LINK}
"""
HTML = f"""From: ann@example.org
Reply-To: Ann at work <work@example.org>
To: Reports <report+g-7f3k@bot.example.org>
Subject: =?utf-8?q?=E4=B8=BE=E6=8A=A5?=
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<p>It is <a href="{LINK}">here</a>,<br>please</p>
"""


def mail(text: str) -> MailNotice:
    found = read_mail(text.encode())
    assert found is not None
    return found


def test_a_plain_mail_says_what_where_and_whom_to_answer() -> None:
    assert mail(PLAIN) == MailNotice(
        words=f"My address\nIt is in here:\n{LINK}", link=LINK, contact="Ann <ann@example.org>"
    )


def test_a_mail_in_html_with_the_room_in_the_address() -> None:
    found = mail(HTML)
    assert (found.room, found.link, found.contact) == ("G-7F3K", LINK, "Ann at work <work@example.org>")
    assert found.words.splitlines()[:1] == ["举报"] and "please" in found.words and "<" not in found.words


def test_a_room_is_named_by_its_code_in_the_text() -> None:
    assert mail("Subject: G-2222 and G-7F3K\n\nhelp").room == "G-2222"
    assert mail("Subject: help\n\nGREG-7F3K").room == ""


def test_long_mails_are_cut_and_empty_mails_are_refused() -> None:
    assert len(mail("Subject: x\n\n" + "y" * 5_000).words) == 2_000
    assert read_mail(b"") is None
    assert read_mail(b"From: a@b.example\n\n  \n") is None


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: text/plain; charset=nonsense\nSubject: s\n\nx",
        b"Content-Type: multipart/mixed\nSubject: s\n\nx",
        b"Content-Type: multipart/mixed; \x00*\nSubject: s\n\nx",
        b"Content-Transfer-Encoding: base64\nSubject: s\n\n!!!!",
        b"From: =?x?q?=?= <\nTo: <@\nSubject: s\n\nx",
        b"Content-Type: text/html\nSubject: s\n\n<![x &#" + b"9" * 5_000,
    ],
)
def test_a_broken_mail_still_says_its_subject(raw: bytes) -> None:
    found = read_mail(raw)
    assert found is not None and found.words.startswith("s")


@given(st.binary(max_size=2_000), st.sampled_from([b"", b"Subject: x\nFrom: ", b"Content-Type: multipart/mixed; "]))
def test_no_bytes_break_it(raw: bytes, head: bytes) -> None:
    found = read_mail(head + raw)
    assert found is None or len(found.words) <= 2_000
