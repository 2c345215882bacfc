"""Sends what was queued, most urgent first."""
