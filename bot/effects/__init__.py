"""Handlers of actions: what is done on the homeserver once it was decided."""
