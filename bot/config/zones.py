"""The search for the time zone that people mean by what they write. The zones: `moderation/duty/hours.py`."""

from difflib import get_close_matches

from moderation.duty.hours import zones

MOST = 3
_ALSO = {"beijing": "asia/shanghai"}  # asked for often, but has no zone of its own


def near_zones(name: str) -> tuple[str, ...]:
    """Return the zones that may have been meant: first those with a city of this name, then similar names."""
    typed = name.casefold().replace(" ", "_")
    asked = typed.rpartition("/")[2]
    known = zones()
    cities = {zone.rpartition("/")[2]: zone for zone in sorted(known)}
    same = [zone for zone in sorted(known) if zone.rpartition("/")[2] == asked or zone == _ALSO.get(asked)]
    near = get_close_matches(typed, sorted(known), n=MOST, cutoff=0.7)
    like = [cities[city] for city in get_close_matches(asked, sorted(cities), n=MOST, cutoff=0.8)]
    return tuple(known[zone] for zone in dict.fromkeys((*same, *near, *like)))[:MOST]
