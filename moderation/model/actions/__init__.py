"""Actions: the requests to the homeserver and others that wait in the outbox, a file a subject.

Rules kept here:
- An action is a value and can be written as JSON and read back.
- `priority` says what goes first when the homeserver's rate limit is low: stop somebody who floods a room, then remove
  what they wrote; a notice can wait.
- `merge` names what makes two waiting actions the same, so that the second is not queued again.
- `queue` names the actions that are sent one after the other.

`base.py` says what an action is; `registry.py` has all of them by name.
Left to others: which goes next (`bot/outbox/selection.py`), doing it (`bot/outbox/dispatcher.py`), turning notices into
text (`bot/effects/send_notice.py`).
"""
