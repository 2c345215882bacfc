"""The web console: people let in from a chat, and their orders there."""

from typing import Literal

from moderation.values.ids import UserId

from .base import Fact, person, private, unowned

WhyConsoleEnded = Literal["left", "idle", "operator"]


class ConsoleLinkGiven(Fact, kind="console", changes="nothing"):
    """A person gets a link to the web console in their direct room (`room`), which works once and until `until`."""

    step: Literal["link"] = "link"
    until: int
    subject: UserId = person()
    ticket: str = private(of="subject")  # SHA-256 of what the link ends in


class ConsoleOpened(Fact, kind="console", changes="nothing"):
    """A person has a session of the web console, at most until `until`.

    They used the link recorded at `link`, or (-1) logged in at an issuer.
    """

    step: Literal["opened"] = "opened"
    link: int = -1
    until: int
    subject: UserId = person()
    session: str = private(of="subject")  # SHA-256 of what the browser holds


class ConsoleEnded(Fact, kind="console", changes="nothing"):
    """The session of the web console that began with the record `start` ended before its time."""

    step: Literal["ended"] = "ended"
    start: int
    why: WhyConsoleEnded
    subject: UserId = person()
    reader: str = unowned()  # the operator who ended it, as a user of the operating system


class ConsoleCommand(Fact, kind="console", changes="nothing"):
    """A person gave a command in the session of the web console that began with the record `start`.

    It counts as said in their direct room (`room`), and is the cause of what follows.
    """

    step: Literal["command"] = "command"
    start: int
    subject: UserId = person()
    words: str = private(of="subject", words=True)
