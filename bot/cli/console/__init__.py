"""How commands speak at a terminal."""
