"""Accounts of one person, verification, the list of people who stay out."""
