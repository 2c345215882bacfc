"""Sealed storage of what verified members proved about themselves."""
