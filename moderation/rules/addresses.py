"""Links in a message, and the hosts they lead to.

Covered: links written in a text, also bare domains (example.org without https://, which clients show as a link), and
the `href` of the formatted body, where the words shown may say something else.

Rules kept here:
- A host has one form: nothing invisible, case folded, punycode decoded (RFC 3492), ideographic full stops as dots.
- User information and port are cut off as browsers do (WHATWG URL, host parsing): ``https://good.example@evil.example``
  leads to evil.example.
- A name is a bare domain only if its last label is a top-level domain of the Public Suffix List (the copy inside
  tldextract; nothing is downloaded).
- RE2 does the searching, in time linear in the text.

Left to others: which hosts are fine (`links.py`).

Why not a linkifier: linkify-it needs a space after ``https://evil.example`` where Chinese puts none, and takes 0.4 s
for the worst 64 KiB.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import unquote

import re2

from moderation.values.events import MessagePosted

from .normalise_text import UNSPACED, normalise

# A dot that is written out or stands alone, so that no client shows a link but everybody reads one: "evil (dot) com",
# "evil . com", "evil dot com". The plain word only before names that are no words, as in "a polka dot in red".
_AWAY = r"[\[({<]\s?(?:dot|\.|punkt|punto|point|点|點|точка)\s?[\])}>]"
_TOPS = "com|net|org|info|io|ru|cn|xyz|tk|biz|de|eu|uk|onion"
_WRITTEN_DOT = re.compile(
    rf"(?<=[^\W_])(?:\s{{0,3}}{_AWAY}\s{{0,3}}(?=[^\W_])"
    rf"|\s{{1,3}}\.\s{{0,3}}(?=[a-z]{{2,12}}\b)"
    rf"|\s{{1,3}}(?:dot|punkt)\s{{1,3}}(?=(?:{_TOPS})\b))"
)
_DOTTED = re.compile(r"dot|punkt|punto|point|点|點|точка|\s\.|[\[({<]\s?\.")
_DOTS = str.maketrans("。｡．", "...")
_HREF = re.compile(r"\b(?:href|src)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+))", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.ASCII)
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[^\s:,;!'\"()*|^{}\[\]<>&=+$~`、«»‹›“”„‘’「」『』【】《》〈〉]+")
_SLASHES = re.compile(r"[/\\]{2}.")
_SLASHED = frozenset({"http", "https", "ftp", "ws", "wss"})  # browsers forgive missing and other slashes
# In this order, so that a domain inside an address is no link of its own: full links; Matrix ids and
# mail addresses (skipped); bare domains.
_FIND = re2.compile(
    r"([a-z][a-z0-9+.\-]*:[/\\]{2}[^\s<>\"]+)"
    r"|(?:[@#][^\s:@]*:|[\w.+\-]+@)[\w.\-]+"
    r"|((?:[\pL\pN\pM_\-]+\.)+[\pL\pN\pM\-]{2,})"
)

_MATRIX_LINK = re.compile(r"https?://(?:www\.)?matrix\.to/|matrix:", re.IGNORECASE)
_SERVER_OF_ID = re.compile(r"[@#!$/](?:[^:/?#&@!$]{1,255}):([^:/?#&\s]{1,255})")
_VIA = re.compile(r"[?&]via=([^&#\s:]{1,255})")
_LONGEST_LINK = 2_000


@dataclass(frozen=True, slots=True)
class WrittenLink:
    """A link as it was written, and where it leads."""

    written: str
    scheme: str  # empty for a bare domain
    hosts: tuple[str, ...]  # all readings of it: Chinese continues without a space after a domain
    servers: tuple[str, ...] = ()  # of Matrix links: the servers of the people or rooms they lead to


def host_of(text: str) -> str:
    """Return a host name in the one form in which hosts are compared."""
    if text.isascii() and not any(sign in text for sign in ("%", "xn--", " ")):
        return text.lower().strip(".")  # nearly all
    host = normalise(unquote(text), "literal").text.translate(_DOTS).strip(". ")
    return ".".join(map(_decoded, host.split("."))) if "xn--" in host else host


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return normalise(label[4:].encode("ascii").decode("punycode"), "literal").text
    except (UnicodeError, ValueError, OverflowError):
        return label


@cache
def top_level_domains() -> frozenset[str]:
    """Return the top-level domains of the Public Suffix List.

    The list is read once, when a rule about links is made: never while judging, nor on import, since most commands of
    the command line judge nothing and reading it takes a tenth of a second.
    """
    import tldextract

    extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    return frozenset(host_of(suffix.rpartition(".")[2]) for suffix in extract.tlds)


def written_links(text: str, *, bare: bool) -> Iterator[WrittenLink]:
    """Yield the links written in `text`, those without a scheme only if `bare`."""
    read = normalise(text, "literal")
    subject = read.text.translate(_DOTS)
    seen: set[str] = set()  # the same link a thousand times is one link
    if bare and _DOTTED.search(subject):
        yield from _dotted(subject, seen)
    if "." not in subject and ":" not in subject:
        return
    for found in _FIND.finditer(subject):
        begin, end = found.span()
        written = subject[begin:end]
        if written in seen:
            continue
        seen.add(written)
        full, domain = found.groups()
        if link := _full(full) if full else _bare(domain if bare else None):
            yield replace(link, written=read.quote(begin, end))


def _dotted(subject: str, seen: set[str]) -> Iterator[WrittenLink]:
    """Yield links whose dots are written out. They are quoted with the dots that they mean."""
    dotted = _WRITTEN_DOT.sub(".", subject)
    if dotted == subject:
        return
    for found in _FIND.finditer(dotted):
        domain = found.group(2)
        if domain and domain not in seen and domain not in subject and (link := _bare(domain)):
            seen.add(domain)
            yield link


def _full(url: str) -> WrittenLink:
    scheme = url.partition(":")[0]
    return WrittenLink(url, scheme, _authority(url[len(scheme) + 1 :]), _servers(url))


def _servers(url: str) -> tuple[str, ...]:
    """Return the servers of the ids in a Matrix link, and the servers it names to enter a room by."""
    if not _MATRIX_LINK.match(url):
        return ()
    plain = unquote(unquote(url))[:_LONGEST_LINK]
    named = {host_of(found[1]) for found in _SERVER_OF_ID.finditer(plain)}
    return tuple(sorted(named | {host_of(found[1]) for found in _VIA.finditer(plain)}))


def _bare(domain: str | None) -> WrittenLink | None:
    if domain is None:
        return None
    parts = tuple(part for part in map(host_of, UNSPACED.split(domain)) if _is_domain(part))
    hosts = parts or tuple(host for host in (host_of(domain),) if _is_domain(host))
    return WrittenLink(domain, "", hosts) if hosts else None


def _authority(rest: str) -> tuple[str, ...]:
    """Return the host after ``scheme:``, read whole and read up to where a script without spaces begins."""
    authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0]
    found = _HOST.match(authority.rpartition("@")[2])
    if not found:
        return ()
    host, first = host_of(found[0]), host_of(UNSPACED.split(found[0], maxsplit=1)[0])
    if not first or first == host:
        return (host,)
    return (host, first) if _is_domain(host) else (first,)


def _is_domain(host: str) -> bool:
    name, dot, top = host.rpartition(".")
    return bool(name and dot) and top in top_level_domains()


def hrefs(event: MessagePosted) -> Iterator[WrittenLink]:
    """Yield the targets of the links in the formatted body; for an edit, those of the new content too."""
    new = event.content.get("m.new_content")
    for content in (event.content, new if isinstance(new, dict) else {}):
        body = content.get("formatted_body")
        quoted = _HREF.findall(body) if isinstance(body, str) else []
        for written in dict.fromkeys(next(filter(None, found), "") for found in quoted):
            if link := _href(written):
                yield link


def _href(written: str) -> WrittenLink | None:
    # Browsers drop tabs and line ends anywhere in a URL, spaces and controls around it.
    url = normalise(re.sub(r"[\t\r\n]", "", html.unescape(written)), "literal").text.translate(_DOTS)
    found = _SCHEME.match(url)
    scheme, rest = (found[1], url[found.end() :]) if found else ("", url)
    if scheme == "mxc":
        return None  # a file on the homeserver: a picture, which leads nowhere else
    if scheme == "matrix":
        return WrittenLink(written, scheme, ("matrix.to",), _servers(url))
    if scheme in _SLASHED or _SLASHES.match(rest):
        return WrittenLink(written, scheme, _authority(rest), _servers(url))
    if scheme:
        return WrittenLink(written, scheme, ())
    domain = _bare(re.split(r"[/?#]", rest, maxsplit=1)[0])  # relative to a browser, a link to some clients
    return domain and WrittenLink(written, "", domain.hosts)
