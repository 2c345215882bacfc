"""Time zones as people write them: finds the one that was meant. The zones themselves: `moderation/duty/hours.py`."""

from difflib import get_close_matches

from moderation.duty.hours import zones

MOST = 3
_ALSO = {"beijing": "asia/shanghai"}  # what is asked for most, and has no zone of its own


def near_zones(name: str) -> tuple[str, ...]:
    """The zones that may have been meant: whose city is called so first, then those that are written nearly so."""
    typed = name.casefold().replace(" ", "_")
    asked = typed.rpartition("/")[2]
    known = zones()
    cities = {zone.rpartition("/")[2]: zone for zone in sorted(known)}
    same = [zone for zone in sorted(known) if zone.rpartition("/")[2] == asked or zone == _ALSO.get(asked)]
    near = get_close_matches(typed, sorted(known), n=MOST, cutoff=0.7)
    like = [cities[city] for city in get_close_matches(asked, sorted(cities), n=MOST, cutoff=0.8)]
    return tuple(known[zone] for zone in dict.fromkeys((*same, *near, *like)))[:MOST]
