"""Drawings of the console: SVG made on the server, each with the same numbers as a table."""
