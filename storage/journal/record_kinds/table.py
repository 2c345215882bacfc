"""All kinds of records by their names."""

from . import cases, log, measures, messages, operators, people, personal_data, rooms, shards
from .kind import Kind

KINDS: dict[str, Kind] = {
    **log.KINDS,
    **people.KINDS,
    **messages.KINDS,
    **rooms.KINDS,
    **cases.KINDS,
    **measures.KINDS,
    **personal_data.KINDS,
    **operators.KINDS,
    **shards.KINDS,
}
# Those whose parts are never erased: the log is checked by them.
KEPT = frozenset({"genesis", "erase", "hold", "purge"})
