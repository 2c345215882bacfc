"""The part that listens to the homeserver: sync, gaps, invitations, spaces, reports to the server."""
