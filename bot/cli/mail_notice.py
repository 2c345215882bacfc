"""The parser of notices in mails. Pure, so that it can be fuzzed.

Rules kept here:
- The text counts, not the attachments.
- The room is the one in the address (`report+G-7F3K@...`), else the first code in the subject or the text.
- The message is the first one that is linked.
- The writer is known by the address to answer to, which proves nothing.

Left to others: what becomes of it (`bot/admin/reports.py`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses
from html.parser import HTMLParser

from bot.commands.permalinks import message_link
from moderation.values.ids import is_group_code

MOST_BYTES = 1_000_000  # of a mail; the rest is not read
MOST_WORDS = 2_000
# Raised by the standard library's parser on hostile mails: unknown character set, broken header, broken HTML.
_BROKEN = (LookupError, ValueError, AttributeError, TypeError, AssertionError)
_LINK = re.compile(r"(?:https?://matrix\.to/#/|matrix:)[^\s<>\"]+", re.IGNORECASE)
_CODE = re.compile(r"\bG-[0-9A-Z]{4,}\b", re.IGNORECASE)
_CONTENT_TYPE = re.compile(rb"^content-type:.*(?:\n[ \t].*)*\n?", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class MailNotice:
    """The content of a mail, the message or room it is about, and whom to answer."""

    words: str
    link: str = ""
    room: str = ""
    contact: str = ""


def read_mail(raw: bytes) -> MailNotice | None:
    """Return the notice; None if the mail has no text or cannot be read."""
    raw = raw[:MOST_BYTES]
    mail = _parsed(raw) or _parsed(_CONTENT_TYPE.sub(b"", raw))
    if mail is None:
        return None
    subject, body = _header(mail, "subject"), _body(mail)
    words = "\n".join(part for part in (subject, body) if part)
    if not words:
        return None
    links = [link for link in _LINK.findall(words) if message_link(link) is not None]
    codes = [code.upper() for code in (*_tags(mail), *_CODE.findall(words)) if is_group_code(code.upper())]
    return MailNotice(
        words=words[:MOST_WORDS],
        link=links[0] if links else "",
        room=codes[0] if codes else "",
        contact=_header(mail, "reply-to") or _header(mail, "from"),
    )


def _parsed(raw: bytes) -> EmailMessage | None:
    """Parse a mail. The parser can fail over one header, most often over the type of the content."""
    try:
        return BytesParser(policy=policy.default).parsebytes(raw)
    except _BROKEN:
        return None


def _header(mail: EmailMessage, name: str) -> str:
    """Return a header as text. Hostile headers can make the parser fail only when they are read."""
    try:
        return " ".join(str(mail.get(name, "")).split())[:200]
    except _BROKEN:
        return ""


def _tags(mail: EmailMessage) -> Iterator[str]:
    """Yield what stands after a plus sign in the addresses it was sent to."""
    for name in ("to", "delivered-to", "x-original-to"):
        for _, address in getaddresses([_header(mail, name)]):
            yield address.partition("@")[0].partition("+")[2]


def _body(mail: EmailMessage) -> str:
    try:
        part = mail.get_body(preferencelist=("plain", "html"))
        text = str(part.get_content()) if part is not None else ""
        if part is not None and part.get_content_type() == "text/html":
            text = _plain(text)
    except _BROKEN:
        return ""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _plain(html: str) -> str:
    reader = _Text()
    reader.feed(html)
    return reader.text


class _Text(HTMLParser):
    """The text of HTML, with the links in it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href") or ""
        self.text += f" {href} " if tag == "a" else "\n" if tag in ("br", "p", "div") else ""

    def handle_data(self, data: str) -> None:
        self.text += data
