"""`answerable rooms`."""
