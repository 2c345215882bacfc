"""`answerable check`."""
