"""The parsers that turn the homeserver's JSON into events."""
