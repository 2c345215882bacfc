"""How commands talk to people at a terminal."""
