"""Links to unwanted places.

Rules kept here:
- `deny` wins over `allow`.
- A domain stands for all domains below it.
- A look-alike of an allowed domain is another domain, so it is not allowed.

Left to others: finding links and reading their hosts (`addresses.py`). Nothing is fetched, so short links stay
unresolved.
"""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from moderation.values.events import MessagePosted, Where

from .addresses import WrittenLink, host_of, hrefs, top_level_domains, written_links
from .base import InChat, RuleBase, StrictSettings
from .check import Hit, Judged, View
from .event_texts import cut, looked_at

EVERY = "*"
_DOMAIN = re.compile(r"[^\W_](?:[\w-]*\w)?(?:\.[^\W_](?:[\w-]*\w)?)*")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)
_FORMATTED: Where = "formatted"


def _domain(value: str) -> str:
    if value == EVERY:
        return value
    host = host_of(value.strip())
    if not _DOMAIN.fullmatch(host):
        raise PydanticCustomError("domain", "expected a domain")
    return host


def _scheme(value: str) -> str:
    name = value.strip().lower().removesuffix("://").removesuffix(":")
    if not _SCHEME.fullmatch(name):
        raise PydanticCustomError("scheme", "expected the name of a scheme")
    return name


Domains = tuple[Annotated[str, AfterValidator(_domain)], ...]


class LinkSettings(StrictSettings):
    """Settings of a link rule: which links are fine."""

    allow: Domains = Field(default=(), description="domains that are fine; if any are named, all others are not")
    deny: Domains = Field(
        default=(),
        description='domains that are not fine; "*" is all but those allowed',
        examples=[["elephants.example"]],
    )
    schemes: tuple[Annotated[str, AfterValidator(_scheme)], ...] = Field(
        default=(), description='[] is all; ["https"] allows only https'
    )
    matrix_links: bool = Field(
        default=True,
        description="links to people, rooms and messages are fine, but for those of denied servers",
    )
    bare: bool = Field(default=True, description="example.org without https:// is a link too")

    @model_validator(mode="after")
    def _says_something(self) -> "LinkSettings":
        if EVERY in self.allow:
            raise PydanticCustomError("links_all", "allows every link")
        if not (self.allow or self.deny or self.schemes):
            raise PydanticCustomError("links_nothing", "expected allow, deny or schemes")
        return self


class Links:
    """The domains of a rule, ready to be compared."""

    def __init__(self, settings: LinkSettings, where: frozenset[str] = frozenset()) -> None:
        self._settings = settings
        self._where = where
        self._allow = frozenset(settings.allow)
        self._deny = frozenset(settings.deny) - {EVERY}
        self._only_allowed = bool(settings.allow) or EVERY in settings.deny
        self._no_others = EVERY in settings.deny
        top_level_domains()

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return a hit for the first link that is not fine."""
        del view
        for text in looked_at(event, self._where):
            for link in written_links(text.value, bare=self._settings.bare):
                if not self._is_fine(link):
                    return Hit(where=text.where, matched=cut(link.written))
        return self._check_hrefs(event)

    def _check_hrefs(self, event: Judged) -> Hit | None:
        if not isinstance(event, MessagePosted) or (self._where and _FORMATTED not in self._where):
            return None
        bad = (link for link in hrefs(event) if not self._is_fine(link))
        return next((Hit(where=_FORMATTED, matched=cut(link.written)) for link in bad), None)

    def _is_fine(self, link: WrittenLink) -> bool:
        if any(set(_and_above(server)) & self._deny for server in link.servers):
            return False  # what the link leads to decides, whatever host leads there
        if link.scheme == "mxc":
            return True  # a file on a homeserver, which no client opens; the kind `media` looks at those
        if self._settings.matrix_links and link.hosts == ("matrix.to",):
            return True
        if self._settings.schemes and link.scheme and link.scheme not in self._settings.schemes:
            return False
        if not link.hosts:  # mailto:, magnet: and the like lead to no host
            return not self._no_others
        return all(map(self._is_fine_host, link.hosts))

    def _is_fine_host(self, host: str) -> bool:
        names = set(_and_above(host))
        if names & self._deny:
            return False
        return not self._only_allowed or bool(names & self._allow)


def _is_plain(word: str) -> bool:
    return "." in word or word == EVERY


class LinksRule(RuleBase, LinkSettings):
    """A rule about where links lead."""

    IN_CHAT: ClassVar = InChat(("deny", "allow"), _is_plain)

    kind: Literal["links"]

    def compiled(self, *, own: bool = False) -> Links:
        """Return the comparison of its domains."""
        del own
        return Links(self, frozenset(self.where))


def _and_above(host: str) -> Iterator[str]:
    """Yield the host and every domain it is under: a.b.c, b.c, c."""
    while host:
        yield host
        host = host.partition(".")[2]
