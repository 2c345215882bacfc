"""`answerable rules`."""
