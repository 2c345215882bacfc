"""A short name for the policy that a process has read from the configuration: two that are the same have the same."""

import hashlib


def policy_digest(text: str) -> str:
    """Return the first 32 hexadecimal digits of the SHA-256 of a policy in JSON."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
