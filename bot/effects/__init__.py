"""Handlers of actions: they do on the homeserver what was decided."""
