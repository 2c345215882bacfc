"""`answerable logs`."""
