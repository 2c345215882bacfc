"""Reads the homeserver's JSON into events."""
