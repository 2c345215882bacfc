"""Judges one event by the rules."""
