"""Checks a log and says what is wrong with it."""
