"""Verification: the methods by which members prove who they are, one file for each method."""
