"""Sends the queued actions, the most urgent first."""
