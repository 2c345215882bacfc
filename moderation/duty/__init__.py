"""Responsibility for a group, and its hours."""
