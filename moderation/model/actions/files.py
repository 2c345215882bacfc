"""Files in messages: their hashes, and the labels that plug-ins give them."""

from moderation.values.events import Json
from moderation.values.ids import UserId

from .base import FILES, LABELS, NICETY, Action


class HashMedia(Action, name="media", priority=NICETY, adorns=True, queue="media"):
    """Fetch a file of the event recorded at `on`, and record its hash and size. `judged`: a rule waits for them."""

    url: str
    file: dict[str, Json] | None = None  # how to open an encrypted file: an `EncryptedFile`
    subject: UserId
    on: int
    judged: bool = False

    @property
    def priority(self) -> int:
        return FILES if self.judged else NICETY

    @property
    def queue(self) -> str | None:
        return None if self.judged else self.QUEUE


class AskPlugin(Action, name="ask-plugin", priority=LABELS, queue=None):
    """Ask a plug-in about a file of the event recorded at `on`, unless that is later than `until`."""

    plugin: str
    kind: str
    mimetype: str = ""
    url: str
    file: dict[str, Json] | None = None  # as in `HashMedia`
    subject: UserId
    on: int
    until: int
