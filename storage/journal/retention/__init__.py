"""Erasing, purging and holding records."""
