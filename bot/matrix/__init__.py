"""The client-server API over HTTP."""
