"""Listens to the homeserver: sync, gaps, invitations, spaces, reports to the server."""
