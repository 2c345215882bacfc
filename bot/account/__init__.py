"""The account as all machines of a deployment share it: its session, and the keys that each must have."""
