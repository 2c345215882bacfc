"""`answerable demo`."""
