"""`answerable keys`."""
