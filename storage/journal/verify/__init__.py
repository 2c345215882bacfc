"""Checks a log and reports what is wrong with it."""
