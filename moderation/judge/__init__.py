"""Judging of one event by the rules."""
