"""What the machines of one deployment share about its account: the session, and which keys both must have."""
