"""Accounts of one person, verification, the barred list."""
