"""What verified members proved about themselves, sealed."""
