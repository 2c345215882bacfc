"""Input and output of commands at a terminal."""
