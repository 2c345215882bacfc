"""Verification: how a member proves who they are, one file a method."""
