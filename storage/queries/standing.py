"""The condition that a message stands: no measure removed it."""

from sqlalchemy import select

from storage import schema

from .sweeps import COVERING

_S = schema.sanctions.c
_REMOVED = select(_S.record).where(_S.event == schema.events.c.event, _S.kind == "redact", _S.why_ended != "reversed")
STANDS = (~_REMOVED.exists(), ~COVERING.exists())  # of an event: no measure removed it
