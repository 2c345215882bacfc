"""Ids, events, durations, power levels, lines of notices."""
