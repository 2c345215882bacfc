"""`answerable init`."""
